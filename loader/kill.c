// SPDX-License-Identifier: BSD-2-Clause
#include "kill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "states.h"

/* --- which --- */

bool pf_kill_host_matches(const struct pf_kill_host *h, uint8_t af, const struct pf_addr *addr)
{
	struct pf_ip ip;

	if (!h->af)
		return true;
	if (h->af != af)
		return false;
	memcpy(ip.b, addr, sizeof(ip.b));
	pf_ip_mask(&ip, h->bits);
	return pf_ip_equal(&ip, &h->ip) != h->neg;
}

static bool gateway_matches(const struct pf_datapath *dp, const struct pf_kill *k,
			    const struct pf_state *s)
{
	static const struct pf_addr none;
	const struct pf_hop *hop = pf_state_gateway(dp, s);

	return pf_kill_host_matches(&k->gateway, s->key.af, hop ? &hop->addr : &none);
}

static bool matches(const struct pf_datapath *dp, const struct pf_kill *k, const struct pf_state *s)
{
	/*
	 * Who made the state is outside when it came in, inside when it went out.  The
	 * addresses are those of its first packet, before it was translated.
	 */
	unsigned int src = s->dir == PF_IN ? 0 : 1;
	const struct pf_state_key *key = s->dir == PF_IN ? &s->key : &s->stack;

	return (!k->id || k->id == s->id) && (!k->ifindex || k->ifindex == s->ifindex) &&
	       (!k->proto || k->proto == key->proto) &&
	       (!k->ports || (k->sport == key->port[src] && k->dport == key->port[!src])) &&
	       (!k->rules || (s->rule < PF_MAX_RULE_IDS && k->rules[s->rule])) &&
	       pf_kill_host_matches(&k->src, key->af, &key->addr[src]) &&
	       pf_kill_host_matches(&k->dst, key->af, &key->addr[!src]) &&
	       gateway_matches(dp, k, s);
}

/* --- the other state of a connection that is forwarded --- */

/*
 * Between the interface that a packet comes in by and the one that it goes out by, it is
 * as the first state leaves it, and as the second one finds it.
 */
struct between {
	struct pf_state_key key; /* as the state that came in has it behind itself */
	uint32_t dir;		 /* of the state; 0: no entry */
};

struct betweens {
	struct between *v; /* by hash, size is a power of two and v never more than half full */
	size_t n, size;
};

static struct between between_of(const struct pf_state *s)
{
	struct between b = {.key = s->stack, .dir = s->dir};

	if (s->dir == PF_IN)
		return b;
	for (int i = 0; i < 2; i++) {
		b.key.addr[i] = s->stack.addr[!i];
		b.key.port[i] = s->stack.port[!i];
	}
	return b;
}

/* FNV-1a, by words. */
static size_t hash(const struct between *b)
{
	uint32_t w[sizeof(b->key) / sizeof(uint32_t)];
	uint64_t h = 0xcbf29ce484222325;

	memcpy(w, &b->key, sizeof(w));
	for (size_t i = 0; i < sizeof(w) / sizeof(w[0]); i++)
		h = (h ^ w[i]) * 0x100000001b3;
	return (size_t)(h ^ h >> 32) ^ b->dir;
}

/* Its place, or the empty one where it belongs. */
static struct between *place(const struct betweens *t, const struct between *b)
{
	size_t at = hash(b) & (t->size - 1);

	while (t->v[at].dir &&
	       (t->v[at].dir != b->dir || memcmp(&t->v[at].key, &b->key, sizeof(b->key)) != 0))
		at = (at + 1) & (t->size - 1);
	return &t->v[at];
}

static int put(struct betweens *t, const struct between *b)
{
	struct betweens more = {.size = t->size ? t->size * 2 : 1024};
	struct between *p;

	if (t->n * 2 >= t->size) {
		more.v = calloc(more.size, sizeof(*more.v));
		if (!more.v)
			return -ENOMEM;
		for (size_t i = 0; i < t->size; i++)
			if (t->v[i].dir)
				*place(&more, &t->v[i]) = t->v[i];
		free(t->v);
		t->v = more.v;
		t->size = more.size;
	}
	p = place(t, b);
	t->n += !p->dir;
	*p = *b;
	return 0;
}

/* --- ending --- */

static int collect(const struct pf_datapath *dp, const struct pf_kill *k, struct betweens *t)
{
	int err = 0;

	for (uint32_t i = 0; i < dp->config->slots && !err; i++) {
		const struct pf_state *s = &dp->states[i];
		struct between b;

		if (!pf_state_is_live(s) || !matches(dp, k, s))
			continue;
		b = between_of(s);
		/* it is looked for by the other one */
		b.dir = b.dir == PF_IN ? PF_OUT : PF_IN;
		err = put(t, &b);
	}
	return err;
}

static bool is_other(const struct betweens *t, const struct pf_state *s)
{
	struct between b = between_of(s);

	return t->size && place(t, &b)->dir;
}

int pf_states_kill(const struct pf_datapath *dp, const struct pf_kill *k, uint32_t *n)
{
	struct betweens others = {0};
	int err = k->matching ? collect(dp, k, &others) : 0;
	uint32_t killed = 0, from = 0, to = 0;

	for (uint32_t i = 0; i < dp->config->slots && !err; i++) {
		struct pf_state *s = &dp->states[i];

		if (!pf_state_is_live(s) || (!matches(dp, k, s) && !is_other(&others, s)))
			continue;
		__atomic_store_n(&s->kill, PF_KILL_STATE, __ATOMIC_RELEASE);
		if (!killed++)
			from = i;
		to = i + 1;
	}
	free(others.v);
	if (err)
		return err;
	if (killed)
		pf_datapath_purge(dp, from, to);
	/* the sweep may have been there first: what was marked counts, not what we take out */
	*n = killed;
	return 0;
}
