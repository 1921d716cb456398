/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
#ifndef PF_BPF_DRAW_H
#define PF_BPF_DRAW_H

#include "base.h"

/* The packet's next random number: see test_prob() of compiler/linear_test.c. */
inline_always __u32 draw(struct pf_pkt *p)
{
	__u32 x = p->seed + p->draws * 0x9e3779b9;

	p->draws++;
	x ^= x >> 16;
	x *= 0x85ebca6b;
	x ^= x >> 13;
	x *= 0xc2b2ae35;
	return x ^ x >> 16;
}

#endif /* PF_BPF_DRAW_H */
