// SPDX-License-Identifier: BSD-2-Clause
#include "limiters.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "srcmap.h"
#include "tabledelta.h"

static uint32_t place_of(const struct pf_limiter_def *d)
{
	return (d->source ? PF_SOURCE_LIMITERS : 0U) + d->id;
}

static const struct pf_limiter_def *find(const struct pf_ruleset *rs, uint32_t place)
{
	for (size_t i = 0; rs && i < rs->nlimiters; i++)
		if (place_of(&rs->limiters[i]) == place)
			return &rs->limiters[i];
	return NULL;
}

/* The datapath's clock. */
static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PF_LIMITER_SECOND + (uint64_t)ts.tv_nsec;
}

/* --- networks in tables --- */

/* those of the rules in force, and of the next ones */
static_assert(2 * PF_LIMITER_LENGTHS <= PF_TABLE_NETS, "lengths");

/* Has it the length, as struct pf_table_roots has it?  Hosts may always be there. */
static bool has_length(uint64_t nets, int f, uint32_t bits)
{
	bool has = bits == (f ? 128 : 32);

	for (; nets && !has; nets >>= 8)
		has = (nets & 0xff) == bits + 1;
	return has;
}

static int add_length(uint64_t *nets, int f, uint32_t bits)
{
	if (has_length(*nets, f, bits))
		return 0;
	if (*nets >> (8 * (PF_TABLE_NETS - 1)))
		return -ENOSPC;
	*nets = *nets << 8 | (bits + 1);
	return 0;
}

/* Those that may come now, and from the ruleset. */
static int lengths_of(const struct pf_datapath *dp, const struct pf_generation *gen, uint32_t slot,
		      uint64_t nets[2])
{
	int err = 0;

	for (uint32_t i = PF_SOURCE_LIMITERS; i < PF_LIMITERS; i++) {
		const struct pf_limiter *l = &dp->limiters[i];

		if (!(l->flags & PF_LIMITER_USED) || l->table != slot)
			continue;
		for (int f = 0; f < 2 && !err; f++)
			err = add_length(&nets[f], f, l->bits[f]);
	}
	for (size_t i = 0; i < gen->rs->nlimiters; i++) {
		const struct pf_limiter_def *d = &gen->rs->limiters[i];

		if (!d->table || pf_generation_slot(gen, 0, d->table) != (int)slot)
			continue;
		for (int f = 0; f < 2 && !err; f++)
			err = add_length(&nets[f], f, d->mask[f]);
	}
	return err;
}

/*
 * Look-ups of the table must know the lengths of its networks before the first one comes.
 * When there is a new one, those go of which nothing can be in the delta any more.
 */
static int admit_nets(struct pf_tables *t, const struct pf_generation *gen,
		      const struct pf_limiter_def *d, struct pf_error_text *e)
{
	int slot = d->table ? pf_generation_slot(gen, 0, d->table) : 0, err;
	struct pf_table_roots *roots = slot > 0 ? &t->store.roots[slot] : NULL;
	uint64_t nets[2] = {0};

	if (!roots || (has_length(roots->nets[0], 0, d->mask[0]) &&
		       has_length(roots->nets[1], 1, d->mask[1])))
		return 0;
	err = lengths_of(t->dp, gen, (uint32_t)slot, nets);
	if (err)
		return pf_fail(e, err,
			       "table <%s>: source limiters that were, and those that are to come, "
			       "have too many different masks",
			       d->table);
	err = roots->nets[0] || roots->nets[1] ? pf_tables_settle(t, e) : 0;
	for (int f = 0; f < 2 && !err; f++)
		__atomic_store_n(&roots->nets[f], nets[f], __ATOMIC_RELEASE);
	return err;
}

/* --- definitions --- */

/* A packet that reads the masks while they change finds their lengths changed. */
static void set_masks(struct pf_limiter *l, const struct pf_limiter_def *d)
{
	for (int i = 0; i < 2; i++) {
		struct pf_ip mask;

		memset(&mask, 0xff, sizeof(mask));
		pf_ip_mask(&mask, d->mask[i]);
		if (l->bits[i] == d->mask[i] && memcmp(mask.b, &l->mask[i], sizeof(mask.b)) == 0)
			continue;
		__atomic_store_n(&l->bits[i], PF_LIMITER_CHANGING, __ATOMIC_SEQ_CST);
		memcpy(&l->mask[i], mask.b, sizeof(l->mask[i]));
		__atomic_store_n(&l->bits[i], d->mask[i], __ATOMIC_SEQ_CST);
	}
}

