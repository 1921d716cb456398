// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Gives a program another frame each time that BPF_PROG_TEST_RUN repeats it: the
 * next one of many takes the place of the frame in the skb, and the program in `to`
 * goes on.  The same run with an empty program there is what all this costs.
 *
 * `ports`: each frame has so many source ports in turn, another one each time that it
 * comes round; 0: its own.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAMES	    65536
#define FRAME_SIZE  60
#define FRAME_ROOM  64
#define SPORT	    34
#define SPORT_LEAST 1024

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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

__u32 at;

SEC("tc")
int replay(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 nr = at++, i = nr & (FRAMES - 1), zero = 0;
	struct frame *f = bpf_map_lookup_elem(&frames, &i);
	__u32 *n = bpf_map_lookup_elem(&ports, &zero);

	if (!f || !n || data + FRAME_SIZE > end)
		return TC_ACT_SHOT;
	__builtin_memcpy(data, f, FRAME_SIZE);
	if (*n)
		*(__be16 *)(data + SPORT) = bpf_htons(SPORT_LEAST + nr / FRAMES % *n);
	/* what the last packet's verdict left behind */
	skb->tc_index = 0;
	bpf_tail_call(skb, &to, 0);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
