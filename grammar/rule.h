/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule model: what a pf.conf means, after macros, lists and defaults have
 * been worked in.  The parser makes it, the optimiser changes it, the printer
 * writes it, the control protocol carries it, the compiler lowers it.
 *
 * Everything that pf.conf(5) knows has a place here.  A rule's rarer parts are in
 * struct pf_rule_ext, which many rules of one statement share: it is never
 * changed once a rule refers to it.
 *
 * Strings and everything that a rule points to belong to the ruleset's arena;
 * equal names need not be the same pointer.
 */
#ifndef PF_GRAMMAR_RULE_H
#define PF_GRAMMAR_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "arena.h"

/* Lengths with the final NUL, as in OpenBSD's pfvar.h. */
#define PF_IFNAME_SIZE	     16
#define PF_IF_ANY	     "any"    /* as an interface: all but loopback */
#define PF_GROUP_EGRESS	     "egress" /* those that a default route leads to */
#define PF_GROUP_ALL	     "all"
#define PF_TABLE_NAME_SIZE   32
#define PF_LABEL_SIZE	     64
#define PF_TAG_SIZE	     64
#define PF_QUEUE_NAME_SIZE   64
#define PF_RTLABEL_SIZE	     32
#define PF_ANCHOR_SIZE	     1024 /* a whole path */
#define PF_ANCHOR_NAME_SIZE  64	  /* one component */
#define PF_LIMITER_NAME_SIZE 16
#define PF_OS_NAME_SIZE	     32
#define PF_LABELS_MOST	     5 /* of one rule, as in FreeBSD */

/*
 * The order of set timeout's names and the datapath's (bpf/abi.h); pf_timeout_names[]
 * follows it.
 */
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
	PF_TIMEOUT_SCTP_FIRST,
	PF_TIMEOUT_SCTP_OPENING,
	PF_TIMEOUT_SCTP_ESTABLISHED,
	PF_TIMEOUT_SCTP_CLOSING,
	PF_TIMEOUT_SCTP_CLOSED,
	PF_TIMEOUT_MAX,
};

/* The clock of states has 32 bits at up to 62.5 ticks a second. */
#define PF_TIMEOUT_LARGEST ((1U << 24) - 1)
#define PF_RATE_LARGEST	   (UINT32_MAX / 1000) /* PF_THRESHOLD_MAX of pfvar.h */

enum pf_limit_id {
	PF_LIMIT_STATES,
	PF_LIMIT_SRC_NODES,
	PF_LIMIT_FRAGS,
	PF_LIMIT_TABLES,
	PF_LIMIT_TABLE_ENTRIES,
	PF_LIMIT_MAX,
	/* FreeBSD's: taken and printed */
	PF_LIMIT_ETHER_RULES = PF_LIMIT_MAX,
	PF_LIMIT_ANCHORS,
	PF_LIMIT_PKTDELAY,
	PF_LIMIT_ALL,
};

#define PF_RULES_LARGEST  1000000
#define PF_STATES_LARGEST (1U << 24)

enum pf_rule_action {
	PF_RULE_ACTION_PASS,
	PF_RULE_ACTION_BLOCK,
	PF_RULE_ACTION_MATCH,
	/* the old dialect's */
	PF_RULE_ACTION_SCRUB,
	PF_RULE_ACTION_NO_SCRUB,
	PF_RULE_ACTION_NAT,
	PF_RULE_ACTION_NO_NAT,
	PF_RULE_ACTION_RDR,
	PF_RULE_ACTION_NO_RDR,
	PF_RULE_ACTION_BINAT,
	PF_RULE_ACTION_NO_BINAT,
	PF_RULE_ACTION_DUMMYNET, /* macOS: only as dummynet-anchor */
	PF_RULE_ACTION_MAX,
};

enum pf_rule_dir { PF_RULE_INOUT, PF_RULE_IN, PF_RULE_OUT };

/* How a blocked packet is answered. */
enum pf_block_kind {
	PF_BLOCK_DROP,
	PF_BLOCK_RETURN, /* RST to TCP, ICMP to the rest */
	PF_BLOCK_RETURN_RST,
	PF_BLOCK_RETURN_ICMP,
};

