/* SPDX-License-Identifier: BSD-2-Clause */
/* Comparing rules and rulesets field by field: the name of what differs, or NULL. */
#ifndef PF_SELFTESTS_UNIT_SAME_H
#define PF_SELFTESTS_UNIT_SAME_H

#include <stdlib.h>
#include <string.h>

#include "../../grammar/rule.h"

#define DIFFER(field)                     \
	do {                              \
		if (a->field != b->field) \
			return #field;    \
	} while (0)
#define DIFFER_TEXT(field)                                                                   \
	do {                                                                                 \
		if (!a->field != !b->field || (a->field && strcmp(a->field, b->field) != 0)) \
			return #field;                                                       \
	} while (0)

/* Only what its type gives a meaning to. */
static inline const char *host_difference(const struct pf_rule_host *a,
					  const struct pf_rule_host *b)
{
	DIFFER(type);
	DIFFER(neg);
	if (a->type == PF_HOST_PREFIX) {
		DIFFER(af);
		DIFFER(bits);
		if (!pf_ip_equal(&a->ip, &b->ip))
			return "ip";
	} else if (a->type == PF_HOST_TABLE) {
		DIFFER_TEXT(table);
	}
	return NULL;
}

/* Either may be NULL. */
static inline const char *pool_difference(const struct pf_pool *a, const struct pf_pool *b)
{
	if (!a || !b)
		return a || b ? "pool" : NULL;
	DIFFER(type);
	DIFFER(nhosts);
	DIFFER(sticky);
	DIFFER(static_port);
	DIFFER(port);
	DIFFER(port_hi);
	for (uint32_t i = 0; i < a->nhosts; i++) {
		const char *what = host_difference(&a->hosts[i].host, &b->hosts[i].host);

		if (what)
			return what;
		DIFFER(hosts[i].weight);
	}
	return NULL;
}

static inline bool state_difference(const struct pf_state_opts *a, const struct pf_state_opts *b)
{
	if (!a || !b)
		return a != b;
	return a->max != b->max || a->no_sync != b->no_sync || a->if_bound != b->if_bound ||
	       a->sloppy != b->sloppy || a->floating != b->floating ||
	       memcmp(a->timeout, b->timeout, sizeof(a->timeout)) != 0;
}

/* The name does not travel. */
static inline bool limiter_difference(const struct pf_rule_limiter *a,
				      const struct pf_rule_limiter *b)
{
	return a->id != b->id || a->action != b->action || a->action_given != b->action_given;
}

static inline bool limiter_def_difference(const struct pf_limiter_def *a,
					  const struct pf_limiter_def *b)
{
	return strcmp(a->name, b->name) != 0 || a->source != b->source || a->id != b->id ||
	       a->limit != b->limit || a->rate.limit != b->rate.limit ||
	       a->rate.seconds != b->rate.seconds ||
	       (a->source &&
		(a->entries != b->entries || a->mask[0] != b->mask[0] || a->mask[1] != b->mask[1]));
}

/* All but the line; of the rarer parts state options, limiters and the pools of translation. */
static inline const char *rule_difference(const struct pf_rule *a, const struct pf_rule *b)
{
	DIFFER(action);
	DIFFER(dir);
	DIFFER(af);
	DIFFER(proto);
	DIFFER(block_kind);
	DIFFER(return_ttl);
	DIFFER(return_icmp);
	DIFFER(return_icmp6);
	DIFFER(flags);
	DIFFER(flagset);
	DIFFER(icmp_type);
	DIFFER(icmp_code);
	DIFFER(log);
	DIFFER(quick);
	DIFFER(ifnot);
	DIFFER(keep_state);
	DIFFER(allow_opts);
	DIFFER(fragment);
	DIFFER_TEXT(ifname);
	DIFFER_TEXT(label);
	if (host_difference(&a->src, &b->src))
		return "src";
	if (host_difference(&a->dst, &b->dst))
		return "dst";
	DIFFER(sport.op);
	DIFFER(sport.lo);
	DIFFER(sport.hi);
	DIFFER(dport.op);
	DIFFER(dport.lo);
	DIFFER(dport.hi);
	if (state_difference(pf_rule_ext_of(a)->state, pf_rule_ext_of(b)->state))
		return "state options";
	if (limiter_difference(&pf_rule_ext_of(a)->state_limiter,
			       &pf_rule_ext_of(b)->state_limiter) ||
	    limiter_difference(&pf_rule_ext_of(a)->source_limiter,
			       &pf_rule_ext_of(b)->source_limiter))
		return "limiters";
	if (pool_difference(pf_rule_ext_of(a)->nat, pf_rule_ext_of(b)->nat))
		return "nat-to";
	if (pool_difference(pf_rule_ext_of(a)->rdr, pf_rule_ext_of(b)->rdr))
		return "rdr-to";
	return NULL;
}

