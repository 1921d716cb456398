/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* State limiters and source limiters.  See abi.h. */
#ifndef PF_ABI_LIMITER_H
#define PF_ABI_LIMITER_H

#include "abi_base.h"

/* Both kinds, by id; 0 is none. */
#define PF_LIMITER_IDS	      256
#define PF_LIMITERS	      (2 * PF_LIMITER_IDS)
#define PF_SOURCE_LIMITERS    PF_LIMITER_IDS /* from here on: source limiters */

#define PF_LIMITER_USED	      0x01

/* Those of a rule, in one word; a state has the lower half. */
#define PF_LIMITS_STATE(w)    ((w) & 0xff)
#define PF_LIMITS_SOURCE(w)   ((w) >> 8 & 0xff)
#define PF_LIMITS_IDS	      0xffff
#define PF_LIMITS_BLOCK_STATE 0x10000 /* (block) */
#define PF_LIMITS_BLOCK_SOURCE 0x20000

/*
 * A limiter: pf's bucket of time.  Each state takes `token` out of what has gathered since
 * `spent`, which is `bucket` at the most.
 */
struct pf_limiter {
	__u32 flags; /* PF_LIMITER_*; 0: it is not there, and has no room */
	__u32 limit; /* states; of a source limiter: of each source */
	__u64 token; /* ns; 0: no rate */
	__u64 bucket;
	/* what the datapath writes */
	__u64 spent; /* CLOCK_MONOTONIC, ns */
	__u32 inuse; /* states */
	__u32 pad;
	__u64 admitted;
	__u64 hardlimited;
	__u64 ratelimited;
	__u64 spare[8];
};

/* What bpf/limits.h says of a rule's limiters. */
#define LIMITS_ROOM    0
#define LIMITS_NO_ROOM 1 /* the rule does not match */
#define LIMITS_BLOCK   2 /* the packet is dropped: struct pf_pkt.limited */

PF_ABI_ASSERT(sizeof(struct pf_limiter) == 128);

#endif /* PF_ABI_LIMITER_H */
