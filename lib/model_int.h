/* SPDX-License-Identifier: BSD-2-Clause */
/* How a ruleset lies in bytes, for who writes it (model.c) and who reads it (modelread.c). */
#ifndef PF_LIB_MODEL_INT_H
#define PF_LIB_MODEL_INT_H

#define MODEL_MAGIC 0x70664d31 /* "pfM1" */

/* Bits of a rule's flags byte. */
enum {
	RULE_LOG = 1,
	RULE_QUICK = 2,
	RULE_IFNOT = 4,
	RULE_KEEP = 8,
	RULE_ALLOW_OPTS = 16,
	RULE_FRAGMENT = 32,
};

enum {
	TABLE_PERSIST = 1,
	TABLE_CONST = 2,
	TABLE_LIST = 4,
	TABLE_AUTOMATIC = 8,
	TABLE_COUNTERS = 16,
};

/* What of a rule's rarer parts follows it. */
enum {
	EXT_RECEIVED = 1,
	EXT_RECEIVED_NOT = 2,
	EXT_TOS = 4,
	EXT_PROB = 8,
	EXT_TAGGED = 16,
	EXT_TAGGED_NOT = 32,
	EXT_TAG = 64,
	EXT_ANCHOR = 128,
	EXT_NAT = 256,
	EXT_RDR = 512,
	EXT_STATE = 1024,
	EXT_LIMITERS = 2048,
	EXT_ONCE = 4096,
	EXT_PKT_RATE = 8192,
	EXT_LABELS = 16384,
	EXT_ROUTE = 32768,
	EXT_ALL = 65535,
};

/* Of state options. */
enum {
	STATE_NO_SYNC = 1,
	STATE_IF_BOUND = 2,
	STATE_SLOPPY = 4,
	STATE_FLOATING = 8,
	STATE_TRACK_GLOBAL = 16,
	STATE_TRACK_RULE = 32,
	STATE_FLUSH = 64,
	STATE_FLUSH_GLOBAL = 128,
};

/* Of a rule's limiter. */
enum { LIMITER_BLOCK = 1, LIMITER_GIVEN = 2 };

#endif /* PF_LIB_MODEL_INT_H */
