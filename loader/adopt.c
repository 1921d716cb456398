// SPDX-License-Identifier: BSD-2-Clause
#include "adopt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../grammar/netlink.h"

/* include/net/tcp_states.h */
enum {
	SK_ESTABLISHED = 1,
	SK_FIN_WAIT1 = 4,
	SK_FIN_WAIT2 = 5,
	SK_CLOSE_WAIT = 8,
	SK_LAST_ACK = 9,
	SK_LISTEN = 10,
	SK_CLOSING = 11,
};

#define TCP_WANTED                                                                              \
	(1U << SK_ESTABLISHED | 1U << SK_FIN_WAIT1 | 1U << SK_FIN_WAIT2 | 1U << SK_CLOSE_WAIT | \
	 1U << SK_LAST_ACK | 1U << SK_CLOSING)

struct adopter {
	const struct pf_datapath *dp;
	uint64_t jiffies;
	uint8_t listening[65536 / 8]; /* local TCP ports: connections there came in */
	uint8_t proto;
	int made;
};

static bool is_mapped(const __be32 a[4])
{
	return !a[0] && !a[1] && a[2] == htonl(0xffff);
}

/* An IPv4 connection of an IPv6 socket is IPv4 on the wire. */
static void set_addr(struct pf_addr *out, const struct inet_diag_msg *m, const __be32 a[4])
{
	memset(out, 0, sizeof(*out));
	if (m->idiag_family == AF_INET)
		out->w[0] = a[0];
	else if (is_mapped(a))
		out->w[0] = a[3];
	else
		memcpy(out->w, a, sizeof(out->w));
}

static bool is_v4(const struct inet_diag_msg *m)
{
	return m->idiag_family == AF_INET || is_mapped(m->id.idiag_dst);
}

static int attr_info(const struct nlattr *attr, void *data)
{
	const struct nlattr **info = data;

	if (mnl_attr_get_type(attr) == INET_DIAG_INFO)
		*info = attr;
	return MNL_CB_OK;
}

/* Window scales as the two SYNs announced them: [0] ours, [1] the peer's. */
static void window_scales(const struct nlmsghdr *nlh, uint8_t scale[2])
{
	const struct nlattr *attr = NULL;
	struct tcp_info ti;

	scale[0] = scale[1] = 0;
	mnl_attr_parse(nlh, sizeof(struct inet_diag_msg), attr_info, &attr);
	if (!attr || mnl_attr_get_payload_len(attr) < offsetof(struct tcp_info, tcpi_rto))
		return;
	memset(&ti, 0, sizeof(ti));
	memcpy(&ti, mnl_attr_get_payload(attr), offsetof(struct tcp_info, tcpi_rto));
	if (!(ti.tcpi_options & TCPI_OPT_WSCALE))
		return;
	scale[0] = (uint8_t)(ti.tcpi_rcv_wscale | PF_WSCALE_FLAG);
	scale[1] = (uint8_t)(ti.tcpi_snd_wscale | PF_WSCALE_FLAG);
}

static void tcp_peers(const struct inet_diag_msg *m, unsigned int us, struct pf_state *s)
{
	uint8_t ours = TCPS_ESTABLISHED, theirs = TCPS_ESTABLISHED;

	s->timeout = PFTM_TCP_ESTABLISHED;
	if (m->idiag_state == SK_FIN_WAIT1 || m->idiag_state == SK_FIN_WAIT2 ||
	    m->idiag_state == SK_LAST_ACK || m->idiag_state == SK_CLOSING)
		ours = TCPS_CLOSING;
	if (m->idiag_state == SK_CLOSE_WAIT || m->idiag_state == SK_LAST_ACK ||
	    m->idiag_state == SK_CLOSING)
		theirs = TCPS_CLOSING;
	if (ours != TCPS_ESTABLISHED || theirs != TCPS_ESTABLISHED)
		s->timeout = PFTM_TCP_CLOSING;
	s->peer_state[us] = ours;
	s->peer_state[!us] = theirs;
}