enum pf_host_type {
	PF_HOST_ANY,
	PF_HOST_PREFIX,
	PF_HOST_TABLE,
	PF_HOST_RANGE,	  /* ip - *hi */
	PF_HOST_DYNAMIC,  /* (name:modifiers)/bits */
	PF_HOST_NO_ROUTE, /* no-route */
	PF_HOST_URPF,	  /* urpf-failed */
	PF_HOST_RTLABEL,  /* route "name" */
	PF_HOST_NAME,	  /* only with --offline: a name that was not looked up */
};

/* Modifiers of an interface as an address. */
enum {
	PF_HOST_NETWORK = 1,
	PF_HOST_BROADCAST = 2,
	PF_HOST_PEER = 4,
	PF_HOST_NOALIAS = 8, /* :0 */
};

struct pf_rule_host {
	enum pf_host_type type;
	bool neg;
	uint8_t af;	   /* enum pf_family; PREFIX, RANGE; 0 for the others */
	uint8_t bits;	   /* PREFIX; DYNAMIC: 128 if none were given */
	uint8_t modifiers; /* DYNAMIC */
	struct pf_ip ip;   /* PREFIX, RANGE: the first address */
	union {
		const char *table;	/* TABLE */
		const char *name;	/* DYNAMIC: interface or group; RTLABEL; NAME */
		const struct pf_ip *hi; /* RANGE: the last address */
	};
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

/* user and group: enum pf_port_op without RANGE. */
struct pf_rule_id {
	enum pf_port_op op;
	uint32_t lo; /* PF_ID_UNKNOWN: a socket that nobody owns */
	uint32_t hi;
};
#define PF_ID_UNKNOWN	 UINT32_MAX

#define PF_PKT_RATE_MOST (UINT32_MAX / 1000) /* packets are counted in thousandths, of 32 bits */
struct pf_rate {
	uint32_t limit; /* 0: none */
	uint32_t seconds;
};

/* --- address pools: nat-to, rdr-to, route-to, "->" and kin --- */

enum pf_pool_type {
	PF_POOL_NONE,
	PF_POOL_BITMASK,
	PF_POOL_RANDOM,
	PF_POOL_SOURCE_HASH,
	PF_POOL_ROUND_ROBIN,
	PF_POOL_LEAST_STATES,
};

struct pf_pool_host {
	struct pf_rule_host host;
	const char *ifname; /* "(ifname address)" of FreeBSD's route-to; else NULL */
	bool no_address;    /* only the interface was given */
	uint16_t weight;    /* 0 none */
};

struct pf_pool {
	const struct pf_pool_host *hosts;
	uint32_t nhosts;
	uint8_t type; /* enum pf_pool_type */
	bool sticky;
	bool static_port;
	bool endpoint_independent;
	bool prefer_ipv6_nexthop;
	bool port_range;	/* hi was given, or made from "*" */
	uint16_t port, port_hi; /* 0: none was given */
	uint8_t mape_offset;	/* map-e-portset; 0 none */
	uint8_t mape_psid_len;
	uint16_t mape_psid;
	const char *key; /* source-hash: "0x" and 32 hexadecimal digits; NULL random */
};

enum pf_route_kind { PF_ROUTE_NONE, PF_ROUTE_TO, PF_REPLY_TO, PF_DUP_TO };

/* --- state options --- */

enum pf_state_kind { PF_STATE_NO, PF_STATE_KEEP, PF_STATE_MODULATE, PF_STATE_SYNPROXY };
enum pf_source_track { PF_TRACK_NONE, PF_TRACK_GLOBAL, PF_TRACK_RULE };

struct pf_state_opts {
	uint32_t max;
	uint32_t max_src_nodes;
	uint32_t max_src_states;
	uint32_t max_src_conn;
	struct pf_rate max_src_conn_rate;
	const char *overload; /* table */
	bool flush, flush_global;
	bool no_sync, if_bound, sloppy, pflow;
	bool allow_related;		  /* FreeBSD: further associations of SCTP */
	bool floating;			  /* written, against set state-policy if-bound */
	uint8_t source_track;		  /* enum pf_source_track */
	uint32_t timeout[PF_TIMEOUT_MAX]; /* seconds; 0 the global one */
};

/* --- the rarer parts of a rule --- */

enum pf_divert_type { PF_DIVERT_NONE, PF_DIVERT_TO, PF_DIVERT_REPLY, PF_DIVERT_PACKET };

struct pf_divert {
	uint8_t type; /* enum pf_divert_type */
	uint8_t af;   /* DIVERT_TO: 0, FreeBSD's "divert-to port" without an address */
	uint16_t port;
	const char *name; /* only with --offline: it was not looked up */
	struct pf_ip ip;
};

/* What a rule does to packets: scrub (...) and the old scrub rules. */
struct pf_scrub {
	bool no_df, random_id, reassemble_tcp;
	bool set_tos_given;
	bool fragment_no_reassemble; /* old dialect */
	uint8_t min_ttl;	     /* 0 none */
	uint8_t set_tos;	     /* old dialect's set-tos */
	uint16_t max_mss;	     /* 0 none */
};

/* "state limiter" and "source limiter" of a rule; the name is NULL if there is none. */
enum pf_limiter_action { PF_LIMITER_NO_MATCH, PF_LIMITER_BLOCK };
struct pf_rule_limiter {
	const char *name;
	uint8_t id;	/* of the definition; 0 if the rule named no limiter */
	uint8_t action; /* enum pf_limiter_action */
	bool action_given;
};

/* What defines one. */
struct pf_limiter_def {
	const char *name;
	bool source;
	uint8_t id;
	uint8_t mask[2];  /* source: of IPv4, of IPv6 */
	uint32_t entries; /* source */
	uint32_t limit;
	struct pf_rate rate; /* limit 0: none */
	const char *table;   /* source: NULL none */
	uint32_t above, below;
};

#define PF_LIMITER_LENGTHS 4 /* of the networks of one table and family */

struct pf_anchor;

struct pf_rule_ext {
	const struct pf_anchor *anchor; /* the rule is an anchor's call */

