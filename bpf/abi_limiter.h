/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* State limiters and source limiters.  See abi.h. */
#ifndef PF_ABI_LIMITER_H
#define PF_ABI_LIMITER_H

#include "abi_base.h"

/* Both kinds, by id; 0 is none. */
#define PF_LIMITER_IDS	       256
#define PF_LIMITERS	       (2 * PF_LIMITER_IDS)
#define PF_LIMITER_ALL	       0 /* its number of sources is that of all source limiters */
#define PF_SOURCE_LIMITERS     PF_LIMITER_IDS /* from here on: source limiters */

#define PF_LIMITER_USED	       0x01
#define PF_LIMITER_CHANGING    (~0U)

/* Those of a rule, in one word; a state has the lower half. */
#define PF_LIMITS_STATE(w)     ((w)&0xff)
#define PF_LIMITS_SOURCE(w)    ((w) >> 8 & 0xff)
#define PF_LIMITS_IDS	       0xffff
#define PF_LIMITS_BLOCK_STATE  0x10000 /* (block) */
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
	__u32 sources;
	__u64 admitted;
	__u64 hardlimited;
	__u64 ratelimited;
	__u64 addrlimited; /* a source limiter has all the sources that it may have */
	/* of source limiters */
	__u32 entries; /* sources, at the most */
	__u32 keep;    /* ticks that a source without states stays */
	__u32 table;   /* slot of the one where sources go that have more than `above`; 0 none */
	__u32 above, below;
	__u32 leaves; /* how often a source was to leave the table: pfd looks when it has changed */
	struct pf_addr mask[2]; /* of IPv4, of IPv6 */
	__u32 bits[2];		/* of these masks; PF_LIMITER_CHANGING while they are written */
	__u64 spare[3];
};

/*
 * A source of a source limiter, by struct pf_src_key: rule is the limiter's id, the address
 * is masked.  As with struct pf_src_node, its serial number is beside its number of states.
 */
#define PF_LIMITED_MOST	   262144U
#define PF_LIMITED_IN	   0x40000000U /* of .states: it was put into the table */
#define PF_LIMITED_LEAVING 0x20000000U /* ... and pfd is to take it out */
struct pf_limited {
	__u64 states; /* serial << 32 | PF_LIMITED_* | number of them */
	__u64 spent;  /* as in struct pf_limiter */
	__u64 admitted;
	__u64 hardlimited;
	__u64 ratelimited;
	__u32 expire; /* tick, if it has no states */
	__u32 pad;
};

/* What bpf/limits.h says of a rule's limiters. */
#define LIMITS_ROOM    0
#define LIMITS_NO_ROOM 1 /* the rule does not match */
#define LIMITS_BLOCK   2 /* the packet is dropped: struct pf_pkt.limited */

PF_ABI_ASSERT(sizeof(struct pf_limiter) == 160);
PF_ABI_ASSERT(sizeof(struct pf_limited) == 48);

#endif /* PF_ABI_LIMITER_H */