void pf_adopt_begin(struct pf_state *s, uint64_t jiffies)
{
	s->stack = s->key;
	s->rule = PF_RULE_DEFAULT;
	s->creation = jiffies;
	s->peer[0].last = s->peer[1].last = (uint32_t)(jiffies >> PF_TICK_SHIFT);
	if (s->key.proto != IPPROTO_TCP)
		return;
	s->flags = PF_SF_LOOSE;
	s->peer[0].other_seqhi = s->peer[1].other_seqhi = 1;
	s->peer[0].max_win = s->peer[1].max_win = 65535;
}

static void adopt(struct adopter *a, const struct nlmsghdr *nlh, const struct inet_diag_msg *m)
{
	uint16_t port = ntohs(m->id.idiag_sport);
	bool in = a->proto == IPPROTO_TCP && (a->listening[port / 8] & 1 << port % 8);
	/* index of our side among the peers: [0] is who began */
	unsigned int us = in;
	struct pf_state s = {0};
	uint8_t scale[2];

	s.key.af = is_v4(m) ? PF_AF_INET : PF_AF_INET6;
	s.key.proto = a->proto;
	set_addr(&s.key.addr[1], m, m->id.idiag_src);
	set_addr(&s.key.addr[0], m, m->id.idiag_dst);
	s.key.port[1] = m->id.idiag_sport;
	s.key.port[0] = m->id.idiag_dport;
	s.dir = in ? PF_IN : PF_OUT;
	pf_adopt_begin(&s, a->jiffies);
	if (a->proto == IPPROTO_TCP) {
		window_scales(nlh, scale);
		s.wscale[us] = scale[0];
		s.wscale[!us] = scale[1];
		tcp_peers(m, us, &s);
	} else {
		s.peer_state[0] = s.peer_state[1] = PF_MULTIPLE;
		s.timeout = PFTM_UDP_MULTIPLE;
	}
	if (pf_datapath_insert(a->dp, &s, true) == PF_INSERTED)
		a->made++;
}

static int message(const struct nlmsghdr *nlh, void *data)
{
	struct adopter *a = data;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	uint16_t port;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m))
		return MNL_CB_OK;
	port = ntohs(m->id.idiag_sport);
	if (a->proto == IPPROTO_TCP && m->idiag_state == SK_LISTEN)
		a->listening[port / 8] |= (uint8_t)(1 << port % 8);
	else if (m->id.idiag_dport)
		adopt(a, nlh, m);
	return MNL_CB_OK;
}

static int dump(struct adopter *a, uint8_t family, uint8_t proto, uint32_t socket_states)
{
	struct inet_diag_req_v2 req = {.sdiag_family = family,
				       .sdiag_protocol = proto,
				       .idiag_states = socket_states,
				       .idiag_ext = 1 << (INET_DIAG_INFO - 1)};

	a->proto = proto;
	return pf_netlink_ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req, sizeof(req),
			      message, a);
}

int pf_adopt_sockets(const struct pf_datapath *dp, struct pf_error_text *e)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct adopter *a = calloc(1, sizeof(*a));
	int err = 0, made;

	if (!a)
		return pf_fail(e, -ENOMEM, "out of memory");
	a->dp = dp;
	a->jiffies = pf_datapath_jiffies(dp);
	/* first who listens, to know which way the others were made */
	for (int i = 0; i < 2 && !err; i++)
		err = dump(a, families[i], IPPROTO_TCP, 1U << SK_LISTEN);
	for (int i = 0; i < 2 && !err; i++)
		err = dump(a, families[i], IPPROTO_TCP, TCP_WANTED);
	for (int i = 0; i < 2 && !err; i++)
		err = dump(a, families[i], IPPROTO_UDP, 1U << SK_ESTABLISHED);
	made = a->made;
	free(a);
	if (err)
		return pf_fail(e, err, "cannot read the sockets: %s", strerror(-err));
	return made;
}
