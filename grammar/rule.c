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
	[PF_TIMEOUT_SCTP_FIRST] = 120,
	[PF_TIMEOUT_SCTP_OPENING] = 30,
	[PF_TIMEOUT_SCTP_ESTABLISHED] = 86400,
	[PF_TIMEOUT_SCTP_CLOSING] = 900,
	[PF_TIMEOUT_SCTP_CLOSED] = 90,
};

static const uint32_t default_limits[PF_LIMIT_ALL] = {
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

	if (!(o->timeout_set & either))
		pf_timeouts_adapt(o->timeout, o->limit[PF_LIMIT_STATES], states * 6 / 10,
				  states * 12 / 10);
}

void pf_timeouts_adapt(uint32_t *timeout, uint32_t states, uint64_t start, uint64_t end)
{
	if (end <= states)
		end = states + 1ULL;
	timeout[PF_TIMEOUT_ADAPTIVE_START] = (uint32_t)start;
	timeout[PF_TIMEOUT_ADAPTIVE_END] = end > UINT32_MAX ? UINT32_MAX : (uint32_t)end;
}

const struct pf_rule_ext pf_rule_ext_none;

enum pf_list_kind pf_action_list(enum pf_rule_action action)
{
	static const uint8_t lists[PF_RULE_ACTION_MAX] = {
		[PF_RULE_ACTION_PASS] = PF_LIST_FILTER,
		[PF_RULE_ACTION_BLOCK] = PF_LIST_FILTER,
		[PF_RULE_ACTION_MATCH] = PF_LIST_FILTER,
		[PF_RULE_ACTION_SCRUB] = PF_LIST_SCRUB,
		[PF_RULE_ACTION_NO_SCRUB] = PF_LIST_SCRUB,
		[PF_RULE_ACTION_NAT] = PF_LIST_NAT,
		[PF_RULE_ACTION_NO_NAT] = PF_LIST_NAT,
		[PF_RULE_ACTION_RDR] = PF_LIST_RDR,
		[PF_RULE_ACTION_NO_RDR] = PF_LIST_RDR,
		[PF_RULE_ACTION_BINAT] = PF_LIST_BINAT,
		[PF_RULE_ACTION_NO_BINAT] = PF_LIST_BINAT,
		[PF_RULE_ACTION_DUMMYNET] = PF_LIST_DUMMYNET,
	};

	return (enum pf_list_kind)lists[action];
}

struct pf_ruleset *pf_ruleset_new(void)
{
	struct pf_ruleset *rs = calloc(1, sizeof(*rs));

	if (rs)
		pf_options_init(&rs->options);
	return rs;
}

static void block_free(struct pf_block *b)
{
	for (size_t i = 0; i < b->ntables; i++) {
		free(b->tables[i].entries);
		free(b->tables[i].pieces);
	}
	free(b->tables);
	for (size_t i = 0; i < PF_LIST_MAX; i++)
		free(b->list[i].v);
	free(b->ether);
}

/* NOLINTNEXTLINE(misc-no-recursion): whoever made it bounds the depth of loads */
void pf_ruleset_free(struct pf_ruleset *rs)
{
	if (!rs)
		return;
	for (size_t i = 0; i < rs->nloads; i++)
		pf_ruleset_free(rs->loads[i].rs);
	free(rs->loads);
	free(rs->limiters);
	block_free(&rs->main);
	for (size_t i = 0; i < rs->nblocks; i++)
		block_free(rs->blocks[i]);
	free(rs->blocks);
	free(rs->skip);
	free(rs->items);
	free(rs->files);
	pf_arena_free(&rs->arena);
	free(rs);
}

void pf_ruleset_freep(struct pf_ruleset **rs)
{
	pf_ruleset_free(*rs);
	*rs = NULL;
}

/* A zeroed element at the end of an array. */
#define append(array, n, capacity)                                                            \
	({                                                                                    \
		__typeof__(array) grown_ = grow((array), (n), &(capacity), sizeof(*(array))); \
		__typeof__(array) new_ = NULL;                                                \
                                                                                              \
		if (grown_) {                                                                 \
			(array) = grown_;                                                     \
			new_ = &grown_[(n)++];                                                \
			memset(new_, 0, sizeof(*new_));                                       \
		}                                                                             \
		new_;                                                                         \
	})

struct pf_rule *pf_rule_list_add(struct pf_rule_list *l)
{
	return append(l->v, l->n, l->capacity);
}

struct pf_rule *pf_ruleset_add_rule(struct pf_ruleset *rs)
{
	return pf_rule_list_add(pf_filter(rs));
}

