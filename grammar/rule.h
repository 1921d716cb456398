/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule model: what a pf.conf means, after macros, lists and defaults have
 * been worked in.  The parser makes it, the printer writes it, the control
 * protocol carries it, the compiler lowers it.
 *
 * Strings belong to the ruleset's arena; equal interface, table and label names
 * need not be the same pointer.
 */
#ifndef PF_GRAMMAR_RULE_H
#define PF_GRAMMAR_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "arena.h"

/* Lengths with the final NUL, as in OpenBSD's pfvar.h. */
#define PF_IFNAME_SIZE	   16
#define PF_IF_ANY	   "any" /* as an interface: all but loopback */
#define PF_TABLE_NAME_SIZE 32
#define PF_LABEL_SIZE	   64

/* The order of set timeout's names; pf_timeout_names[] follows it. */
enum pf_timeout_id {
	PF_TIMEOUT_TCP_FIRST,
	PF_TIMEOUT_TCP_OPENING,
	PF_TIMEOUT_TCP_ESTABLISHED,
	PF_TIMEOUT_TCP_CLOSING,
	PF_TIMEOUT_TCP_FINWAIT,
	PF_TIMEOUT_TCP_CLOSED,
	PF_TIMEOUT_UDP_FIRST,
	PF_TIMEOUT_UDP_SINGLE,
	PF_TIMEOUT_UDP_MULTIPLE,
	PF_TIMEOUT_ICMP_FIRST,
	PF_TIMEOUT_ICMP_ERROR,
	PF_TIMEOUT_OTHER_FIRST,
	PF_TIMEOUT_OTHER_SINGLE,
	PF_TIMEOUT_OTHER_MULTIPLE,
	PF_TIMEOUT_FRAG,
	PF_TIMEOUT_INTERVAL,
	PF_TIMEOUT_ADAPTIVE_START,
	PF_TIMEOUT_ADAPTIVE_END,
	PF_TIMEOUT_SRC_TRACK,
	PF_TIMEOUT_TCP_TSDIFF,
	PF_TIMEOUT_MAX,
};

/* The clock of states has 32 bits at up to 62.5 ticks a second. */
#define PF_TIMEOUT_LARGEST ((1U << 24) - 1)

enum pf_limit_id {
	PF_LIMIT_STATES,
	PF_LIMIT_SRC_NODES,
	PF_LIMIT_FRAGS,
	PF_LIMIT_TABLES,
	PF_LIMIT_TABLE_ENTRIES,
	PF_LIMIT_MAX,
};

#define PF_RULES_LARGEST  1000000
#define PF_STATES_LARGEST (1U << 24)

enum pf_rule_action { PF_RULE_ACTION_PASS, PF_RULE_ACTION_BLOCK };
enum pf_rule_dir { PF_RULE_INOUT, PF_RULE_IN, PF_RULE_OUT };

/* How a blocked packet is answered. */
enum pf_block_kind {
	PF_BLOCK_DROP,
	PF_BLOCK_RETURN, /* RST to TCP, ICMP to the rest */
	PF_BLOCK_RETURN_RST,
	PF_BLOCK_RETURN_ICMP,
};

enum pf_host_type { PF_HOST_ANY, PF_HOST_PREFIX, PF_HOST_TABLE };

struct pf_rule_host {
	enum pf_host_type type;
	bool neg;
	uint8_t af;   /* enum pf_family; PREFIX */
	uint8_t bits; /* PREFIX */
	struct pf_ip ip;
	const char *table; /* TABLE */
};

/* pf.conf(5)'s operators; the binary ones take lo and hi. */
enum pf_port_op {
	PF_PORT_ANY,
	PF_PORT_EQ,
	PF_PORT_NE,
	PF_PORT_LT,
	PF_PORT_LE,
	PF_PORT_GT,
	PF_PORT_GE,
	PF_PORT_RANGE,	 /* lo:hi, both included */
	PF_PORT_INSIDE,	 /* lo >< hi, neither included */
	PF_PORT_OUTSIDE, /* lo <> hi */
};

