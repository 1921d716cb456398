// SPDX-License-Identifier: BSD-2-Clause
#include "bound.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOBODYS	     0x80000000U /* an ifindex is an int above 0 */
#define AWAITED_MOST 4096	 /* names that a file may have, so that it takes no hours */

void pf_bound_open(struct pf_bound *b, const struct pf_datapath *dp)
{
	*b = (struct pf_bound){.dp = dp, .next = NOBODYS};
}

void pf_bound_close(struct pf_bound *b)
{
	free(b->lost);
	b->lost = NULL;
	b->nlost = 0;
}

static bool is_bound(const struct pf_state *s)
{
	return __atomic_load_n(&s->status, __ATOMIC_ACQUIRE) == PF_SLOT_LIVE &&
	       (s->flags & PF_SF_IFBOUND);
}

/* How many there were. */
static size_t rebind(const struct pf_bound *b, uint32_t from, uint32_t to)
{
	size_t n = 0;

	for (uint32_t i = 0; i < b->dp->config->slots; i++) {
		struct pf_state *s = &b->dp->states[i];

		if (!is_bound(s) || s->ifindex != from)
			continue;
		__atomic_store_n(&s->ifindex, to, __ATOMIC_RELAXED);
		n++;
	}
	return n;
}

/* A number of states of an earlier pfd may be in use: they only wait for their end. */
static uint32_t next_number(struct pf_bound *b)
{
	uint32_t most = b->next;

	for (uint32_t i = 0; i < b->dp->config->slots; i++) {
		const struct pf_state *s = &b->dp->states[i];

		if (is_bound(s) && s->ifindex >= most)
			most = s->ifindex + 1;
	}
	b->next = most >= NOBODYS ? most + 1 : NOBODYS + 1; /* around the corner */
	return b->next - 1;
}

static struct pf_bound_lost *find(struct pf_bound *b, const char *name)
{
	for (size_t i = 0; i < b->nlost; i++)
		if (strncmp(b->lost[i].name, name, IFNAMSIZ) == 0)
			return &b->lost[i];
	return NULL;
}

static bool has_states(const struct pf_bound *b, uint32_t number)
{
	for (uint32_t i = 0; i < b->dp->config->slots; i++)
		if (is_bound(&b->dp->states[i]) && b->dp->states[i].ifindex == number)
			return true;
	return false;
}

static void drop_empty(struct pf_bound *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->nlost; i++)
		if (has_states(b, b->lost[i].number))
			b->lost[kept++] = b->lost[i];
	b->nlost = kept;
}

static bool remember(struct pf_bound *b, const char *name, uint32_t number)
{
	struct pf_bound_lost *v = reallocarray(b->lost, b->nlost + 1, sizeof(*v));

	if (!v)
		return false;
	b->lost = v;
	v += b->nlost++;
	*v = (struct pf_bound_lost){.number = number};
	strncpy(v->name, name, sizeof(v->name) - 1);
	return true;
}

void pf_bound_gone(struct pf_bound *b, const char *name, uint32_t ifindex)
{
	struct pf_bound_lost *l = find(b, name);
	uint32_t number;

	if (l) {
		rebind(b, ifindex, l->number);
		return;
	}
	if (!has_states(b, ifindex))
		return;
	drop_empty(b);
	number = next_number(b);
	rebind(b, ifindex, number);
	remember(b, name, number); /* if not, they end by themselves */
}

uint32_t pf_bound_await(struct pf_bound *b, const char *name)
{
	const struct pf_bound_lost *l = find(b, name);
	uint32_t number;

	if (l)
		return l->number;
	if (strlen(name) >= IFNAMSIZ || b->nlost >= AWAITED_MOST)
		return 0;
	number = next_number(b);
	return remember(b, name, number) ? number : 0;
}

void pf_bound_come(struct pf_bound *b, const char *name, uint32_t ifindex)
{
	struct pf_bound_lost *l = find(b, name);

	if (!l)
		return;
	rebind(b, l->number, ifindex);
	*l = b->lost[--b->nlost];
}

const char *pf_bound_name(const struct pf_bound *b, uint32_t number)
{
	for (size_t i = 0; i < b->nlost; i++)
		if (b->lost[i].number == number)
			return b->lost[i].name;
	return NULL;
}
