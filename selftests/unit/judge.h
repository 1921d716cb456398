/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules by chance, of which many cover each other, and what becomes of a packet by
 * a plain reading of them: with anchors, match rules, tags and translation.
 */
#ifndef PF_SELFTESTS_UNIT_JUDGE_H
#define PF_SELFTESTS_UNIT_JUDGE_H

#include "plain.h"
#include "unit.h"

#define S  0x02
#define SA 0x12

/* --- packets, and what becomes of them --- */

enum { LO, ETH0, ETH1, ETH2, IFACES };

struct packet {
	uint8_t af, dir, proto, flags, icmp_type, icmp_code;
	uint8_t fragment; /* 0, 1 first, 2 later */
	bool keep_never;
	int iface;
	uint16_t sport, dport;
	struct pf_ip src, dst;
};

struct outcome {
	const struct pf_rule *rule; /* NULL: the default */
	const char *tag;
	uint64_t trace; /* of match rules, and of the log of matches */
	bool log_matches, done;
};

static inline bool on_iface(const char *name, int iface)
{
	static const char *const names[IFACES] = {"lo", "eth0", "eth1", "eth2"};

	if (strcmp(name, PF_IF_ANY) == 0)
		return iface != LO;
	if (strcmp(name, "grp") == 0)
		return iface == ETH0 || iface == ETH1;
	return strcmp(name, names[iface]) == 0;
}

static inline bool in_table(const struct pf_ruleset *rs, const struct pf_block *b, const char *name,
			    const struct packet *p, const struct pf_ip *ip)
{
	const struct pf_table_def *t = pf_block_find_table(b, name);
	int best = -1;
	bool in = false;

	if (!t)
		t = pf_ruleset_find_table(rs, name);
	for (size_t i = 0; t && i < t->nentries; i++) {
		const struct pf_table_entry *e = &t->entries[i];

		if (e->af == p->af && e->bits > best && plain_in_net(ip->b, e->ip.b, e->bits)) {
			best = e->bits;
			in = !e->neg;
		}
	}
	return in;
}

static inline bool host_matches(const struct pf_ruleset *rs, const struct pf_block *b,
				const struct pf_rule_host *h, const struct packet *p,
				const struct pf_ip *ip)
{
	bool in = true;

	switch (h->type) {
	case PF_HOST_ANY:
		break;
	case PF_HOST_PREFIX:
		in = h->af == p->af && plain_in_net(ip->b, h->ip.b, h->bits);
		break;
	case PF_HOST_RANGE:
		in = h->af == p->af && memcmp(ip, &h->ip, sizeof(*ip)) >= 0 &&
		     memcmp(ip, h->hi, sizeof(*ip)) <= 0;
		break;
	case PF_HOST_TABLE:
		in = in_table(rs, b, h->table, p, ip);
		break;
	case PF_HOST_DYNAMIC: /* any function of the address and of what is asked will do */
		in = ip->b[3] % 3 == h->name[3] % 3 + h->modifiers;
		break;
	case PF_HOST_NO_ROUTE:
		in = ip->b[3] % 4 == 1;
		break;
	case PF_HOST_URPF:
		in = ip->b[3] % 4 == 2;
		break;
	default:
		fail_msg("host of type %d", h->type);
	}
	return in != h->neg;
}

static inline bool layer4_matches(const struct pf_rule *r, const struct packet *p)
{
	const bool icmp = p->proto == 1 || p->proto == 58;

	if (p->fragment == 2 &&
	    (r->sport.op || r->dport.op || r->icmp_type || (p->proto == 6 && r->flagset)))
		return false;
	if (p->proto == 6 && (p->flags & r->flagset) != r->flags)
		return false;
	if (icmp && ((r->icmp_type && r->icmp_type != p->icmp_type + 1) ||
		     (r->icmp_code && r->icmp_code != p->icmp_code + 1) ||
		     (r->keep_state && p->keep_never)))
		return false;
	return plain_port_matches(&r->sport, p->sport) && plain_port_matches(&r->dport, p->dport) &&
	       (!r->fragment || p->fragment);
}

static inline bool rule_matches(const struct pf_ruleset *rs, const struct pf_block *b,
				const struct pf_rule *r, const struct packet *p,
				const struct outcome *o)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	if (x->tagged && (!o->tag || strcmp(x->tagged, o->tag) != 0))
		return false;
	if (x->prob && p->src.b[3] % 2)
		return false;
	return (!r->ifname || on_iface(r->ifname, p->iface) != r->ifnot) &&
	       (!r->dir || r->dir == p->dir) && (!r->af || r->af == p->af) &&
	       (!r->proto || r->proto == p->proto) && host_matches(rs, b, &r->src, p, &p->src) &&
	       host_matches(rs, b, &r->dst, p, &p->dst) && layer4_matches(r, p);
}