struct pf_table_def *pf_block_add_table(struct pf_ruleset *rs, struct pf_block *b, const char *name)
{
	const char *copy = pf_arena_strdup(&rs->arena, name);
	struct pf_table_def *t = copy ? append(b->tables, b->ntables, b->tables_capacity) : NULL;

	if (t)
		t->name = copy;
	return t;
}

struct pf_table_def *pf_ruleset_add_table(struct pf_ruleset *rs, const char *name)
{
	return pf_block_add_table(rs, &rs->main, name);
}

struct pf_table_entry *pf_table_def_add(struct pf_table_def *t)
{
	return append(t->entries, t->nentries, t->capacity);
}

struct pf_table_piece *pf_table_def_add_piece(struct pf_table_def *t)
{
	return append(t->pieces, t->npieces, t->pieces_capacity);
}

struct pf_ether_rule *pf_block_add_ether(struct pf_block *b)
{
	return append(b->ether, b->nether, b->ether_capacity);
}

struct pf_block *pf_ruleset_add_block(struct pf_ruleset *rs)
{
	struct pf_block *b = pf_arena_alloc(&rs->arena, sizeof(*b));
	struct pf_block **slot = b ? append(rs->blocks, rs->nblocks, rs->blocks_capacity) : NULL;

	if (!slot)
		return NULL;
	*slot = b;
	return b;
}

struct pf_load *pf_ruleset_add_load(struct pf_ruleset *rs, const char *path)
{
	const char *copy = pf_arena_strdup(&rs->arena, path);
	struct pf_load *load = copy ? append(rs->loads, rs->nloads, rs->loads_capacity) : NULL;

	if (load)
		load->path = copy;
	return load;
}

struct pf_limiter_def *pf_ruleset_add_limiter(struct pf_ruleset *rs)
{
	return append(rs->limiters, rs->nlimiters, rs->limiters_capacity);
}

bool pf_limiter_table_ok(const struct pf_ruleset *rs, const char *table)
{
	for (int f = 0; f < 2; f++) {
		bool seen[128] = {false};
		unsigned int n = 0;

		for (size_t i = 0; i < rs->nlimiters; i++) {
			const struct pf_limiter_def *d = &rs->limiters[i];

			if (!d->table || strcmp(d->table, table) != 0 ||
			    d->mask[f] >= (f ? 128 : 32) || seen[d->mask[f]])
				continue;
			seen[d->mask[f]] = true;
			n++;
		}
		if (n > PF_LIMITER_LENGTHS)
			return false;
	}
	return true;
}

int pf_ruleset_add_skip(struct pf_ruleset *rs, const char *ifname)
{
	const char *copy = pf_arena_strdup(&rs->arena, ifname);
	const char **slot = copy ? append(rs->skip, rs->nskip, rs->skip_capacity) : NULL;

	if (!slot)
		return -ENOMEM;
	*slot = copy;
	return 0;
}

int pf_ruleset_add_item(struct pf_ruleset *rs, enum pf_item_kind kind, const char *text,
			size_t index)
{
	const char *copy = text ? pf_arena_strdup(&rs->arena, text) : NULL;
	struct pf_item *item;

	if (text && !copy)
		return -ENOMEM;
	item = append(rs->items, rs->nitems, rs->items_capacity);
	if (!item)
		return -ENOMEM;
	*item = (struct pf_item){.kind = kind, .text = copy, .index = index};
	return 0;
}

int pf_ruleset_add_file(struct pf_ruleset *rs, const char *name)
{
	const char *copy, **slot;

	for (size_t i = 0; i < rs->nfiles; i++)
		if (strcmp(rs->files[i], name) == 0)
			return (int)i;
	if (rs->nfiles >= UINT16_MAX)
		return -E2BIG;
	copy = pf_arena_strdup(&rs->arena, name);
	slot = copy ? append(rs->files, rs->nfiles, rs->files_capacity) : NULL;
	if (!slot)
		return -ENOMEM;
	*slot = copy;
	return (int)rs->nfiles - 1;
}

struct pf_table_def *pf_block_find_table(const struct pf_block *b, const char *name)
{
	for (size_t i = 0; i < b->ntables; i++)
		if (strcmp(b->tables[i].name, name) == 0)
			return &b->tables[i];
	return NULL;
}

struct pf_table_def *pf_ruleset_find_table(const struct pf_ruleset *rs, const char *name)
{
	return pf_block_find_table(&rs->main, name);
}
