/* SPDX-License-Identifier: BSD-2-Clause */
/* Rulesets as text and packets, by chance; made so that parts of them can be taken out again. */
#ifndef PF_SELFTESTS_MODEL_GEN_H
#define PF_SELFTESTS_MODEL_GEN_H

#include <stdio.h>

#include "../../grammar/arena.h"
#include "../unit/rnd.h"
#include "model.h"

/* What not every version enforces: a bit each. */
enum gen_feature {
	GEN_RANGE,
	GEN_MATCH,
	GEN_TAG,
	GEN_TOS,
	GEN_PROB,
	GEN_RECEIVED,
	GEN_LOG_MATCHES,
	GEN_ANCHOR,
	GEN_ANCHOR_CALL,
	GEN_ANCHOR_STAR,
	GEN_ANCHOR_LOAD,
	GEN_ANCHOR_TABLE,
	GEN_ENDLESS,
	GEN_FEATURES,
};

struct gen_probe {
	const char *name;
	const char *text; /* a ruleset that has it */
};
extern const struct gen_probe gen_probes[GEN_FEATURES];

/* The parts of a rule, as they stand in its text. */
enum gen_part {
	GEN_ACTION,
	GEN_DIR,
	GEN_LOG,
	GEN_QUICK,
	GEN_IFACE,
	GEN_AF,
	GEN_PROTO,
	GEN_FROM,
	GEN_FROM_PORT,
	GEN_TO,
	GEN_TO_PORT,
	GEN_FLAGS,
	GEN_ICMP,
	GEN_FRAGMENT,
	GEN_OPTS,
	GEN_TOS_IS,
	GEN_TAG_SET,
	GEN_TAGGED,
	GEN_RECEIVED_ON,
	GEN_PROBABILITY,
	GEN_STATE,
	GEN_PARTS,
};

/* What a packet must be like to meet the rule. */
struct gen_hint {
	uint8_t dir, af, proto;
	uint8_t flags;
	bool has_src, has_dst, has_sport, has_dport, has_flags, has_icmp, has_tos, fragment;
	struct pf_ip src[2], dst[2]; /* first and last address */
	uint16_t sport[2], dport[2];
	uint8_t icmp_type, icmp_code, tos;
	const char *ifname, *received;
};

struct gen_rules {
	struct gen_rule *v;
	size_t n, capacity;
};

struct gen_rule {
	const char *part[GEN_PARTS];
	bool off;
	bool braces; /* an anchor's, around .body */
	struct gen_rules body;
	struct gen_hint hint;
};

struct gen_entry {
	uint8_t af, bits;
	bool neg, off;
	struct pf_ip ip;
};

#define GEN_TABLES 4

struct gen_table {
	const char *name;
	bool persist, off;
	struct gen_entry *entry;
	size_t n;
};

#define GEN_POOL 64

struct gen_ruleset {
	struct pf_arena arena;
	uint32_t features;
	const char *head; /* options */
	struct gen_table table[GEN_TABLES];
	uint32_t ntables; /* few: each costs the kernel two RCU periods */
	struct gen_rules rules;
	const char *late_path; /* where `late` is loaded afterwards; NULL: it is not */
	struct gen_rules late;
	/* addresses that are worth a try */
	struct pf_ip ip4[GEN_POOL], ip6[GEN_POOL];
	size_t nip4, nip6;
	/* moods */
	uint32_t match, quick, block, anchor, wide, log, state, any_flags;
	bool many_ifaces; /* more names than one word has bits */
	bool changes;	  /* of tables, while packets come */
	bool endless;	  /* an anchor calls itself */
};

extern const char *const gen_ifaces[];
#define GEN_IFACES 5

void gen_ruleset(struct rnd *r, struct gen_ruleset *g, size_t n, uint32_t features);
void gen_free(struct gen_ruleset *g);
/* All but what is off. */
void gen_print(FILE *f, const struct gen_ruleset *g);
void gen_print_late(FILE *f, const struct gen_ruleset *g);

/* In front of a packet: the entry is taken out of the table, or put in if it is not there. */
struct gen_change {
	const char *table; /* NULL: nothing changes */
	struct gen_entry entry;
};
struct gen_change gen_change(struct rnd *r, const struct gen_ruleset *g);

struct model_packet gen_packet(struct rnd *r, const struct gen_ruleset *g);
/* What the packet's other side, or its own, may send next. */
struct model_packet gen_follow(struct rnd *r, const struct model_packet *last);

#endif /* PF_SELFTESTS_MODEL_GEN_H */