static inline const char *table_difference(const struct pf_table_def *a,
					   const struct pf_table_def *b)
{
	DIFFER_TEXT(name);
	DIFFER(persist);
	DIFFER(automatic);
	DIFFER(counters);
	DIFFER(constant);
	DIFFER(has_list);
	DIFFER(nentries);
	for (size_t i = 0; i < a->nentries; i++) {
		DIFFER(entries[i].af);
		DIFFER(entries[i].bits);
		DIFFER(entries[i].neg);
		if (!pf_ip_equal(&a->entries[i].ip, &b->entries[i].ip))
			return "entries[i].ip";
	}
	return NULL;
}

/* Rules, those in braces too, and tables. */
/* NOLINTNEXTLINE(misc-no-recursion): the parser bounds the depth of braces */
static inline const char *block_difference(const struct pf_block *a, const struct pf_block *b)
{
	const struct pf_rule_list *x = &a->list[PF_LIST_FILTER], *y = &b->list[PF_LIST_FILTER];
	const char *what = NULL;

	DIFFER(list[PF_LIST_FILTER].n);
	DIFFER(ntables);
	for (size_t i = 0; i < a->ntables && !what; i++)
		what = table_difference(&a->tables[i], &b->tables[i]);
	for (size_t i = 0; i < x->n && !what; i++) {
		const struct pf_anchor *c = pf_rule_ext_of(&x->v[i])->anchor;
		const struct pf_anchor *d = pf_rule_ext_of(&y->v[i])->anchor;

		what = rule_difference(&x->v[i], &y->v[i]);
		if (what || (!c && !d))
			continue;
		if (!c || !d || !c->block != !d->block || !c->path != !d->path ||
		    (c->path && strcmp(c->path, d->path) != 0))
			return "anchor";
		if (c->block)
			what = block_difference(c->block, d->block);
	}
	return what;
}

static inline const char *options_difference(const struct pf_options *a, const struct pf_options *b)
{
	DIFFER(timeout_set);
	DIFFER(limit_set);
	DIFFER(block_return);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		DIFFER(timeout[i]);
	for (int i = 0; i < PF_LIMIT_MAX; i++)
		DIFFER(limit[i]);
	return NULL;
}

/*
 * Rules, tables, options, interfaces that are left out, and what is loaded with it; not
 * what -v echoes.
 */
/* NOLINTNEXTLINE(misc-no-recursion): the parser bounds the depth of loads */
static inline const char *ruleset_difference(const struct pf_ruleset *a, const struct pf_ruleset *b)
{
	const char *what;

	DIFFER(nskip);
	DIFFER(nloads);
	DIFFER(nlimiters);
	what = options_difference(&a->options, &b->options);
	for (size_t i = 0; i < a->nlimiters && !what; i++)
		if (limiter_def_difference(&a->limiters[i], &b->limiters[i]))
			what = "a limiter's definition";
	if (!what)
		what = block_difference(&a->main, &b->main);
	for (size_t i = 0; i < a->nskip && !what; i++)
		DIFFER_TEXT(skip[i]);
	for (size_t i = 0; i < a->nloads && !what; i++) {
		DIFFER_TEXT(loads[i].path);
		what = ruleset_difference(a->loads[i].rs, b->loads[i].rs);
	}
	return what;
}

#undef DIFFER
#undef DIFFER_TEXT

#endif /* PF_SELFTESTS_UNIT_SAME_H */
