/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Address tables: entries, the ranges made of them, and what the datapath adds.  See abi.h. */
#ifndef PF_ABI_TABLE_H
#define PF_ABI_TABLE_H

#include "abi_base.h"

/*
 * An entry of a table, as the loader keeps it in the table's own pinned array;
 * packets are judged by the ranges made of them.  The family is written last.
 */
#define PF_TABLE_ENTRY_NOT 0x01
struct pf_table_item {
	struct pf_addr addr;
	__u8 af; /* enum pf_af; 0: no entry */
	__u8 bits;
	__u8 flags;
	__u8 pad;
	__u32 since; /* it is there, or was last cleared: CLOCK_BOOTTIME seconds */
};

/*
 * The ranges of a table: which addresses are in it, longest prefixes and negated
 * ones worked out.  A word tells it for a range of addresses; for all of them it
 * stands in pf_tables, one for each family.  What a word leads to does not change
 * while a packet may look at it, but for single words in slots of a node.
 *
 * SAME: the bit says it for all.  LEAF: the bit says it for the first, and from
 * each address above one of `above` on it is the other way round; what is unused
 * there is all ones.  SPLIT: the word of the address's part of the range says it.
 */
#define PF_RANGE_SAME	     0x0
#define PF_RANGE_LEAF	     0x1
#define PF_RANGE_SPLIT	     0x2
#define PF_RANGE_KIND	     0x3
#define PF_RANGE_IN	     0x4
#define PF_RANGE_IN_SHIFT    2
/* where it is: word >> 16 the chunk, these bits the unit in it */
#define PF_RANGE_UNIT	     0xfff0
#define PF_RANGE_UNIT_BYTES  16 /* word & PF_RANGE_UNIT, times this, is the byte */
#define PF_RANGE_CHUNK_SHIFT 16

#define PF_NODE_UNIT	     256 /* bytes */
#define PF_NODE_UNITS	     4096
#define PF_NODE_CHUNK	     (PF_NODE_UNIT * PF_NODE_UNITS)
#define PF_NODE_CHUNKS	     4096

/* One unit more than there is, for the verifier: a leaf in the last one may be of two. */
struct pf_node_chunk {
	__u8 bytes[PF_NODE_CHUNK + PF_NODE_UNIT];
};

/*
 * A table that the datapath may add addresses to, as `overload' does: they stand in
 * pf_table_delta until the loader has put them into the ranges, and are in the table
 * from the start (bpf/delta.h).
 */
enum pf_table_writes {
	PF_TABLE_SHUT = 0, /* the datapath adds nothing: to most tables, for ever */
	PF_TABLE_OPEN,
	PF_TABLE_FULL, /* it would, but the table may have no more */
};

/*
 * What stands there of a table.  SOME is the datapath's to write, before it adds; the
 * loader goes by CLOSING to NONE.  Only at NONE do look-ups pass the delta by.
 */
enum pf_table_delta_state { PF_DELTA_NONE = 0, PF_DELTA_SOME, PF_DELTA_CLOSING };

struct pf_table_roots {
	__u32 word[2]; /* IPv4, IPv6; an aligned pair, written as one */
	__u32 delta;   /* enum pf_table_delta_state */
	__u32 writes;  /* enum pf_table_writes */
	/*
	 * Of IPv4, of IPv6: how long prefixes in the delta may be but for hosts, which may
	 * always be there.  From the low byte on, each a length and 1; 0 are no more.
	 */
	__u64 nets[2];
};
#define PF_TABLE_NETS 8

#define PF_DELTA_MOST 32768 /* addresses of all tables: 100 bytes each, taken from the start */

/* What is added; af is enum pf_af.  The value beside it there is its pf_table_item.since. */
struct pf_table_net {
	__u32 slot;
	__u8 af;
	__u8 bits; /* of a host all */
	__u16 pad;
	struct pf_addr addr;
};

/* What a table denies: a key of a trie, whose value is the prefix's length. */
struct pf_table_not {
	__u32 bits; /* of what follows: PF_TABLE_NOT_BITS and those of the prefix */
	__u32 slot;
	__u32 af;
	struct pf_addr addr;
};
#define PF_TABLE_NOT_BITS  64
#define PF_TABLE_NOTS_MOST (1U << 20) /* of all tables; see pf.conf(5), LIMITS */

#define PF_LEAF4_MOST	   63
struct pf_range_leaf4 {
	__u32 above[PF_LEAF4_MOST + 1];
};

