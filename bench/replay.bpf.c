// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Gives a program another frame each time that BPF_PROG_TEST_RUN repeats it: the
 * next one of many takes the place of the frame in the skb, and the program in `to`
 * goes on.  The same run with an empty program there is what all this costs.
 *
 * `ports`: each frame has so many source or destination ports in turn, another one each
 * time that it comes round; 0: its own.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAMES	   65536
#define FRAME_SIZE 60
#define FRAME_ROOM 64
#define SPORT	   34
#define DPORT	   36
#define PORT_LEAST 1024

struct frame {
	__u64 words[FRAME_ROOM / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FRAMES);
	__type(key, __u32);
	__type(value, struct frame);
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} to SEC(".maps");

struct ports {
	__u32 n;
	__u32 of_destination;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ports);
} ports SEC(".maps");

__u32 at;

SEC("tc")
int replay(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 nr = at++, i = nr & (FRAMES - 1), zero = 0;
	struct frame *f = bpf_map_lookup_elem(&frames, &i);
	struct ports *p = bpf_map_lookup_elem(&ports, &zero);
	__be16 port;

	if (!f || !p || data + FRAME_SIZE > end)
		return TC_ACT_SHOT;
	__builtin_memcpy(data, f, FRAME_SIZE);
	port = p->n ? bpf_htons(PORT_LEAST + nr / FRAMES % p->n) : 0;
	if (port && p->of_destination)
		*(__be16 *)(data + DPORT) = port;
	else if (port)
		*(__be16 *)(data + SPORT) = port;
	/* what the last packet's verdict left behind */
	skb->tc_index = 0;
	bpf_tail_call(skb, &to, 0);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