	/* log (...) */
	bool log_all, log_matches, log_user;
	uint8_t logif; /* pflogN; 0 the default */

	/* what the packet is asked */
	bool received_not;
	const char *received_on; /* NULL any */
	const char *os;
	struct pf_rule_id user, group;
	bool tos_given, tagged_not;
	uint8_t tos;
	uint8_t prio;	    /* + 1; 0 any */
	const char *tagged; /* NULL any */
	uint16_t rdomain;   /* + 1; 0 any: "on rdomain n" */
	uint32_t prob;	    /* of UINT32_MAX; 0 always */
	struct pf_rate max_pkt_rate;
	uint32_t max_pkt_size;
	struct pf_rule_limiter state_limiter, source_limiter;

	/* what is done */
	bool nat_pass; /* old dialect: "rdr pass" */
	bool once;
	bool set_prio_given, set_tos_given, set_delay_given;
	uint8_t set_prio[2];
	uint8_t set_tos;
	uint16_t set_delay;	    /* ms */
	const char *queue, *pqueue; /* pqueue for ACKs and low delay */
	bool set_queue;		    /* written as "set queue": OpenBSD's */
	const char *tag;
	uint16_t rtable;		  /* + 1; 0 the packet's */
	bool dn_given, dn_pair, dn_queue; /* dnpipe, or dnqueue */
	uint16_t dn[2];
	struct pf_divert divert;
	struct pf_scrub scrub;
	bool scrub_given;

	/* translation and routing */
	const struct pf_pool *nat, *rdr; /* nat-to or af-to's from; rdr-to or af-to's to */
	const struct pf_pool *target;	 /* old dialect: "-> ..." */
	const struct pf_pool *route;
	uint8_t route_kind; /* enum pf_route_kind */
	bool route_old;	    /* written in front of the family, as in FreeBSD */
	uint8_t af_to;	    /* enum pf_family; 0 no af-to */

	const struct pf_state_opts *state; /* NULL all defaults */

