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
	GEN_SOURCES,
	GEN_LIMITERS,
	GEN_ENDLESS,
	GEN_TRANSLATION,
	GEN_STATE_OPTS,
	GEN_ONCE,
	GEN_PKT_RATE,
	GEN_ROUTING,
	GEN_GROUP,
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
	GEN_RATE,
	GEN_ONE_SHOT,
	GEN_STATE,
	GEN_LIMITS,
	GEN_TRANSLATE,
	GEN_ROUTE,
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
	const char *head;     /* options */
	const char *limiters; /* their definitions */
	struct gen_table table[GEN_TABLES];
	uint32_t ntables; /* few: each costs the kernel two RCU periods */
	struct gen_rules rules;
	const char *late_path; /* where `late` is loaded afterwards; NULL: it is not */
	struct gen_rules late;
	/* addresses that are worth a try */
	struct pf_ip ip4[GEN_POOL], ip6[GEN_POOL];
	size_t nip4, nip6;
	/* moods */
	uint32_t match, quick, block, anchor, wide, log, state, any_flags, translate, state_opts;
	uint32_t once, rates, route;
	uint32_t dialog;  /* packets of connections that there are */
	bool many_ifaces; /* more names than one word has bits */
	bool egress;	  /* some rules ask for it */
	bool sources;	  /* are tracked by rules */
	bool changes;	  /* of tables, while packets come */
	bool endless;	  /* an anchor calls itself */
};

#define GEN_IFACES 5
extern const char *const gen_ifaces[GEN_IFACES];

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

/* Where the default route leads to when the next packet comes; NULL: there is none. */
const char *gen_egress(struct rnd *r, const struct gen_ruleset *g, const char *last);

struct model_packet gen_packet(struct rnd *r, const struct gen_ruleset *g);
/* What the packet's other side, or its own, may send next; left: as it went on. */
struct model_packet gen_follow(struct rnd *r, const struct model_packet *last,
			       const struct model_packet *left);
/* The next segment of a handshake; behind its last one, another connection. */
struct model_packet gen_connect(struct rnd *r, const struct model_packet *last,
				const struct model_packet *left);

/* One of a connection that the model has; false: none is there to speak of. */
bool gen_of_state(struct rnd *r, const struct model *m, struct model_packet *p);

/* --- between the generator's files --- */

/* Text that lives as long as the ruleset. */
const char *gen_keep(struct gen_ruleset *g, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* nat-to, rdr-to or binat-to for a rule that can have it. */
void gen_translation(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x);
/* route-to or reply-to, the same. */
void gen_route(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x);
bool gen_is_binat(const struct gen_rule *x);

struct pf_ip gen_fresh_ip(struct rnd *r, uint8_t af);
/* Most often one of the ruleset's pool. */
struct pf_ip gen_pool_ip(struct rnd *r, const struct gen_ruleset *g, uint8_t af);
/* The next one, up or down; not around the corner. */
void gen_step_ip(struct pf_ip *ip, uint8_t af, int by);
/* Groups, broadcasts and nobody are not: others look at these (answers, neighbours). */
bool gen_plain_ip(const struct pf_ip *ip, uint8_t af);
uint8_t gen_prefix_bits(struct rnd *r, uint8_t af);
/* As they stand in a rule, with the first and the last address. */
const char *gen_prefix(struct rnd *r, struct gen_ruleset *g, uint8_t af, struct pf_ip end[2]);
const char *gen_range(struct rnd *r, struct gen_ruleset *g, uint8_t af, struct pf_ip end[2]);
/* Where packets are sent by translation; often met afterwards. */
const char *gen_target(struct rnd *r, struct gen_ruleset *g, uint8_t af, bool prefix,
		       struct pf_ip *ip);
void gen_table(struct rnd *r, struct gen_ruleset *g, struct gen_table *t);
void gen_print_table(FILE *f, const struct gen_table *t);

/* What rules and packets choose from. */
static const uint16_t gen_ports[] = {0, 1, 2, 22, 53, 79, 80, 81, 443, 1024, 32768, 65534, 65535};
static const uint8_t gen_types4[] = {0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 8, 0, 3};
static const uint8_t gen_types6[] = {1, 2, 3, 4, 128, 129, 135, 136, 137, 139, 140, 128, 129, 1};
static const uint8_t gen_toses[] = {0x04, 0x08, 0x10, 0x20, 0x2c, 0xb8, 0xfc};

#endif /* PF_SELFTESTS_MODEL_GEN_H */
