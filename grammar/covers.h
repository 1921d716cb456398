/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How rules relate: what the optimiser and the warnings ask about them.
 *
 * "a covers b": a matches every packet that b matches.  The answer errs to one
 * side: true is certain, false may only mean that it is not known (a name may be
 * that of a group, a table's content changes).
 */
#ifndef PF_GRAMMAR_COVERS_H
#define PF_GRAMMAR_COVERS_H

#include "rule.h"

/* A part of a rule that a comparison leaves out. */
enum pf_but { PF_BUT_NOTHING, PF_BUT_SRC, PF_BUT_DST };

/*
 * A pass or block rule without any of the rarer parts: its match has no effect but
 * that it may decide, and what it matches is in struct pf_rule itself.
 */
bool pf_rule_plain(const struct pf_rule *r);

/* Do a rule's rarer parts ask something of the packet, or of chance? */
bool pf_rule_narrowed(const struct pf_rule *r);

/* The rules after it may see another packet than those before it: NAT, anchors. */
bool pf_rule_translates(const struct pf_rule *r);

/*
 * a covers b, as far as struct pf_rule goes: what a->x asks is the caller's to
 * know, what b->x asks can only make b match less.
 */
bool pf_rule_covers(const struct pf_rule *a, const struct pf_rule *b);

/* The same criteria, word for word; pf_rule_hash() is the same for such rules. */
bool pf_rule_same_match(const struct pf_rule *a, const struct pf_rule *b, enum pf_but but);
uint64_t pf_rule_hash(const struct pf_rule *r, enum pf_but but);

/*
 * Whichever of two plain rules decides, nobody can tell which it was, but by its
 * number.  A rule with a label is like no other: packets are counted for it.
 * `quick` is not looked at.
 */
bool pf_rule_same_effect(const struct pf_rule *a, const struct pf_rule *b);

bool pf_host_same(const struct pf_rule_host *a, const struct pf_rule_host *b);
/* The same number for the same ports, word for word. */
uint64_t pf_port_key(const struct pf_rule_port *p);
bool pf_rule_same_line(const struct pf_rule *a, const struct pf_rule *b);

/* --- rules that may cover another --- */

#define PF_COVER_RING  64
#define PF_COVER_ALIKE 8

/* The last ones added. */
struct pf_cover_ring {
	uint32_t at[PF_COVER_RING];
	size_t added;
};

struct pf_cover_head {
	uint32_t rule, epoch;
};

/*
 * Rules of a list, by number.  A search looks at the last PF_COVER_RING of them, at
 * as many of those from any to any, and at PF_COVER_ALIKE whose criteria have
 * the same hash, whatever the set has: linear time in all, at the price that some
 * covers are not found.
 */
struct pf_cover_set {
	const struct pf_rule *rules;
	const uint64_t *hash; /* of each rule: pf_rule_hash() */
	struct pf_cover_ring recent, wide;
	struct pf_cover_head *heads; /* by hash */
	uint32_t *next;
	uint32_t epoch; /* heads of another one are empty */
	size_t mask;
};
#define PF_COVER_NONE UINT32_MAX

/* For the n rules of a list; 0 or -ENOMEM. */
int pf_cover_set_init(struct pf_cover_set *s, const struct pf_rule *rules, const uint64_t *hash,
		      size_t n);
void pf_cover_set_free(struct pf_cover_set *s);
void pf_cover_set_clear(struct pf_cover_set *s);
void pf_cover_set_add(struct pf_cover_set *s, uint32_t rule);

/* A rule of the set that covers b, or PF_COVER_NONE; other_line: none of b's line. */
uint32_t pf_cover_set_find(const struct pf_cover_set *s, uint32_t b, bool other_line);

/* --- tables --- */

typedef void pf_table_ref_fn(void *ctx, const char *name, uint16_t file, uint32_t line);

/* Calls fn for each table that a rule of the block names, not those of blocks in it. */
void pf_block_table_refs(const struct pf_block *b, pf_table_ref_fn *fn, void *ctx);

#endif /* PF_GRAMMAR_COVERS_H */