	uint32_t ridentifier;			/* 0 none */
	const char *labels[PF_LABELS_MOST - 1]; /* beyond the first */
};

struct pf_rule {
	uint32_t line;	      /* where it was written; 0 unknown */
	uint16_t file;	      /* of the ruleset's files */
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
	uint8_t keep_state; /* enum pf_state_kind */
	bool log;
	bool quick;
	bool ifnot; /* also of rdomain */
	bool allow_opts;
	bool fragment;
	const char *ifname; /* NULL any */
	const char *label;  /* NULL none */
	struct pf_rule_host src;
	struct pf_rule_host dst;
	struct pf_rule_port sport;
	struct pf_rule_port dport;
	const struct pf_rule_ext *x; /* NULL: all of it zero */
};

/* --- tables --- */

struct pf_table_entry {
	uint8_t af; /* enum pf_family */
	uint8_t bits;
	bool neg;
	uint16_t weight; /* 0 none */
	struct pf_ip ip;
};

/* As written, in order: a file, or a run of entries. */
struct pf_table_piece {
	const char *file;    /* NULL: entries in braces */
	size_t first, count; /* of the entries; a file's are among them, too */
	const char **names;  /* with --offline: names that were not looked up */
	size_t nnames;
};

struct pf_table_def {
	const char *name;
	uint32_t line;
	uint16_t file;
	bool persist;
	bool constant;
	bool counters;
	bool automatic;	  /* the optimiser's */
	bool has_list;	  /* braces or a file were given: the content is replaced at load */
	uint32_t timeout; /* seconds; 0 none */
	struct pf_table_entry *entries;
	size_t nentries;
	size_t capacity;
	struct pf_table_piece *pieces;
	size_t npieces, pieces_capacity;
};

/* --- rulesets --- */

struct pf_rule_list {
	struct pf_rule *v;
	size_t n, capacity;
};

/* Each kind is a ruleset of its own, evaluated in FreeBSD's order. */
enum pf_list_kind {
	PF_LIST_SCRUB,
	PF_LIST_NAT,
	PF_LIST_RDR,
	PF_LIST_BINAT,
	PF_LIST_DUMMYNET,
	PF_LIST_FILTER,
	PF_LIST_MAX,
};

struct pf_ether_rule;

/* The rules of the main ruleset or of an anchor's braces, and the tables in them. */
struct pf_block {
	struct pf_rule_list list[PF_LIST_MAX];
	struct pf_ether_rule *ether;
	size_t nether, ether_capacity;
	struct pf_table_def *tables;
	size_t ntables, tables_capacity;
};

/*
 * What an anchor's rule calls.  path: as written ("a/b", "/abs", a star at its end
 * for all that are in it); NULL: it has none.  block: the rules in braces, NULL without braces.
 */
struct pf_anchor {
	const char *path;
	struct pf_block *block;
};

/* --- Ethernet rules (FreeBSD) --- */

struct pf_mac {
	bool given, neg;
	uint8_t addr[6];
	uint8_t mask[6];
};

struct pf_ether_rule {
	uint32_t line;
	uint16_t file;
	uint8_t action; /* PASS or BLOCK */
	uint8_t dir;
	bool quick, ifnot, l3_not_src, l3_not_dst;
	uint16_t proto; /* 0 any */
	uint8_t af;	/* of the addresses */
	const char *ifname, *bridge_to;
	struct pf_mac src, dst;
	struct pf_rule_host l3_src, l3_dst;
	bool dn_given, dn_queue, tagged_not;
	uint16_t dn;
	const char *queue, *tag, *tagged;
	uint32_t ridentifier;
	const char *labels[PF_LABELS_MOST];
	const struct pf_anchor *anchor; /* "ether anchor" */
};

/* --- options --- */

struct pf_options {
	uint32_t timeout[PF_TIMEOUT_MAX]; /* seconds; adaptive ones count states */
	uint32_t limit[PF_LIMIT_ALL];
	uint32_t timeout_set; /* bits: written in the file */
	uint32_t limit_set;
	bool block_return;
	bool if_bound; /* set state-policy */
	bool keep_counters;
	bool debug_given;
	uint8_t debug;	  /* syslog's level */
	uint8_t optimize; /* enum pf_optimize; as set ruleset-optimization says */
};

enum pf_optimize { PF_OPTIMIZE_DEFAULT, PF_OPTIMIZE_NONE, PF_OPTIMIZE_BASIC, PF_OPTIMIZE_PROFILE };

/* What -v echoes in front of the rules, in the order of the file. */
enum pf_item_kind { PF_ITEM_TEXT, PF_ITEM_TABLE };

struct pf_item {
	enum pf_item_kind kind;
	const char *text; /* TEXT: macro, option, queue or limiter, as printed */
	size_t index;	  /* of the main ruleset's table */
};

/* "load anchor": the ruleset of a file, which is loaded together with the one that names it. */
struct pf_load {
	const char *path; /* of its anchor, from the main ruleset */
	struct pf_ruleset *rs;
};

struct pf_ruleset {
	struct pf_arena arena;
	struct pf_options options;
	struct pf_block main;
	const char **skip; /* interfaces of set skip on */
	size_t nskip, skip_capacity;
	struct pf_item *items;
	size_t nitems, items_capacity;
	const char **files; /* names of what was read; [0] the first */
	size_t nfiles, files_capacity;
	struct pf_block **blocks; /* all of the anchors', to be freed */
	size_t nblocks, blocks_capacity;
	struct pf_load *loads; /* in their order */
	size_t nloads, loads_capacity;
	struct pf_limiter_def *limiters;
	size_t nlimiters, limiters_capacity;
	bool in_anchor; /* it is loaded at an anchor's path */
};

extern const struct pf_rule_ext pf_rule_ext_none;

/* Never NULL. */
static inline const struct pf_rule_ext *pf_rule_ext_of(const struct pf_rule *r)
{
	return r->x ? r->x : &pf_rule_ext_none;
}

/* Its label of this number below PF_LABELS_MOST, or NULL: any of them may be missing. */
static inline const char *pf_rule_label_at(const struct pf_rule *r, unsigned int i)
{
	return i ? pf_rule_ext_of(r)->labels[i - 1] : r->label;
}

bool pf_rule_has_label(const struct pf_rule *r, const char *label);
/* Any at all. */
bool pf_rule_is_labelled(const struct pf_rule *r);

/* Does it remember the packets that it has met? */
static inline bool pf_rule_metered(const struct pf_rule *r)
{
	return pf_rule_ext_of(r)->once || pf_rule_ext_of(r)->max_pkt_rate.limit;
}

/*
 * Does an ICMP message that answers another never match it?  An answer makes no state,
 * unless the rule is sloppy.
 */
static inline bool pf_rule_no_replies(const struct pf_rule *r)
{
	const struct pf_state_opts *o = pf_rule_ext_of(r)->state;

	return r->keep_state && !(o && o->sloppy);
}

/* NULL when memory is short; options have their defaults. */
struct pf_ruleset *pf_ruleset_new(void);
void pf_ruleset_free(struct pf_ruleset *rs);

/* For the cleanup attribute. */
void pf_ruleset_freep(struct pf_ruleset **rs);
#define pf_ruleset_auto __attribute__((cleanup(pf_ruleset_freep))) struct pf_ruleset *

/* The filter rules of the main ruleset. */
#define pf_filter(rs)	(&(rs)->main.list[PF_LIST_FILTER])

/* The list that a rule of this action is in. */
enum pf_list_kind pf_action_list(enum pf_rule_action action);

/*
 * These append a zeroed element and return it, or NULL when memory is short.
 * A returned pointer holds until the next call for the same list.
 */
struct pf_rule *pf_rule_list_add(struct pf_rule_list *l);
struct pf_rule *pf_ruleset_add_rule(struct pf_ruleset *rs); /* to the main filter rules */
struct pf_table_def *pf_block_add_table(struct pf_ruleset *rs, struct pf_block *b,
					const char *name);
struct pf_table_def *pf_ruleset_add_table(struct pf_ruleset *rs, const char *name);
struct pf_table_entry *pf_table_def_add(struct pf_table_def *t);
struct pf_table_piece *pf_table_def_add_piece(struct pf_table_def *t);
struct pf_ether_rule *pf_block_add_ether(struct pf_block *b);
struct pf_block *pf_ruleset_add_block(struct pf_ruleset *rs);
struct pf_limiter_def *pf_ruleset_add_limiter(struct pf_ruleset *rs);
/* Have the networks that source limiters put into this table at most PF_LIMITER_LENGTHS? */
bool pf_limiter_table_ok(const struct pf_ruleset *rs, const char *table);
struct pf_load *pf_ruleset_add_load(struct pf_ruleset *rs, const char *path);
int pf_ruleset_add_skip(struct pf_ruleset *rs, const char *ifname);
int pf_ruleset_add_item(struct pf_ruleset *rs, enum pf_item_kind kind, const char *text,
			size_t index);
/* The number of a file's name, which is copied; negative errno. */
int pf_ruleset_add_file(struct pf_ruleset *rs, const char *name);

/* The table of that name, or NULL. */
struct pf_table_def *pf_block_find_table(const struct pf_block *b, const char *name);
struct pf_table_def *pf_ruleset_find_table(const struct pf_ruleset *rs, const char *name);

void pf_options_init(struct pf_options *o);

/* adaptive.start and adaptive.end when the file does not say. */
void pf_options_finish(struct pf_options *o);

/*
 * Those of a limit of so many states.  The end is behind it, whatever the rounding: the states of
 * a small table that is full, or of a rule's, would end as they are made.
 */
void pf_timeouts_adapt(uint32_t *timeout, uint32_t states, uint64_t start, uint64_t end);

#endif /* PF_GRAMMAR_RULE_H */