/* Of an id that was defined before, what it has counted goes on. */
static void define_source(const struct pf_datapath *dp, struct pf_limiter *l,
			  const struct pf_limiter_def *d, const struct pf_generation *gen)
{
	int slot = d->table ? pf_generation_slot(gen, 0, d->table) : 0;

	set_masks(l, d);
	/* behind that time all has gathered that can: it would find as much in a new one */
	l->keep = pf_datapath_ticks(dp, d->rate.seconds ? d->rate.seconds : 1) +
		  pf_datapath_ticks(dp, d->rate.limit / PF_LIMITER_SECOND) + 1;
	__atomic_store_n(&l->entries, d->entries, __ATOMIC_RELAXED);
	__atomic_store_n(&l->above, d->above, __ATOMIC_RELAXED);
	__atomic_store_n(&l->below, d->below, __ATOMIC_RELAXED);
	__atomic_store_n(&l->table, slot > 0 ? (uint32_t)slot : 0, __ATOMIC_RELEASE);
}

static void define(const struct pf_datapath *dp, struct pf_limiter *l,
		   const struct pf_limiter_def *d, const struct pf_generation *gen)
{
	uint64_t token = pf_limiter_token(&d->rate), bucket = pf_limiter_bucket(&d->rate);

	if (!(__atomic_load_n(&l->flags, __ATOMIC_ACQUIRE) & PF_LIMITER_USED))
		memset(l, 0, sizeof(*l));
	/* another rate begins anew, as in pf; one that is as before is not given away */
	if (l->token != token || l->bucket != bucket) {
		__atomic_store_n(&l->spent, now_ns() - bucket, __ATOMIC_RELAXED);
		__atomic_store_n(&l->bucket, bucket, __ATOMIC_RELAXED);
		__atomic_store_n(&l->token, token, __ATOMIC_RELAXED);
	}
	if (d->source)
		define_source(dp, l, d, gen);
	__atomic_store_n(&l->limit, d->limit, __ATOMIC_RELAXED);
	__atomic_store_n(&l->flags, PF_LIMITER_USED, __ATOMIC_RELEASE);
}

int pf_limiters_define(struct pf_tables *t, const struct pf_generation *gen,
		       struct pf_error_text *e)
{
	const struct pf_ruleset *rs = gen->rs;
	int err = 0;

	for (size_t i = 0; i < rs->nlimiters && !err; i++)
		err = admit_nets(t, gen, &rs->limiters[i], e);
	for (size_t i = 0; i < rs->nlimiters && !err; i++)
		define(t->dp, &t->dp->limiters[place_of(&rs->limiters[i])], &rs->limiters[i], gen);
	return err;
}

int pf_limiters_check(const struct pf_ruleset *rs, const struct pf_ruleset *old,
		      const struct pf_datapath *dp, struct pf_error_text *e)
{
	for (size_t i = 0; i < rs->nlimiters; i++) {
		const struct pf_limiter_def *d = &rs->limiters[i], *was = find(old, place_of(d));

		if (!was || !d->source || !dp->limiters[place_of(d)].sources ||
		    memcmp(d->mask, was->mask, sizeof(d->mask)) == 0)
			continue;
		return pf_fail(e, -EBUSY,
			       "source limiter \"%s\" (id %u) has sources: its masks cannot change "
			       "while it has them (-F Sources takes them out)",
			       d->name, d->id);
	}
	return 0;
}

/* --- its sources --- */

struct limited {
	struct pf_src_key key;
	struct pf_limited v;
};

