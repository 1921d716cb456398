// SPDX-License-Identifier: BSD-2-Clause
#include "covers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

/* --- kinds of rules --- */

/* Padding may make equal parts differ: then a rule is only left alone. */
static bool all_zero(const struct pf_rule_ext *x)
{
	const unsigned char *p = (const unsigned char *)x;

	for (size_t i = 0; i < sizeof(*x); i++)
		if (p[i])
			return false;
	return true;
}

bool pf_rule_plain(const struct pf_rule *r)
{
	if (r->action != PF_RULE_ACTION_PASS && r->action != PF_RULE_ACTION_BLOCK)
		return false;
	return !r->x || all_zero(r->x);
}

bool pf_rule_narrowed(const struct pf_rule *r)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	return x->anchor || x->received_on || x->received_not || x->os || x->user.op ||
	       x->group.op || x->tos_given || x->prio || x->tagged || x->rdomain || x->prob ||
	       x->max_pkt_rate.limit || x->max_pkt_size || x->state_limiter.name ||
	       x->state_limiter.id || x->source_limiter.name || x->source_limiter.id || x->once;
}

bool pf_rule_translates(const struct pf_rule *r)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	/* a pass rule's comes after all rules; no-route and urpf-failed are asked of a table */
	return x->anchor || (r->action == PF_RULE_ACTION_MATCH &&
			     (x->nat || x->rdr || x->target || x->af_to || x->rtable));
}

bool pf_rule_same_line(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->line == b->line && a->file == b->file;
}

bool pf_rule_same_effect(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->action == b->action && a->block_kind == b->block_kind &&
	       a->return_ttl == b->return_ttl && a->return_icmp == b->return_icmp &&
	       a->return_icmp6 == b->return_icmp6 && a->keep_state == b->keep_state &&
	       a->log == b->log && a->allow_opts == b->allow_opts && !pf_rule_is_labelled(a) &&
	       !pf_rule_is_labelled(b);
}

/* --- criteria, one by one --- */