/* In host order. */
struct pf_range_addr {
	__u64 hi, lo; /* an IPv4 address is in lo */
};
#define PF_LEAF6_MOST 31
struct pf_range_leaf6 {
	struct pf_range_addr above[PF_LEAF6_MOST + 1];
};

/*
 * The slot is (address - base) >> shift; what is below the base belongs to the
 * first, what is beyond the last to that.  At least 8 bits are taken at each step,
 * unless nothing is left of the address: that bounds the depth.
 */
struct pf_range_split {
	struct pf_range_addr base;
	__u32 shift;
	__u32 last;
	__u32 pad[2];
	__u32 slot[];
};
#define PF_SPLIT_BITS_LEAST 8
#define PF_SPLIT_BITS_MOST  17
#define PF_RANGE_DEPTH4	    5 /* words from the root's on, that of the leaf's range too */
#define PF_RANGE_DEPTH6	    17

#define PF_MAX_TABLES	    4096 /* slots of the array of tables; 0 is always empty */

/* Who a table is; kept by the loader, by slot. */
#define PF_TABLE_USED	    0x01
#define PF_TABLE_PERSIST    0x02
#define PF_TABLE_CONST	    0x04
#define PF_TABLE_ANCHORED   0x08 /* an anchor's, whose path is in pf_table_anchors */
#define PF_TABLE_COUNTERS   0x10 /* as generations have it */
struct pf_table_name {
	char name[32];
	__u32 flags;
	__u32 counts; /* number of its counters; 0: it has none */
};
struct pf_table_anchor {
	char path[1024];
};

/*
 * Counters of tables that have them, by a number which a table passes on to the one that
 * takes its place: in a trie, so that the longest prefix is found, as pf has it.  With no
 * more of the key than the number, the table in whole.
 */
struct pf_table_count_key {
	__u32 bits;
	__u32 counts;
	__u32 af; /* enum pf_af */
	struct pf_addr addr;
};
#define PF_TABLE_COUNT_TABLE  32	 /* bits of the number */
#define PF_TABLE_COUNT_PREFIX 64	 /* bits before the address's */
#define PF_TABLE_COUNTS_MOST  (1U << 20) /* of all tables; see pf.conf(5), LIMITS */

enum pf_table_count_op {
	PF_TABLE_OP_BLOCK,
	PF_TABLE_OP_MATCH,
	PF_TABLE_OP_PASS,
	PF_TABLE_OP_XPASS, /* of a state: what matched once would not now; for no entry */
	PF_TABLE_OPS,
};
/* What counts there: for a table in whole, or for one of its entries. */
enum pf_table_count_kind { PF_TABLE_COUNT_ALL, PF_TABLE_COUNT_ENTRY, PF_TABLE_COUNT_NOT };
/* By (way out ? PF_TABLE_OPS : 0) + enum pf_table_count_op. */
#define PF_TABLE_COUNTERS_EACH (2 * PF_TABLE_OPS)
struct pf_table_count {
	__u64 packets[PF_TABLE_COUNTERS_EACH];
	__u64 bytes[PF_TABLE_COUNTERS_EACH];
	__u32 kind; /* enum pf_table_count_kind */
	__u32 bits; /* of its key: a trie finds others, too */
};

/* A rule's tables that count, by its id: source, destination. */
#define PF_RULE_TABLES_MOST 65536
struct pf_rule_tables {
	__u16 counts[2]; /* their numbers; 0: none */
	__u8 neg[2];
	__u8 op; /* enum pf_table_count_op */
	__u8 pad;
};

PF_ABI_ASSERT(sizeof(struct pf_table_item) == 24);
PF_ABI_ASSERT(sizeof(struct pf_table_roots) == 32);
PF_ABI_ASSERT(sizeof(struct pf_table_net) == 24);
PF_ABI_ASSERT(sizeof(struct pf_table_not) == 28);
PF_ABI_ASSERT(sizeof(struct pf_range_leaf4) == PF_NODE_UNIT);
PF_ABI_ASSERT(sizeof(struct pf_range_leaf6) == 2 * PF_NODE_UNIT);
PF_ABI_ASSERT(sizeof(struct pf_range_split) == 32);
PF_ABI_ASSERT(sizeof(struct pf_table_name) == 40);
PF_ABI_ASSERT(sizeof(struct pf_table_count_key) == 28);
PF_ABI_ASSERT(sizeof(struct pf_table_count) == 136);
PF_ABI_ASSERT(sizeof(struct pf_rule_tables) == 8);

#endif /* PF_ABI_TABLE_H */