/* By limiter, family and address. */
static int compare(const void *a, const void *b)
{
	const struct pf_src_key *x = &((const struct limited *)a)->key;
	const struct pf_src_key *y = &((const struct limited *)b)->key;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	if (x->af != y->af)
		return x->af < y->af ? -1 : 1;
	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

/* For the caller to free. */
static int read_sources(const struct pf_datapath *dp, struct limited **out, size_t *n)
{
	return pf_srcmap_read(pf_datapath_map(dp, "pf_limited"), sizeof(**out), PF_LIMITED_MOST,
			      compare, out, n);
}

static uint8_t bits_of(const struct pf_datapath *dp, const struct pf_src_key *key)
{
	const struct pf_limiter *l = &dp->limiters[PF_SOURCE_LIMITERS + key->rule % PF_LIMITER_IDS];

	return (uint8_t)l->bits[key->af == PF_AF_INET6];
}

/* Is it one of these hosts, or are they in its network? */
static bool meant(const struct pf_datapath *dp, const struct pf_kill_host *h,
		  const struct pf_src_key *key)
{
	struct pf_ip ip;
	uint8_t bits;

	if (pf_kill_host_matches(h, (uint8_t)key->af, &key->addr))
		return true;
	if (h->neg || h->af != key->af)
		return false;
	bits = bits_of(dp, key);
	ip = h->ip;
	pf_ip_mask(&ip, bits);
	return h->bits >= bits && memcmp(ip.b, &key->addr, sizeof(ip.b)) == 0;
}

int pf_limited_kill(const struct pf_datapath *dp, const struct pf_kill_host *host, uint32_t *n)
{
	struct limited *v;
	size_t have;
	int err = read_sources(dp, &v, &have);

	if (err)
		return err;
	for (size_t i = 0; i < have; i++)
		if (meant(dp, host, &v[i].key))
			*n += pf_datapath_forget_limited(dp, &v[i].key);
	free(v);
	return 0;
}

int pf_limited_list(const struct pf_datapath *dp, struct pf_wire_limited **out, size_t *n)
{
	struct pf_wire_limited *w;
	struct limited *v;
	size_t have;
	int err = read_sources(dp, &v, &have);

	if (err)
		return err;
	w = calloc(have + 1, sizeof(*w));
	for (size_t i = 0; w && i < have; i++) {
		memcpy(w[i].addr, &v[i].key.addr, sizeof(w[i].addr));
		w[i].af = (uint8_t)v[i].key.af;
		w[i].bits = bits_of(dp, &v[i].key);
		w[i].id = (uint8_t)v[i].key.rule;
		w[i].states = (uint32_t)v[i].v.states & PF_SOURCE_COUNT;
		w[i].admitted = v[i].v.admitted;
		w[i].hardlimited = v[i].v.hardlimited;
		w[i].ratelimited = v[i].v.ratelimited;
	}
	free(v);
	if (!w)
		return -ENOMEM;
	*out = w;
	*n = have;
	return 0;
}

/* --- those that leave a table --- */

static struct pf_delta_net net_of(const struct pf_datapath *dp, const struct pf_src_key *k)
{
	const struct pf_limiter *l = &dp->limiters[PF_SOURCE_LIMITERS + k->rule % PF_LIMITER_IDS];
	struct pf_delta_net h = {
		.net = {.af = (uint8_t)k->af, .bits = bits_of(dp, k), .addr = k->addr}};

	h.net.slot = __atomic_load_n(&l->table, __ATOMIC_ACQUIRE);
	return h;
}

/*
 * Each that was put in must be in the table's list before it is marked as being out: from
 * then on the datapath may put it in again, and that stays in the delta.
 */
static int let_out(struct pf_tables *t, const struct limited *v, size_t n, struct pf_delta_net *h,
		   struct pf_error_text *e)
{
	int err = pf_tables_settle(t, e);
	size_t gone = 0;

	for (size_t i = 0; i < n && !err; i++)
		if ((v[i].v.states & PF_LIMITED_LEAVING) && pf_datapath_left(t->dp, &v[i].key))
			h[gone++] = net_of(t->dp, &v[i].key);
	if (err)
		return err;
	err = pf_tables_let_out(t, h, gone);
	return err ? pf_fail(e, err, "sources of limiters cannot be taken out of their tables: %s",
			     strerror(-err))
		   : 0;
}

int pf_limiters_let_out(struct pf_tables *t, struct pf_error_text *e)
{
	struct pf_delta_net *h;
	struct limited *v;
	size_t n, leaving = 0;
	int err = read_sources(t->dp, &v, &n);

	if (err)
		return pf_fail(e, err, "sources of limiters: %s", strerror(-err));
	for (size_t i = 0; i < n; i++)
		leaving += (v[i].v.states & PF_LIMITED_LEAVING) != 0;
	h = leaving ? calloc(leaving, sizeof(*h)) : NULL;
	if (leaving && !h)
		err = pf_fail(e, -ENOMEM, "out of memory");
	else if (leaving)
		err = let_out(t, v, n, h, e);
	free(h);
	free(v);
	return err;
}

void pf_limiters_poll(struct pf_leaving *l, struct pf_tables *t)
{
	uint64_t said = 0, now = now_ns() / 1000000, end;
	struct pf_error_text e;
	int err;

	for (uint32_t i = PF_SOURCE_LIMITERS; i < PF_LIMITERS; i++)
		said += __atomic_load_n(&t->dp->limiters[i].leaves, __ATOMIC_ACQUIRE);
	if (said == l->seen || now < l->next)
		return;
	err = pf_limiters_let_out(t, &e);
	if (err)
		pf_say(LOG_ERR, "%s", e.text);
	else
		l->seen = said;
	end = now_ns() / 1000000;
	l->next = end + 10 * (end - now);
}

/* --- those that are not defined any more --- */

static int take_sources_out(const struct pf_datapath *dp, const bool *gone)
{
	struct limited *v;
	size_t n;
	int err = read_sources(dp, &v, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		if (gone[PF_SOURCE_LIMITERS + v[i].key.rule % PF_LIMITER_IDS])
			pf_datapath_forget_limited(dp, &v[i].key);
	free(v);
	return 0;
}

/* No state has the ones that are marked: `gone`, by their places. */
static void unlink_states(const struct pf_datapath *dp, const bool *gone)
{
	for (uint32_t i = 0; i < dp->config->slots; i++) {
		struct pf_state *s = &dp->states[i];
		uint16_t limits = __atomic_load_n(&s->peer[1].opts, __ATOMIC_RELAXED);

		if (!limits || !pf_state_counts(s))
			continue;
		if (gone[PF_LIMITS_STATE(limits)])
			limits &= 0xff00;
		if (gone[PF_SOURCE_LIMITERS + PF_LIMITS_SOURCE(limits)])
			limits &= 0xff;
		__atomic_store_n(&s->peer[1].opts, limits, __ATOMIC_RELAXED);
	}
}

/*
 * A packet that the rules of before have let in may be making a state still: so all wait
 * before the states are looked at, and again before the number can be another one's.
 */
int pf_limiters_settle(const struct pf_datapath *dp, const struct pf_rulestats *stats,
		       const struct pf_ruleset *a, const struct pf_ruleset *b)
{
	bool gone[PF_LIMITERS] = {false}, any = false;
	int err;

	for (uint32_t i = 1; i < PF_LIMITERS; i++) {
		struct pf_limiter *l = &dp->limiters[i];

		if (!(l->flags & PF_LIMITER_USED) || find(a, i) || find(b, i))
			continue;
		gone[i] = any = true;
	}
	if (!any)
		return 0;
	err = pf_rulestats_wait(stats);
	if (err)
		return err;
	err = take_sources_out(dp, gone);
	if (err)
		return err;
	unlink_states(dp, gone);
	err = pf_rulestats_wait(stats);
	for (uint32_t i = 1; i < PF_LIMITERS && !err; i++)
		if (gone[i])
			__atomic_store_n(&dp->limiters[i].flags, 0, __ATOMIC_RELEASE);
	return err;
}

/* --- reading --- */

static uint64_t load(const __u64 *v)
{
	return __atomic_load_n(v, __ATOMIC_RELAXED);
}

void pf_limiters_list(const struct pf_datapath *dp, const struct pf_ruleset *rs,
		      struct pf_wire_limiter *out)
{
	for (size_t i = 0; i < rs->nlimiters; i++, out++) {
		const struct pf_limiter_def *d = &rs->limiters[i];
		const struct pf_limiter *l = &dp->limiters[place_of(d)];

		memset(out, 0, sizeof(*out));
		snprintf(out->name, sizeof(out->name), "%s", d->name);
		out->id = d->id;
		out->source = d->source;
		out->limit = d->limit;
		out->rate = d->rate.limit;
		out->seconds = d->rate.seconds;
		out->states = __atomic_load_n(&l->inuse, __ATOMIC_RELAXED);
		out->entries = d->entries;
		memcpy(out->mask, d->mask, sizeof(out->mask));
		snprintf(out->table, sizeof(out->table), "%s", d->table ? d->table : "");
		out->above = d->above;
		out->below = d->below;
		out->sources = __atomic_load_n(&l->sources, __ATOMIC_RELAXED);
		out->addrlimited = load(&l->addrlimited);
		out->admitted = load(&l->admitted);
		out->hardlimited = load(&l->hardlimited);
		out->ratelimited = load(&l->ratelimited);
	}
}