static inline void note(struct outcome *o, const struct pf_rule *r)
{
	o->trace = (o->trace ^ r->line) * 0x100000001b3ULL;
}

static inline void evaluate(const struct pf_ruleset *rs, const struct pf_block *b, struct packet *p,
			    struct outcome *o)
{
	const struct pf_rule_list *l = &b->list[PF_LIST_FILTER];

	for (size_t i = 0; i < l->n && !o->done; i++) {
		const struct pf_rule *r = &l->v[i], *before = o->rule;
		const struct pf_rule_ext *x = pf_rule_ext_of(r);

		if (!rule_matches(rs, b, r, p, o))
			continue;
		if (x->anchor) {
			evaluate(rs, x->anchor->block, p, o);
			o->done |= r->quick && o->rule != before;
			continue;
		}
		if (x->tag)
			o->tag = x->tag;
		if (r->action == PF_RULE_ACTION_MATCH) {
			note(o, r);
			o->log_matches |= x->log_matches;
			if (x->rdr)
				p->dst.b[3] ^= 1;
		} else {
			o->rule = r;
		}
		o->done = r->quick;
		if (o->log_matches)
			note(o, r);
	}
}

static inline struct outcome judge(const struct pf_ruleset *rs, const struct packet *p)
{
	struct outcome o = {.rule = NULL};
	struct packet copy = *p;

	evaluate(rs, &rs->main, &copy, &o);
	return o;
}

static inline bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static inline bool same_outcome(const struct outcome *a, const struct outcome *b)
{
	static const struct pf_rule pass; /* without a state */
	const struct pf_rule *ra = a->rule ? a->rule : &pass, *rb = b->rule ? b->rule : &pass;

	return ra->action == rb->action && ra->block_kind == rb->block_kind &&
	       ra->return_ttl == rb->return_ttl && ra->return_icmp == rb->return_icmp &&
	       ra->return_icmp6 == rb->return_icmp6 && ra->log == rb->log &&
	       ra->keep_state == rb->keep_state && ra->allow_opts == rb->allow_opts &&
	       ra->x == rb->x && same_text(ra->label, rb->label) && same_text(a->tag, b->tag) &&
	       a->trace == b->trace;
}

/* --- rules by hand --- */

/* "p" pass, "b" block, "m" match; "P" and "B" quick ones.  On a line of its own. */
static inline struct pf_rule *add(struct pf_ruleset *rs, char what)
{
	struct pf_rule *r = pf_ruleset_add_rule(rs);

	assert_non_null(r);
	r->line = (uint32_t)pf_filter(rs)->n;
	r->action = what == 'm'			 ? PF_RULE_ACTION_MATCH
		    : what == 'b' || what == 'B' ? PF_RULE_ACTION_BLOCK
						 : PF_RULE_ACTION_PASS;
	r->quick = what == 'P' || what == 'B';
	return r;
}

static inline struct pf_rule *add_port(struct pf_ruleset *rs, char what, uint16_t port)
{
	struct pf_rule *r = add(rs, what);

	r->proto = PF_PROTO_TCP;
	r->dport = (struct pf_rule_port){.op = PF_PORT_EQ, .lo = port};
	return r;
}

/* --- rules by chance --- */

static const struct pf_ip range_end = {.b = {10, 1, 2, 5}};
static const struct pf_pool no_pool;
static const struct pf_rule_ext exts[] = {
	{.tag = "a"},
	{.tagged = "a"},
	{.queue = "q"},
	{.prob = UINT32_MAX / 2},
	{.tag = "b", .queue = "q"},
};
static const struct pf_rule_ext ext_rdr = {.rdr = &no_pool};
static const struct pf_rule_ext ext_matches = {.log_matches = true};

static inline struct pf_ip random_ip(struct rnd *r, uint8_t af)
{
	struct pf_ip ip = {.b = {10}};

	if (af == PF_FAMILY_INET6)
		ip.b[0] = 0x20;
	ip.b[1] = (uint8_t)rnd_below(r, 2);
	ip.b[2] = 2;
	ip.b[3] = (uint8_t)rnd_below(r, 12);
	return ip;
}