static bool same_name(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool in_prefix(const struct pf_ip *ip, const struct pf_ip *net, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	return memcmp(ip->b, net->b, whole) == 0 &&
	       (!rest || (ip->b[whole] ^ net->b[whole]) >> (8 - rest) == 0);
}

bool pf_host_same(const struct pf_rule_host *a, const struct pf_rule_host *b)
{
	if (a->type != b->type || a->neg != b->neg)
		return false;
	switch (a->type) {
	case PF_HOST_ANY:
	case PF_HOST_NO_ROUTE:
	case PF_HOST_URPF:
		return true;
	case PF_HOST_PREFIX:
		return a->af == b->af && a->bits == b->bits && in_prefix(&a->ip, &b->ip, a->bits);
	case PF_HOST_TABLE:
		return same_name(a->table, b->table);
	case PF_HOST_RANGE:
		return a->af == b->af && pf_ip_equal(&a->ip, &b->ip) && pf_ip_equal(a->hi, b->hi);
	case PF_HOST_DYNAMIC:
		return a->bits == b->bits && a->modifiers == b->modifiers &&
		       same_name(a->name, b->name);
	case PF_HOST_RTLABEL:
	case PF_HOST_NAME:
		return same_name(a->name, b->name);
	}
	return false;
}

static bool host_covers(const struct pf_rule_host *a, const struct pf_rule_host *b)
{
	if (a->type == PF_HOST_ANY && !a->neg)
		return true;
	if (a->type == PF_HOST_PREFIX && b->type == PF_HOST_PREFIX && !a->neg && !b->neg)
		return a->af == b->af && a->bits <= b->bits && in_prefix(&b->ip, &a->ip, a->bits);
	return pf_host_same(a, b);
}

/*
 * "any" is all interfaces but loopback.  Other names are not compared: one may be
 * a group that has the other in it.
 */
static bool iface_covers(const struct pf_rule *a, const struct pf_rule *b)
{
	if (!a->ifname)
		return true;
	return b->ifname && a->ifnot == b->ifnot && strcmp(a->ifname, b->ifname) == 0;
}

uint64_t pf_port_key(const struct pf_rule_port *p)
{
	return (uint64_t)p->op << 32 | (uint64_t)(p->op != PF_PORT_ANY ? p->lo : 0) << 16 |
	       (p->op >= PF_PORT_RANGE ? p->hi : 0);
}

struct interval {
	int lo, hi; /* empty if lo is above hi */
};

/* The ports that an operator takes, as two intervals. */
static void port_intervals(const struct pf_rule_port *p, struct interval v[2])
{
	const int lo = p->lo, hi = p->hi, last = UINT16_MAX;
	const struct interval none = {1, 0};

	v[0] = (struct interval){0, last};
	v[1] = none;
	switch (p->op) {
	case PF_PORT_ANY:
		break;
	case PF_PORT_EQ:
		v[0] = (struct interval){lo, lo};
		break;
	case PF_PORT_NE:
		v[0] = (struct interval){0, lo - 1};
		v[1] = (struct interval){lo + 1, last};
		break;
	case PF_PORT_LT:
		v[0] = (struct interval){0, lo - 1};
		break;
	case PF_PORT_LE:
		v[0] = (struct interval){0, lo};
		break;
	case PF_PORT_GT:
		v[0] = (struct interval){lo + 1, last};
		break;
	case PF_PORT_GE:
		v[0] = (struct interval){lo, last};
		break;
	case PF_PORT_RANGE:
		v[0] = (struct interval){lo, hi};
		break;
	case PF_PORT_INSIDE:
		v[0] = (struct interval){lo + 1, hi - 1};
		break;
	case PF_PORT_OUTSIDE:
		v[0] = (struct interval){0, lo - 1};
		v[1] = (struct interval){hi + 1, last};
		break;
	}
}

static bool interval_within(struct interval b, const struct interval a[2])
{
	return b.lo > b.hi || (b.lo >= a[0].lo && b.hi <= a[0].hi) ||
	       (b.lo >= a[1].lo && b.hi <= a[1].hi);
}

/* Even ports 0 to 65535 are less than any: a later fragment has none. */
static bool port_covers(const struct pf_rule_port *a, const struct pf_rule_port *b)
{
	struct interval va[2], vb[2];

	if (a->op == PF_PORT_ANY)
		return true;
	if (b->op == PF_PORT_ANY)
		return false;
	port_intervals(a, va);
	port_intervals(b, vb);
	return interval_within(vb[0], va) && interval_within(vb[1], va);
}

/*
 * Flags are asked of TCP packets alone.  If a asks for some of the flags that b
 * asks for, and wants them to be the same, then it wants less than b.
 */
static bool flags_cover(const struct pf_rule *a, const struct pf_rule *b)
{
	if (!a->proto && b->proto && b->proto != PF_PROTO_TCP)
		return true;
	return !(a->flagset & ~b->flagset) && (b->flags & a->flagset) == a->flags;
}

/* An ICMP packet that may not make a state is not matched by who would make one. */
static bool state_covers(const struct pf_rule *a, const struct pf_rule *b)
{
	return !pf_rule_no_replies(a) || pf_rule_no_replies(b) ||
	       (b->proto && b->proto != PF_PROTO_ICMP && b->proto != PF_PROTO_ICMP6);
}

/* --- rules --- */

bool pf_rule_covers(const struct pf_rule *a, const struct pf_rule *b)
{
	/* what tells most rules apart comes first */
	return (!a->proto || a->proto == b->proto) && (!a->dir || a->dir == b->dir) &&
	       (!a->af || a->af == b->af) && host_covers(&a->src, &b->src) &&
	       host_covers(&a->dst, &b->dst) && port_covers(&a->dport, &b->dport) &&
	       port_covers(&a->sport, &b->sport) && flags_cover(a, b) &&
	       (!a->icmp_type || a->icmp_type == b->icmp_type) &&
	       (!a->icmp_code || a->icmp_code == b->icmp_code) && (!a->fragment || b->fragment) &&
	       state_covers(a, b) && iface_covers(a, b);
}

/*
 * As pf_rule_hash() sees them.  Whether state is kept is a criterion for ICMP, but the
 * kind of state is none, other than sloppy.
 */
bool pf_rule_same_match(const struct pf_rule *a, const struct pf_rule *b, enum pf_but but)
{
	return a->dir == b->dir && a->af == b->af && a->proto == b->proto && a->flags == b->flags &&
	       a->flagset == b->flagset && a->icmp_type == b->icmp_type &&
	       a->icmp_code == b->icmp_code && a->fragment == b->fragment &&
	       pf_rule_no_replies(a) == pf_rule_no_replies(b) && same_name(a->ifname, b->ifname) &&
	       (!a->ifname || a->ifnot == b->ifnot) &&
	       (but == PF_BUT_SRC || pf_host_same(&a->src, &b->src)) &&
	       (but == PF_BUT_DST || pf_host_same(&a->dst, &b->dst)) &&
	       pf_port_key(&a->sport) == pf_port_key(&b->sport) &&
	       pf_port_key(&a->dport) == pf_port_key(&b->dport);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9fb21c651e98df25ULL;
	return h ^ h >> 29;
}

static uint64_t mix_string(uint64_t h, const char *s)
{
	for (; s && *s; s++)
		h = mix(h, (unsigned char)*s);
	return mix(h, 0);
}

static uint64_t mix_ip(uint64_t h, struct pf_ip ip, unsigned int bits)
{
	uint64_t w[2];

	pf_ip_mask(&ip, bits);
	memcpy(w, ip.b, sizeof(w));
	return mix(mix(h, w[0]), w[1]);
}

static uint64_t mix_host(uint64_t h, const struct pf_rule_host *host)
{
	h = mix(h, (uint64_t)host->type << 1 | host->neg);
	switch (host->type) {
	case PF_HOST_PREFIX:
		return mix_ip(mix(h, (uint64_t)host->af << 8 | host->bits), host->ip, host->bits);
	case PF_HOST_RANGE:
		return mix_ip(mix(h, host->af), host->ip, 128);
	case PF_HOST_TABLE:
		return mix_string(h, host->table);
	case PF_HOST_DYNAMIC:
	case PF_HOST_RTLABEL:
	case PF_HOST_NAME:
		return mix_string(h, host->name);
	default:
		return h;
	}
}

uint64_t pf_rule_hash(const struct pf_rule *r, enum pf_but but)
{
	uint64_t h = mix_string(0x2545f4914f6cdd1dULL, r->ifname);

	h = mix(h, (uint64_t)r->dir << 56 | (uint64_t)r->af << 48 | (uint64_t)r->proto << 40 |
			   (uint64_t)r->flags << 32 | (uint64_t)r->flagset << 24 |
			   (uint64_t)!pf_rule_no_replies(r) << 2 | (uint64_t)r->fragment << 1 |
			   (r->ifname && r->ifnot));
	h = mix(h, (uint64_t)r->icmp_type << 16 | r->icmp_code);
	if (but != PF_BUT_SRC)
		h = mix_host(h, &r->src);
	if (but != PF_BUT_DST)
		h = mix_host(h, &r->dst);
	return mix(mix(h, pf_port_key(&r->sport)), pf_port_key(&r->dport));
}

/* --- rules that may cover another --- */

static void ring_add(struct pf_cover_ring *r, uint32_t rule)
{
	r->at[r->added++ % PF_COVER_RING] = rule;
}

int pf_cover_set_init(struct pf_cover_set *s, const struct pf_rule *rules, const uint64_t *hash,
		      size_t n)
{
	size_t heads = 16;

	while (heads < n)
		heads *= 2;
	*s = (struct pf_cover_set){.rules = rules, .hash = hash, .epoch = 1, .mask = heads - 1};
	s->heads = calloc(heads, sizeof(*s->heads));
	s->next = calloc(n + 1, sizeof(*s->next));
	if (s->heads && s->next)
		return 0;
	pf_cover_set_free(s);
	return -ENOMEM;
}

void pf_cover_set_free(struct pf_cover_set *s)
{
	free(s->heads);
	free(s->next);
	*s = (struct pf_cover_set){.rules = NULL};
}

void pf_cover_set_clear(struct pf_cover_set *s)
{
	s->recent.added = 0;
	s->wide.added = 0;
	s->epoch++; /* no more often than there are rules: it does not come round */
}

static bool is_any(const struct pf_rule_host *h)
{
	return h->type == PF_HOST_ANY && !h->neg;
}

void pf_cover_set_add(struct pf_cover_set *s, uint32_t rule)
{
	const struct pf_rule *r = &s->rules[rule];
	struct pf_cover_head *head = &s->heads[s->hash[rule] & s->mask];

	ring_add(&s->recent, rule);
	if (is_any(&r->src) && is_any(&r->dst))
		ring_add(&s->wide, rule);
	s->next[rule] = head->epoch == s->epoch ? head->rule : PF_COVER_NONE;
	*head = (struct pf_cover_head){.rule = rule, .epoch = s->epoch};
}

static bool covers(const struct pf_cover_set *s, uint32_t a, uint32_t b, bool other_line)
{
	return pf_rule_covers(&s->rules[a], &s->rules[b]) &&
	       !(other_line && pf_rule_same_line(&s->rules[a], &s->rules[b]));
}

static uint32_t ring_find(const struct pf_cover_set *s, const struct pf_cover_ring *r, uint32_t b,
			  bool other_line)
{
	size_t n = r->added < PF_COVER_RING ? r->added : PF_COVER_RING;

	for (size_t i = 0; i < n; i++)
		if (covers(s, r->at[i], b, other_line))
			return r->at[i];
	return PF_COVER_NONE;
}

uint32_t pf_cover_set_find(const struct pf_cover_set *s, uint32_t b, bool other_line)
{
	const struct pf_cover_head *head = &s->heads[s->hash[b] & s->mask];
	uint32_t a = head->epoch == s->epoch ? head->rule : PF_COVER_NONE;

	for (int i = 0; i < PF_COVER_ALIKE && a != PF_COVER_NONE; i++) {
		if (s->hash[a] == s->hash[b] && covers(s, a, b, other_line))
			return a;
		a = s->next[a];
	}
	a = ring_find(s, &s->wide, b, other_line);
	if (a != PF_COVER_NONE)
		return a;
	return ring_find(s, &s->recent, b, other_line);
}

/* --- tables --- */

static void pool_refs(const struct pf_pool *p, const struct pf_rule *r, pf_table_ref_fn *fn,
		      void *ctx)
{
	for (uint32_t i = 0; p && i < p->nhosts; i++)
		if (p->hosts[i].host.type == PF_HOST_TABLE)
			fn(ctx, p->hosts[i].host.table, r->file, r->line);
}

static void rule_refs(const struct pf_rule *r, pf_table_ref_fn *fn, void *ctx)
{
	const struct pf_rule_ext *x = r->x;

	if (r->src.type == PF_HOST_TABLE)
		fn(ctx, r->src.table, r->file, r->line);
	if (r->dst.type == PF_HOST_TABLE)
		fn(ctx, r->dst.table, r->file, r->line);
	if (!x)
		return;
	if (x->state && x->state->overload)
		fn(ctx, x->state->overload, r->file, r->line);
	pool_refs(x->nat, r, fn, ctx);
	pool_refs(x->rdr, r, fn, ctx);
	pool_refs(x->target, r, fn, ctx);
	pool_refs(x->route, r, fn, ctx);
}

void pf_block_table_refs(const struct pf_block *b, pf_table_ref_fn *fn, void *ctx)
{
	for (size_t k = 0; k < PF_LIST_MAX; k++)
		for (size_t i = 0; i < b->list[k].n; i++)
			rule_refs(&b->list[k].v[i], fn, ctx);
	for (size_t i = 0; i < b->nether; i++) {
		const struct pf_ether_rule *r = &b->ether[i];

		if (r->l3_src.type == PF_HOST_TABLE)
			fn(ctx, r->l3_src.table, r->file, r->line);
		if (r->l3_dst.type == PF_HOST_TABLE)
			fn(ctx, r->l3_dst.table, r->file, r->line);
	}
}
