/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Rules as data, for emitter B.  See abi.h. */
#ifndef PF_ABI_TREE_H
#define PF_ABI_TREE_H

#include "abi_base.h"

/*
 * Rules as data: see compiler/tree.h.  A packet's fields, for the tree: 32 bits
 * each, in host order.  An IPv4 address is in the first of the four words.
 */
enum pf_tree_field {
	PF_TREE_SRC = 0, /* four words */
	PF_TREE_DST = 4,
	PF_TREE_SPORT = 8,
	PF_TREE_DPORT,
	PF_TREE_PROTO,
	PF_TREE_DIR,
	PF_TREE_IFACE, /* pf_ifmask.name */
	PF_TREE_ICMP,  /* type << 8 | code */
	PF_TREE_FIELDS,
	PF_TREE_LEAF = 15,
};

/* Trees of one family: rules by destination, by source, and the rest. */
#define PF_TREE_GROUPS	   3
#define PF_TREE_DEPTH_MOST 48
#define PF_TREE_NONE	   0xffffffffU

/*
 * field < PF_TREE_FIELDS: on to node `next`, or to the one behind it if the
 * packet's field is above `value`.  PF_TREE_LEAF: `next` entries from `value` on.
 */
struct pf_tree_node {
	__u32 next_field; /* next << 4 | field */
	__u32 value;
};

/* Entries of leaves, in the order of the rules: a rule's index, perhaps with this. */
#define PF_TREE_SURE 0x80000000U /* every packet that comes to the leaf matches */
struct pf_tree_entries {
	__u32 rule[2]; /* an array's elements take eight bytes at least */
};

/* What is left of a leaf's list; head is PF_TREE_NONE when nothing is. */
struct pf_tree_list {
	__u32 head, at, left;
};

/* The trees of one ruleset: the main one, or an anchor's. */
struct pf_tree_set {
	__u32 root[2][PF_TREE_GROUPS]; /* by family and group; PF_TREE_NONE: no rules */
};

/* What an anchor's rule calls: `n` of the callees from `first` on. */
struct pf_tree_call {
	__u32 first, n;
};
struct pf_tree_callee {
	__u32 set;
	__u32 pad;
};

#define PF_WALK_DEPTH 64 /* anchors in anchors; deeper than that is a drop, as in pf */

/* A ruleset that is walked: the main one at 0, then the anchors that led there. */
struct pf_walk_frame {
	struct pf_tree_list list[PF_TREE_GROUPS];
	__u32 set;
	__u32 from;	  /* rules before it have been looked at */
	__u32 moves;	  /* struct pf_pkt.moves when the lists were looked up */
	__u32 rule;	  /* the anchor's */
	__u32 at, left;	  /* callees that are not yet walked */
	__u32 won_before; /* how often a rule had won when it began */
	__u32 quick;
};

/* What a rule asks beyond the words that are always compared. */
enum {
	PF_TEST_IFACE = 0x0001,	    /* bit ifbit of the mask */
	PF_TEST_IFACE_NOT = 0x0002, /* ... must be 0 */
	PF_TEST_SRC = 0x0004,	    /* the four words */
	PF_TEST_SRC_NOT = 0x0008,   /* ... must differ */
	PF_TEST_DST = 0x0010,
	PF_TEST_DST_NOT = 0x0020,
	PF_TEST_SRC_TABLE = 0x0040,
	PF_TEST_DST_TABLE = 0x0080, /* _NOT of both as above */
	PF_TEST_SPORT_NOT = 0x0100, /* the ports must be outside of the range */
	PF_TEST_DPORT_NOT = 0x0200,
	PF_TEST_WHOLE = 0x0400, /* no fragment but the first */
	PF_TEST_FRAGMENT = 0x0800,
	PF_TEST_KEEP = 0x1000,	    /* no packet that keeps no state */
	PF_TEST_FLAGS = 0x2000,	    /* TCP's flags, if it is TCP */
	PF_TEST_NEVER = 0x4000,	    /* matches no packet: it is in no tree */
	PF_TEST_SRC_RANGE = 0x8000, /* src is the first address, src_mask the last */
	PF_TEST_DST_RANGE = 0x10000,
	PF_TEST_TOS = 0x20000,
	PF_TEST_PROB = 0x40000,
	PF_TEST_TAG = 0x80000,
	PF_TEST_TAG_NOT = 0x100000,
	PF_TEST_RCV = 0x200000, /* bit rcvbit of the receiving interface's mask */
	PF_TEST_RCV_NOT = 0x400000,
	PF_TEST_LIMITS = 0x800000, /* room in the limiters of `call` */
	PF_TEST_RATE = 0x1000000,  /* of its pf_meter, last of all */
};

/* What a rule is. */
enum pf_tree_kind { PF_TREE_VERDICT, PF_TREE_MATCH, PF_TREE_ANCHOR, PF_TREE_ONCE };

/* A rule of the tree.  The first words are as they lie in struct pf_pkt. */
struct pf_tree_rule {
	__u32 head, head_mask; /* af, dir, proto, tcp_flags */
	__u32 icmp, icmp_mask; /* type, code */
	__u32 src0, src0_mask, dst0, dst0_mask;
	__u16 sport, sport_span; /* the first one, and how many follow */
	__u16 dport, dport_span;
	__u32 tests; /* PF_TEST_* */
	__u16 ifbit, rcvbit;
	__u8 kind_quick;     /* enum pf_tree_kind << 1 | quick */
	__u8 flags, flagset; /* PF_TEST_FLAGS */
	__u8 tos;
	__u16 tagged, tag;			     /* that it asks for; that it gives, 0 none */
	__u32 prob;				     /* of 2^32 */
	__u32 call;				     /* of an anchor's rule; else PF_LIMITS_* */
	struct pf_addr src, src_mask, dst, dst_mask; /* w[0] of src, dst: a table's slot */
};

PF_ABI_ASSERT(sizeof(struct pf_tree_node) == 8);
PF_ABI_ASSERT(sizeof(struct pf_tree_rule) == 128);
PF_ABI_ASSERT(sizeof(struct pf_walk_frame) == 68);

#endif /* PF_ABI_TREE_H */
