// SPDX-License-Identifier: BSD-2-Clause
#include "nats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* pf.conf(5), TRANSLATION: where a rule names no ports */
#define NAT_PORT_LO 50001
#define NAT_PORT_HI 65535

bool pf_nats_moves(const struct pf_rule *r)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	return r->action == PF_RULE_ACTION_MATCH && (x->nat || x->rdr);
}

static void fill_addr(const struct pf_rule_host *h, struct pf_nat *n)
{
	struct pf_ip ones;

	memset(ones.b, 0xff, sizeof(ones.b));
	pf_ip_mask(&ones, h->bits);
	memcpy(&n->addr, h->ip.b, sizeof(n->addr));
	memcpy(&n->mask, ones.b, sizeof(n->mask));
	/* of an IPv4 address only the first word is there */
	if (h->af == PF_FAMILY_INET) {
		memset(&n->addr.w[1], 0, sizeof(n->addr) - sizeof(n->addr.w[0]));
		memset(&n->mask.w[1], 0, sizeof(n->mask) - sizeof(n->mask.w[0]));
	}
}

static struct pf_nat nat_of(const struct pf_pool *pool)
{
	struct pf_nat n = {.flags = PF_NAT_SRC};

	fill_addr(&pool->hosts[0].host, &n);
	if (!pool->static_port) {
		n.lo = pool->port ? pool->port : NAT_PORT_LO;
		n.hi = pool->port ? pool->port_hi : NAT_PORT_HI;
	}
	return n;
}

static struct pf_nat rdr_of(const struct pf_rule *r, const struct pf_pool *pool)
{
	bool from_one = r->dport.op == PF_PORT_EQ || r->dport.op == PF_PORT_RANGE;
	struct pf_nat n = {
		.lo = pool->port, .hi = pool->port_hi, .base = from_one ? r->dport.lo : 0};

	fill_addr(&pool->hosts[0].host, &n);
	return n;
}

static int grow(struct pf_compiled *c, size_t n)
{
	struct pf_nat *nats = reallocarray(c->nats, n + 1, sizeof(*nats));
	uint32_t *rules;

	if (!nats)
		return -ENOMEM;
	c->nats = nats;
	rules = reallocarray(c->nat_rules, n + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	c->nat_rules = rules;
	return 0;
}

int pf_nats_append(const struct pf_policy *p, uint32_t from, struct pf_compiled *c)
{
	size_t n = c->nnats;
	int err;

	for (uint32_t i = from; i < p->nrules; i++) {
		const struct pf_rule_ext *x = pf_rule_ext_of(p->rules[i]);

		n += x->nat || x->rdr;
	}
	err = grow(c, n);
	if (err)
		return err;
	for (uint32_t i = from; i < p->nrules; i++) {
		const struct pf_rule *r = p->rules[i];
		const struct pf_rule_ext *x = pf_rule_ext_of(r);

		if (!x->nat && !x->rdr)
			continue;
		c->nats[c->nnats] = x->nat ? nat_of(x->nat) : rdr_of(r, x->rdr);
		if (x->nat && c->asks_sport && pf_nats_moves(r))
			c->nats[c->nnats].flags |= PF_NAT_SEEN;
		c->nat_rules[c->nnats++] = i;
	}
	return 0;
}

int pf_nats_make(const struct pf_policy *p, struct pf_compiled *c)
{
	for (uint32_t i = 0; i < p->nrules; i++) {
		c->random |= pf_rule_ext_of(p->rules[i])->nat != NULL;
		c->nat_moves |= pf_nats_moves(p->rules[i]);
		c->asks_sport |= p->rules[i]->sport.op != PF_PORT_ANY;
	}
	return pf_nats_append(p, 0, c);
}

/*
 * Where no rule translated for those behind it, their trees were cut behind quick rules
 * that a packet meets before it becomes another (see compiler/tree.c), and where none
 * asked for source ports, what there is of nat-to does not look who has seen the one that
 * it tried.  Without nat-to and chance the program draws no numbers.
 */
bool pf_nats_may_append(const struct pf_rule *r, const struct pf_compiled *c)
{
	if (pf_rule_ext_of(r)->nat && !c->random)
		return false;
	if (r->sport.op && c->nat_moves && !c->asks_sport)
		return false;
	return c->nat_moves || !pf_nats_moves(r);
}

uint32_t pf_nat_of(const struct pf_compiled *c, uint32_t rule)
{
	size_t lo = 0, hi = c->nnats;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (c->nat_rules[mid] < rule)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->nnats && c->nat_rules[lo] == rule ? (uint32_t)lo + 1 : 0;
}
