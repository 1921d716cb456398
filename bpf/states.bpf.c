// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * "cat /sys/fs/bpf/pf/states": the live states as text, one a line, without
 * the daemon.  Pinned by the loader as an iterator over the slots.
 */
#include "base.h"
#include "kern.h"

#include <bpf/bpf_tracing.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* The datapath's; the loader puts the real one here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_state);
} pf_states SEC(".maps");

/* One of two constant texts would do for %s, but 6.1 wants it in a map: say it in full. */
#define SAY(seq, text) BPF_SEQ_PRINTF(seq, text)

static inline void say_proto(struct seq_file *seq, __u8 proto)
{
	switch (proto) {
	case 1:
		SAY(seq, "icmp ");
		break;
	case 6:
		SAY(seq, "tcp ");
		break;
	case 17:
		SAY(seq, "udp ");
		break;
	case 58:
		SAY(seq, "ipv6-icmp ");
		break;
	default:
		BPF_SEQ_PRINTF(seq, "%u ", proto);
		break;
	}
}

static inline void say_tcp(struct seq_file *seq, __u8 state)
{
	switch (state) {
	case TCPS_CLOSED:
		SAY(seq, "CLOSED");
		break;
	case TCPS_SYN_SENT:
		SAY(seq, "SYN_SENT");
		break;
	case TCPS_ESTABLISHED:
		SAY(seq, "ESTABLISHED");
		break;
	case TCPS_CLOSING:
		SAY(seq, "CLOSING");
		break;
	case TCPS_FIN_WAIT_2:
		SAY(seq, "FIN_WAIT_2");
		break;
	case TCPS_TIME_WAIT:
		SAY(seq, "TIME_WAIT");
		break;
	default:
		BPF_SEQ_PRINTF(seq, "%u", state);
		break;
	}
}

static inline void say_simple(struct seq_file *seq, __u8 state)
{
	if (state == PF_NO_TRAFFIC)
		SAY(seq, "NO_TRAFFIC");
	else if (state == PF_SINGLE)
		SAY(seq, "SINGLE");
	else
		SAY(seq, "MULTIPLE");
}

static inline void say_peer(struct seq_file *seq, __u8 proto, __u8 state)
{
	if (proto == 6)
		say_tcp(seq, state);
	else if (proto == 1 || proto == 58)
		BPF_SEQ_PRINTF(seq, "%u", state);
	else
		say_simple(seq, state);
}

static inline void say_end(struct seq_file *seq, const struct pf_state_key *k, int side)
{
	__u16 port = bpf_ntohs(k->port[side]);

	if (k->af == PF_AF_INET && port)
		BPF_SEQ_PRINTF(seq, "%pI4:%u", &k->addr[side], port);
	else if (k->af == PF_AF_INET)
		BPF_SEQ_PRINTF(seq, "%pI4", &k->addr[side]);
	else if (port)
		BPF_SEQ_PRINTF(seq, "%pI6[%u]", &k->addr[side], port);
	else
		BPF_SEQ_PRINTF(seq, "%pI6", &k->addr[side]);
}

static inline int same_end(const struct pf_state_key *a, const struct pf_state_key *b, int side)
{
	return a->port[side] == b->port[side] && addr_equal(&a->addr[side], &b->addr[side]);
}

/* As it leaves, then what it was, as pfctl does. */
static inline void say_host(struct seq_file *seq, const struct pf_state *s, int side)
{
	if (s->dir == PF_OUT)
		say_end(seq, &s->key, side);
	else
		say_end(seq, &s->stack, side);
	if (!(s->flags & PF_SF_NAT) || same_end(&s->key, &s->stack, side))
		return;
	SAY(seq, " (");
	if (s->dir == PF_OUT)
		say_end(seq, &s->stack, side);
	else
		say_end(seq, &s->key, side);
	SAY(seq, ")");
}

SEC("iter/bpf_map_elem") int pf_states_text(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct pf_state *s = ctx->value;

	if (!s || s->status != PF_SLOT_LIVE) /* or the end */
		return 0;
	/* no names of interfaces here */
	if (s->flags & PF_SF_IFBOUND)
		BPF_SEQ_PRINTF(seq, "if%u ", s->ifindex);
	else
		SAY(seq, "all ");
	say_proto(seq, s->key.proto);
	say_host(seq, s, 1);
	if (s->dir == PF_OUT)
		SAY(seq, " -> ");
	else
		SAY(seq, " <- ");
	say_host(seq, s, 0);
	SAY(seq, "       ");
	say_peer(seq, s->key.proto, s->peer_state[s->dir != PF_OUT]);
	SAY(seq, ":");
	say_peer(seq, s->key.proto, s->peer_state[s->dir == PF_OUT]);
	SAY(seq, "\n");
	return 0;
}