struct pf_rule_port {
	enum pf_port_op op;
	uint16_t lo;
	uint16_t hi;
};

struct pf_rule {
	uint32_t line;	      /* where it was written; 0 unknown */
	uint8_t action;	      /* enum pf_rule_action */
	uint8_t dir;	      /* enum pf_rule_dir */
	uint8_t af;	      /* enum pf_family */
	uint8_t proto;	      /* 0 any */
	uint8_t block_kind;   /* enum pf_block_kind */
	uint8_t return_ttl;   /* 0 the default */
	uint16_t return_icmp; /* type << 8 | code; 0 none */
	uint16_t return_icmp6;
	uint8_t flags;	    /* TCP flags that must be set among ... */
	uint8_t flagset;    /* ... these */
	uint16_t icmp_type; /* + 1; 0 any */
	uint16_t icmp_code; /* + 1; 0 any */
	bool log;
	bool quick;
	bool ifnot;
	bool keep_state;
	bool allow_opts;
	bool fragment;
	const char *ifname; /* NULL any */
	const char *label;  /* NULL none */
	struct pf_rule_host src;
	struct pf_rule_host dst;
	struct pf_rule_port sport;
	struct pf_rule_port dport;
};

struct pf_table_entry {
	uint8_t af; /* enum pf_family */
	uint8_t bits;
	bool neg;
	struct pf_ip ip;
};

/* One entry as written: an address list, or a file's name. */
struct pf_table_def {
	const char *name;
	bool persist;
	bool constant;
	bool has_list; /* braces were given: the content is replaced at load */
	struct pf_table_entry *entries;
	size_t nentries;
	size_t capacity;
};

struct pf_options {
	uint32_t timeout[PF_TIMEOUT_MAX]; /* seconds; adaptive ones count states */
	uint32_t limit[PF_LIMIT_MAX];
	uint32_t timeout_set; /* bits: written in the file */
	uint32_t limit_set;
	bool block_return;
};

/* What -v echoes, in the order of the file. */
enum pf_item_kind { PF_ITEM_TEXT, PF_ITEM_TABLE, PF_ITEM_RULE };

struct pf_item {
	enum pf_item_kind kind;
	const char *text; /* TEXT: macro or option, as printed */
	size_t index;	  /* of the table or rule */
};

struct pf_ruleset {
	struct pf_arena arena;
	struct pf_options options;
	struct pf_rule *rules;
	size_t nrules, rules_capacity;
	struct pf_table_def *tables;
	size_t ntables, tables_capacity;
	const char **skip; /* interfaces of set skip on */
	size_t nskip, skip_capacity;
	struct pf_item *items;
	size_t nitems, items_capacity;
};

/* NULL when memory is short; options have their defaults. */
struct pf_ruleset *pf_ruleset_new(void);
void pf_ruleset_free(struct pf_ruleset *rs);

/* For the cleanup attribute. */
void pf_ruleset_freep(struct pf_ruleset **rs);
#define pf_ruleset_auto __attribute__((cleanup(pf_ruleset_freep))) struct pf_ruleset *

/*
 * These append a zeroed element and return it, or NULL when memory is short.
 * A returned pointer holds until the next call for the same ruleset.
 */
struct pf_rule *pf_ruleset_add_rule(struct pf_ruleset *rs);
struct pf_table_def *pf_ruleset_add_table(struct pf_ruleset *rs, const char *name);
struct pf_table_entry *pf_table_def_add(struct pf_table_def *t);
int pf_ruleset_add_skip(struct pf_ruleset *rs, const char *ifname);
int pf_ruleset_add_item(struct pf_ruleset *rs, enum pf_item_kind kind, const char *text,
			size_t index);

/* The table of that name, or NULL. */
struct pf_table_def *pf_ruleset_find_table(const struct pf_ruleset *rs, const char *name);

void pf_options_init(struct pf_options *o);

/* adaptive.start and adaptive.end when the file does not say: 60 and 120 % of the states. */
void pf_options_finish(struct pf_options *o);

#endif /* PF_GRAMMAR_RULE_H */