static inline struct pf_rule_host random_host(struct rnd *r, uint8_t af)
{
	static const uint8_t bits[] = {0, 8, 16, 24, 30, 31, 32, 32, 32};
	static const char *const names[] = {"eth0", "eth1"};
	struct pf_rule_host h = {.neg = rnd_percent(r, 10)};
	uint32_t kind = rnd_below(r, 100);

	if (kind < 35) {
		h.neg = rnd_percent(r, 3);
	} else if (kind < 45) {
		h.type = PF_HOST_TABLE;
		h.table = rnd_percent(r, 50) ? "ta" : "tb";
	} else if (kind < 50) {
		h.type = rnd_percent(r, 50) ? PF_HOST_NO_ROUTE : PF_HOST_URPF;
	} else if (kind < 55) {
		h.type = PF_HOST_DYNAMIC;
		h.name = rnd_pick(r, names);
		h.modifiers = (uint8_t)rnd_below(r, 2);
	} else if (af && kind < 60) {
		h.type = PF_HOST_RANGE;
		h.af = af;
		h.ip = random_ip(r, af);
		h.hi = &range_end;
	} else if (af) {
		h.type = PF_HOST_PREFIX;
		h.af = af;
		h.bits = rnd_pick(r, bits);
		h.ip = random_ip(r, af);
		if (rnd_percent(r, 90)) /* who sends us rules may have forgotten to */
			pf_ip_mask(&h.ip, h.bits);
	}
	return h;
}

static const uint16_t ports[] = {0, 1, 22, 23, 80, 65534, 65535};

static inline struct pf_rule_port random_port(struct rnd *r)
{
	struct pf_rule_port p = {.op = (enum pf_port_op)(1 + rnd_below(r, PF_PORT_OUTSIDE))};

	p.lo = rnd_pick(r, ports);
	p.hi = rnd_pick(r, ports); /* noise, where there is only one */
	return p;
}

static inline void random_proto(struct rnd *r, struct pf_rule *rule)
{
	static const uint8_t protos[] = {0, 0, 6, 6, 17, 1, 58};
	static const uint8_t flags[][2] = {{S, SA}, {S, S}, {0, 0x04}, {0, 0x14}};
	const uint8_t *f = rnd_pick(r, flags);

	rule->proto = rnd_pick(r, protos);
	if ((!rule->proto || rule->proto == 6) && rnd_percent(r, 40)) {
		rule->flags = f[0];
		rule->flagset = f[1];
	}
	if (rule->proto == 6 || rule->proto == 17) {
		if (rnd_percent(r, 20))
			rule->sport = random_port(r);
		if (rnd_percent(r, 50))
			rule->dport = random_port(r);
	}
	if ((rule->proto == 1 || rule->proto == 58) && rnd_percent(r, 50)) {
		rule->icmp_type = (uint16_t)(1 + rnd_below(r, 2) * 8);
		rule->icmp_code = (uint16_t)rnd_below(r, 3);
	}
	rule->fragment = rnd_percent(r, 5) && !rule->flagset && !rule->icmp_type &&
			 !rule->sport.op && !rule->dport.op;
}

/* What a ruleset is made of: few values of each, so that rules meet. */
struct mood {
	uint32_t quick, block, label, log, ext, wide;
	bool rdr, matches;
};

static inline struct pf_rule random_rule(struct rnd *r, const struct mood *m)
{
	static const char *const names[] = {"eth0", "eth1", "grp", PF_IF_ANY, "lo"};
	static const char *const labels[] = {"one", "two"};
	static const uint8_t afs[] = {0, 4, 4, 4, 6};
	struct pf_rule rule = {.action = rnd_percent(r, m->block),
			       .quick = rnd_percent(r, m->quick)};

	rule.log = rnd_percent(r, m->log);
	if (rnd_percent(r, m->label))
		rule.label = rnd_pick(r, labels);
	if (rule.action == PF_RULE_ACTION_BLOCK) {
		rule.block_kind = rnd_percent(r, 20);
		rule.return_icmp = rnd_percent(r, 80) ? 0x303 : 0x301;
	} else {
		rule.keep_state = rnd_percent(r, 60) ? PF_STATE_KEEP : PF_STATE_NO;
		rule.allow_opts = rnd_percent(r, 10);
	}
	rule.dir = rnd_percent(r, 50) ? 0 : (uint8_t)(1 + rnd_below(r, 2));
	rule.af = rnd_pick(r, afs);
	if (rnd_percent(r, 25)) {
		rule.ifname = rnd_pick(r, names);
		rule.ifnot = rnd_percent(r, 20);
	}
	if (!rnd_percent(r, m->wide)) {
		random_proto(r, &rule);
		rule.src = random_host(r, rule.af);
		rule.dst = random_host(r, rule.af);
	}
	if (!rnd_percent(r, m->ext))
		return rule;
	rule.x = &rnd_pick(r, exts);
	if (rnd_percent(r, 50)) {
		rule.action = PF_RULE_ACTION_MATCH;
		rule.quick = false;
		rule.x = m->rdr ? &ext_rdr : m->matches ? &ext_matches : rule.x;
	}
	return rule;
}

/* The same again, with another address or another part changed. */
static inline void vary(struct rnd *r, struct pf_rule *rule, const struct mood *m)
{
	struct pf_rule other = random_rule(r, m);

	switch (rnd_below(r, 8)) {
	case 0:
		rule->dst = random_host(r, rule->af);
		break;
	case 1:
		rule->quick = other.quick;
		break;
	case 2:
		rule->dir = other.dir;
		break;
	case 3:
		rule->log = other.log;
		break;
	case 4:
		if (rule->proto == 6 || rule->proto == 17)
			rule->dport = random_port(r);
		break;
	default:
		rule->src = random_host(r, rule->af);
	}
}

