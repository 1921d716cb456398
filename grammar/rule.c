// SPDX-License-Identifier: BSD-2-Clause
#include "rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more element of `size` bytes; NULL when memory is short. */
static void *grow(void *array, size_t n, size_t *capacity, size_t size)
{
	size_t want;
	void *p;

	if (n < *capacity)
		return array;
	want = *capacity ? *capacity * 2 : 16;
	p = reallocarray(array, want, size);
	if (p)
		*capacity = want;
	return p;
}

/* OpenBSD's defaults; see pf.conf(5), "set timeout" and "set limit". */
static const uint32_t default_timeouts[PF_TIMEOUT_MAX] = {
	[PF_TIMEOUT_TCP_FIRST] = 120,
	[PF_TIMEOUT_TCP_OPENING] = 30,
	[PF_TIMEOUT_TCP_ESTABLISHED] = 86400,
	[PF_TIMEOUT_TCP_CLOSING] = 900,
	[PF_TIMEOUT_TCP_FINWAIT] = 45,
	[PF_TIMEOUT_TCP_CLOSED] = 90,
	[PF_TIMEOUT_UDP_FIRST] = 60,
	[PF_TIMEOUT_UDP_SINGLE] = 30,
	[PF_TIMEOUT_UDP_MULTIPLE] = 60,
	[PF_TIMEOUT_ICMP_FIRST] = 20,
	[PF_TIMEOUT_ICMP_ERROR] = 10,
	[PF_TIMEOUT_OTHER_FIRST] = 60,
	[PF_TIMEOUT_OTHER_SINGLE] = 30,
	[PF_TIMEOUT_OTHER_MULTIPLE] = 60,
	[PF_TIMEOUT_FRAG] = 60,
	[PF_TIMEOUT_INTERVAL] = 10,
	[PF_TIMEOUT_SRC_TRACK] = 0,
	[PF_TIMEOUT_TCP_TSDIFF] = 30,
};

static const uint32_t default_limits[PF_LIMIT_MAX] = {
	[PF_LIMIT_STATES] = 100000, [PF_LIMIT_SRC_NODES] = 10000,      [PF_LIMIT_FRAGS] = 65536,
	[PF_LIMIT_TABLES] = 1000,   [PF_LIMIT_TABLE_ENTRIES] = 200000,
};

void pf_options_init(struct pf_options *o)
{
	memset(o, 0, sizeof(*o));
	memcpy(o->timeout, default_timeouts, sizeof(o->timeout));
	memcpy(o->limit, default_limits, sizeof(o->limit));
	pf_options_finish(o);
}

void pf_options_finish(struct pf_options *o)
{
	const uint32_t either = 1U << PF_TIMEOUT_ADAPTIVE_START | 1U << PF_TIMEOUT_ADAPTIVE_END;
	uint64_t states = o->limit[PF_LIMIT_STATES];

	if (o->timeout_set & either)
		return;
	o->timeout[PF_TIMEOUT_ADAPTIVE_START] = (uint32_t)(states * 6 / 10);
	o->timeout[PF_TIMEOUT_ADAPTIVE_END] = (uint32_t)(states * 12 / 10);
}

struct pf_ruleset *pf_ruleset_new(void)
{
	struct pf_ruleset *rs = calloc(1, sizeof(*rs));

	if (rs)
		pf_options_init(&rs->options);
	return rs;
}

void pf_ruleset_free(struct pf_ruleset *rs)
{
	if (!rs)
		return;
	for (size_t i = 0; i < rs->ntables; i++)
		free(rs->tables[i].entries);
	free(rs->tables);
	free(rs->rules);
	free(rs->skip);
	free(rs->items);
	pf_arena_free(&rs->arena);
	free(rs);
}

void pf_ruleset_freep(struct pf_ruleset **rs)
{
	pf_ruleset_free(*rs);
	*rs = NULL;
}

struct pf_rule *pf_ruleset_add_rule(struct pf_ruleset *rs)
{
	struct pf_rule *rules = grow(rs->rules, rs->nrules, &rs->rules_capacity, sizeof(*rules));

	if (!rules)
		return NULL;
	rs->rules = rules;
	memset(&rules[rs->nrules], 0, sizeof(*rules));
	return &rules[rs->nrules++];
}

struct pf_table_def *pf_ruleset_add_table(struct pf_ruleset *rs, const char *name)
{
	struct pf_table_def *tables = grow(rs->tables, rs->ntables, &rs->tables_capacity,
					   sizeof(*tables));
	struct pf_table_def *t;

	if (!tables)
		return NULL;
	rs->tables = tables;
	t = &tables[rs->ntables];
	memset(t, 0, sizeof(*t));
	t->name = pf_arena_strdup(&rs->arena, name);
	if (!t->name)
		return NULL;
	rs->ntables++;
	return t;
}

struct pf_table_entry *pf_table_def_add(struct pf_table_def *t)
{
	struct pf_table_entry *entries = grow(t->entries, t->nentries, &t->capacity,
					      sizeof(*entries));

	if (!entries)
		return NULL;
	t->entries = entries;
	memset(&entries[t->nentries], 0, sizeof(*entries));
	return &entries[t->nentries++];
}

int pf_ruleset_add_skip(struct pf_ruleset *rs, const char *ifname)
{
	const char **skip = grow(rs->skip, rs->nskip, &rs->skip_capacity, sizeof(*skip));

	if (!skip)
		return -ENOMEM;
	rs->skip = skip;
	skip[rs->nskip] = pf_arena_strdup(&rs->arena, ifname);
	if (!skip[rs->nskip])
		return -ENOMEM;
	rs->nskip++;
	return 0;
}

int pf_ruleset_add_item(struct pf_ruleset *rs, enum pf_item_kind kind, const char *text,
			size_t index)
{
	struct pf_item *items = grow(rs->items, rs->nitems, &rs->items_capacity, sizeof(*items));
	struct pf_item item = {.kind = kind, .index = index};

	if (!items)
		return -ENOMEM;
	rs->items = items;
	if (text) {
		item.text = pf_arena_strdup(&rs->arena, text);
		if (!item.text)
			return -ENOMEM;
	}
	items[rs->nitems++] = item;
	return 0;
}

struct pf_table_def *pf_ruleset_find_table(const struct pf_ruleset *rs, const char *name)
{
	for (size_t i = 0; i < rs->ntables; i++)
		if (strcmp(rs->tables[i].name, name) == 0)
			return &rs->tables[i];
	return NULL;
}