static inline void random_list(struct rnd *r, struct pf_rule_list *l, size_t n,
			       const struct mood *m)
{
	while (l->n < n) {
		struct pf_rule rule = random_rule(r, m);
		uint32_t times = rnd_percent(r, 40) ? 1 + rnd_below(r, 12) : 1;
		bool one_side = rnd_percent(r, 60);

		for (uint32_t i = 0; i < times && l->n < n; i++) {
			struct pf_rule *slot = pf_rule_list_add(l);

			*slot = rule;
			slot->line = (uint32_t)l->n;
			if (!one_side)
				vary(r, &rule, m);
			else if (rule.af)
				rule.src = (struct pf_rule_host){.type = PF_HOST_PREFIX,
								 .af = rule.af,
								 .bits = 32,
								 .ip = random_ip(r, rule.af)};
		}
	}
}

static inline void add_anchor(struct rnd *r, struct pf_ruleset *rs, const struct mood *m)
{
	struct pf_block *b = pf_ruleset_add_block(rs);
	struct pf_anchor *anchor = pf_arena_alloc(&rs->arena, sizeof(*anchor));
	struct pf_rule_ext *x = pf_arena_alloc(&rs->arena, sizeof(*x));
	struct pf_rule rule = random_rule(r, m);

	random_list(r, &b->list[PF_LIST_FILTER], rnd_below(r, 15), m);
	anchor->block = b;
	x->anchor = anchor;
	rule.action = PF_RULE_ACTION_PASS;
	rule.x = x;
	*pf_ruleset_add_rule(rs) = rule;
}

static inline void add_tables(struct pf_ruleset *rs)
{
	static const struct pf_table_entry a[] = {
		{.af = 4, .bits = 8, .ip = {.b = {10}}},
		{.af = 4, .bits = 16, .neg = true, .ip = {.b = {10, 1}}},
		{.af = 4, .bits = 32, .ip = {.b = {10, 1, 2, 3}}}};
	struct pf_table_def *t = pf_ruleset_add_table(rs, "ta");

	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		*pf_table_def_add(t) = a[i];
	pf_ruleset_add_table(rs, "tb");
}

static inline struct pf_ruleset *random_ruleset(struct rnd *r)
{
	static const uint32_t percents[] = {0, 10, 30, 50, 90, 100};
	static const uint32_t seldom[] = {0, 0, 5, 20};
	const struct mood m = {.quick = rnd_pick(r, percents),
			       .block = rnd_pick(r, percents),
			       .label = rnd_pick(r, seldom),
			       .log = rnd_pick(r, seldom),
			       .ext = rnd_pick(r, seldom),
			       .wide = rnd_pick(r, seldom),
			       .rdr = rnd_percent(r, 30),
			       .matches = rnd_percent(r, 10)};
	struct pf_ruleset *rs = pf_ruleset_new();
	size_t n = 2 + rnd_below(r, 35);

	assert_non_null(rs);
	add_tables(rs);
	random_list(r, pf_filter(rs), n / 2, &m);
	if (rnd_percent(r, 20))
		add_anchor(r, rs, &m);
	random_list(r, pf_filter(rs), n, &m);
	return rs;
}

static inline struct packet random_packet(struct rnd *r)
{
	static const uint8_t protos[] = {6, 6, 17, 1, 58, 47};
	static const uint8_t flags[] = {S, SA, 0x10, 0x04, 0x14};
	struct packet p = {.af = rnd_percent(r, 80) ? 4 : 6,
			   .dir = (uint8_t)(1 + rnd_below(r, 2)),
			   .proto = rnd_pick(r, protos),
			   .fragment = rnd_percent(r, 80) ? 0 : (uint8_t)(1 + rnd_below(r, 2)),
			   .iface = (int)rnd_below(r, IFACES)};

	p.src = random_ip(r, p.af);
	p.dst = random_ip(r, p.af);
	if (p.fragment == 2)
		return p;
	if (p.proto == 6)
		p.flags = rnd_pick(r, flags);
	if (p.proto == 6 || p.proto == 17) {
		p.sport = rnd_pick(r, ports);
		p.dport = rnd_pick(r, ports);
	}
	if (p.proto == 1 || p.proto == 58) {
		p.icmp_type = (uint8_t)(rnd_below(r, 2) * 8);
		p.icmp_code = (uint8_t)rnd_below(r, 2);
		p.keep_never = rnd_percent(r, 40);
	}
	return p;
}

#endif /* PF_SELFTESTS_UNIT_JUDGE_H */
