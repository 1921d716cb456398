/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules, packets and tables by chance, and what pf.conf(5) makes of them, read
 * as plainly as can be: no rule is left out, nothing is put in another order.
 */
#ifndef PF_SELFTESTS_UNIT_NAIVE_H
#define PF_SELFTESTS_UNIT_NAIVE_H

#include <arpa/inet.h>
#include <string.h>

#include "../../bpf/abi.h"
#include "../../compiler/compiler.h"
#include "../../grammar/check.h"
#include "plain.h"
#include "unit.h"

/* --- what rules can name --- */

static const char *const naive_tables[] = {"ta", "tb", "empty"};
#define NAIVE_SLOT(i) (int)((i)*7 + 3) /* any numbers will do */

static const struct pf_table_entry naive_entries[][6] = {
	{{.af = 4, .bits = 8, .ip = {.b = {10}}},
	 {.af = 4, .bits = 16, .neg = true, .ip = {.b = {10, 1}}},
	 {.af = 4, .bits = 32, .ip = {.b = {10, 1, 0, 1}}},
	 {.af = 6, .bits = 32, .ip = {.b = {0x20, 1, 0xd, 0xb8}}},
	 {.af = 6, .bits = 128, .neg = true, .ip = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}}}},
	{{.af = 4, .bits = 0}, {.af = 6, .bits = 33, .ip = {.b = {0x20, 1, 0xd, 0xb8, 0x80}}}},
	{{0}},
};

struct naive_iface {
	uint32_t index;
	const char *name;
};
/* above and below PF_IFACE_DIRECT */
static const struct naive_iface naive_ifaces[] = {{1, "lo"},	  {2, "ext"},	  {3, "int"},
						  {1023, "edge"}, {1024, "far0"}, {70000, "far1"}};

/* "if0" to "if99" are of no interface, but of the group. */
static const char *const naive_groups[] = {"far", "egress", "all", "if"};

/* By its own name or by that of a group, which is never an interface's here. */
static inline bool naive_iface_is(const struct naive_iface *i, const char *name)
{
	if (strcmp(name, "egress") == 0)
		return i->index == 2 || i->index == 70000;
	return strcmp(name, i->name) == 0 || strcmp(name, "all") == 0 ||
	       (strcmp(name, "far") == 0 && i->index >= 1024);
}

/* --- rules --- */

static inline struct pf_ip naive_ip(struct rnd *r, uint8_t af)
{
	static const uint8_t firsts[] = {10, 10, 10, 192, 128};
	struct pf_ip ip = {0};

	if (af == PF_FAMILY_INET) {
		ip.b[0] = rnd_pick(r, firsts);
		ip.b[1] = (uint8_t)rnd_below(r, 2);
		ip.b[3] = (uint8_t)rnd_below(r, 3);
		return ip;
	}
	ip.b[0] = 0x20;
	ip.b[1] = 1;
	ip.b[2] = 0xd;
	ip.b[3] = rnd_percent(r, 85) ? 0xb8 : 0xb9;
	ip.b[4] = rnd_percent(r, 50) ? 0x80 : 0;
	ip.b[7] = (uint8_t)rnd_below(r, 2);
	ip.b[11] = (uint8_t)rnd_below(r, 2);
	ip.b[15] = (uint8_t)rnd_below(r, 3);
	return ip;
}

static inline struct pf_rule_host naive_host(struct rnd *r, uint8_t af)
{
	static const uint8_t bits4[] = {0, 1, 7, 8, 16, 24, 31, 32, 32};
	static const uint8_t bits6[] = {0, 1, 31, 32, 33, 48, 64, 65, 96, 97, 127, 128, 128};
	struct pf_rule_host h = {.neg = rnd_percent(r, 25)};
	uint32_t x = rnd_below(r, 100);

	if (x < 45) {
		h.neg = rnd_percent(r, 4);
		return h;
	}
	if (x < 65 || !af) {
		h.type = PF_HOST_TABLE;
		h.table = rnd_pick(r, naive_tables);
		return h;
	}
	h.type = PF_HOST_PREFIX;
	h.af = af;
	h.bits = af == PF_FAMILY_INET ? rnd_pick(r, bits4) : rnd_pick(r, bits6);
	h.ip = naive_ip(r, af);
	pf_ip_mask(&h.ip, h.bits);
	return h;
}

static const uint16_t naive_ports[] = {0, 1, 22, 80, 443, 1024, 40000, 65534, 65535};

static inline struct pf_rule_port naive_port(struct rnd *r)
{
	struct pf_rule_port p = {.op = (enum pf_port_op)(1 + rnd_below(r, PF_PORT_OUTSIDE))};

	p.lo = rnd_pick(r, naive_ports);
	p.hi = p.op >= PF_PORT_RANGE ? rnd_pick(r, naive_ports) : p.lo;
	if (p.lo > p.hi) {
		uint16_t t = p.lo;

		p.lo = p.hi;
		p.hi = t;
	}
	return p;
}

static inline void naive_rule_proto(struct rnd *r, struct pf_rule *rule)
{
	static const uint8_t protos[] = {0, 6, 6, 17, 17, 1, 58, 47};
	static const uint8_t flags[][2] = {
		{2, 0x12}, {0x12, 0x12}, {0, 4}, {0x10, 0xff}, {0, 0xff}};
	const uint8_t *f = rnd_pick(r, flags);

	rule->proto = rnd_pick(r, protos);
	if (rule->proto == 1)
		rule->af = PF_FAMILY_INET;
	if (rule->proto == 58)
		rule->af = PF_FAMILY_INET6;
	if ((!rule->proto || rule->proto == 6) && rnd_percent(r, 40)) {
		rule->flags = f[0];
		rule->flagset = f[1];
	}
	if (rule->proto == 6 || rule->proto == 17) {
		if (rnd_percent(r, 30))
			rule->sport = naive_port(r);
		if (rnd_percent(r, 50))
			rule->dport = naive_port(r);
	}
	if ((rule->proto == 1 || rule->proto == 58) && rnd_percent(r, 60)) {
		rule->icmp_type = (uint16_t)(1 + rnd_below(r, 3) * 127);
		if (rnd_percent(r, 40))
			rule->icmp_code = (uint16_t)(1 + rnd_below(r, 2) * 255);
	}
}

/*
 * A rule that pf_rule_check() takes.  `many` interfaces: up to 100 other names,
 * so that their bits need more than one word.
 */
static inline struct pf_rule naive_rule(struct rnd *r, bool many)
{
	static const uint8_t afs[] = {0, 4, 4, 6};
	static char names[100][PF_IFNAME_SIZE];
	struct pf_rule rule = {.line = 1 + rnd_below(r, 100)};
	enum pf_rule_part part;

	rule.action = rnd_percent(r, 50);
	rule.quick = rnd_percent(r, 10);
	rule.log = rnd_percent(r, 20);
	rule.allow_opts = !rule.action && rnd_percent(r, 20);
	rule.keep_state = !rule.action && rnd_percent(r, 60);
	rule.dir = (uint8_t)rnd_below(r, 3);
	rule.af = rnd_pick(r, afs);
	if (rnd_percent(r, 35)) {
		uint32_t i = rnd_below(r, ARRAY_SIZE(names));

		snprintf(names[i], sizeof(names[i]), "if%u", i);
		rule.ifname = many && rnd_percent(r, 70) ? names[i]
			      : rnd_percent(r, 25)	 ? rnd_pick(r, naive_groups)
							 : rnd_pick(r, naive_ifaces).name;
		rule.ifnot = rnd_percent(r, 30);
	}
	naive_rule_proto(r, &rule);
	rule.src = naive_host(r, rule.af);
	rule.dst = naive_host(r, rule.af);
	if (rnd_percent(r, 10) && !rule.flagset && !rule.icmp_type && !rule.sport.op &&
	    !rule.dport.op)
		rule.fragment = true;
	assert_null(pf_rule_check(&rule, &part));
	return rule;
}

/* Takes each part over from the rule before, so that skip steps have runs. */
static inline void naive_alike(struct rnd *r, struct pf_rule *rule, const struct pf_rule *last,
			       uint32_t percent)
{
	struct pf_rule mixed = *rule;
	enum pf_rule_part part;

	if (rnd_percent(r, percent))
		mixed.dir = last->dir;
	if (rnd_percent(r, percent)) {
		mixed.ifname = last->ifname;
		mixed.ifnot = last->ifnot;
	}
	if (rnd_percent(r, percent)) {
		mixed.af = last->af;
		mixed.proto = last->proto;
		mixed.src = last->src;
		mixed.dst = last->dst;
		mixed.icmp_type = last->icmp_type;
		mixed.icmp_code = last->icmp_code;
		mixed.flags = last->flags;
		mixed.flagset = last->flagset;
		mixed.sport = last->sport;
		mixed.dport = last->dport;
		mixed.fragment = last->fragment;
	}
	if (rnd_percent(r, percent))
		mixed.src = naive_host(r, mixed.af);
	if (rnd_percent(r, percent))
		mixed.dst = naive_host(r, mixed.af);
	if (mixed.dport.op && rnd_percent(r, percent))
		mixed.dport = naive_port(r);
	if (!pf_rule_check(&mixed, &part))
		*rule = mixed;
}

static inline struct pf_ruleset *naive_ruleset(struct rnd *r, size_t n)
{
	struct pf_ruleset *rs = pf_ruleset_new();
	const bool many = rnd_percent(r, 10);
	const uint32_t alike = rnd_below(r, 100);

	for (size_t i = 0; i < n; i++) {
		struct pf_rule rule = naive_rule(r, many);

		if (i)
			naive_alike(r, &rule, &pf_filter(rs)->v[i - 1], alike);
		*pf_ruleset_add_rule(rs) = rule;
	}
	return rs;
}

/* --- packets --- */

/* As the parser of the datapath fills it in; all that rules do not see is noise. */
static inline void naive_packet(struct rnd *r, struct pf_pkt *p)
{
	static const uint8_t protos4[] = {6, 6, 17, 17, 1, 47, 58};
	static const uint8_t protos6[] = {6, 6, 17, 17, 58, 47, 1};
	static const uint8_t flags[] = {2, 0x12, 0x10, 4, 0x14, 0x11, 0, 0xff};
	struct pf_ip ip;

	for (size_t i = 0; i < sizeof(*p); i += 8) {
		uint64_t v = rnd_next(r);

		memcpy((char *)p + i, &v, 8);
	}
	p->af = rnd_percent(r, 50) ? PF_AF_INET : PF_AF_INET6;
	p->dir = rnd_percent(r, 50) ? PF_IN : PF_OUT;
	p->ifindex = rnd_percent(r, 90) ? rnd_pick(r, naive_ifaces).index : rnd_below(r, 100000);
	p->proto = p->af == PF_AF_INET ? rnd_pick(r, protos4) : rnd_pick(r, protos6);
	ip = naive_ip(r, p->af);
	memcpy(&p->src, ip.b, sizeof(ip.b));
	ip = naive_ip(r, p->af);
	memcpy(&p->dst, ip.b, sizeof(ip.b));
	p->frag = rnd_percent(r, 80) ? PF_FRAG_NONE : (uint8_t)(1 + rnd_below(r, 2));
	p->sport = p->dport = 0;
	p->tcp_flags = p->icmp_type = p->icmp_code = p->keep_never = 0;
	if (p->frag == PF_FRAG_LATER)
		return;
	p->sport = rnd_pick(r, naive_ports);
	p->dport = rnd_pick(r, naive_ports);
	if (p->proto == 6)
		p->tcp_flags = rnd_pick(r, flags);
	if (p->proto == 1 || p->proto == 58) {
		p->icmp_type = (uint8_t)(rnd_below(r, 3) * 127);
		p->icmp_code = (uint8_t)(rnd_below(r, 2) * 255);
		p->keep_never = rnd_percent(r, 30);
	}
}

/* --- matching --- */

/* The longest entry that covers it says whether an address is in a table. */
static inline const struct pf_table_entry *naive_longest(size_t table, uint8_t af,
							 const uint8_t *addr)
{
	const struct pf_table_entry *best = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(naive_entries[0]); i++) {
		const struct pf_table_entry *e = &naive_entries[table][i];

		if (e->af == af && plain_in_net(addr, e->ip.b, e->bits) &&
		    (!best || e->bits > best->bits))
			best = e;
	}
	return best;
}

static inline bool naive_host_matches(const struct pf_rule_host *h, uint8_t af,
				      const struct pf_addr *addr)
{
	const uint8_t *bytes = (const uint8_t *)addr;
	const struct pf_table_entry *e;
	bool in = true;

	if (h->type == PF_HOST_PREFIX) {
		in = h->af == af && plain_in_net(bytes, h->ip.b, h->bits);
	} else if (h->type == PF_HOST_TABLE) {
		size_t i = 0;

		while (strcmp(naive_tables[i], h->table) != 0)
			i++;
		e = naive_longest(i, af, bytes);
		in = e && !e->neg;
	}
	return in != h->neg;
}

static inline bool naive_on_iface(const struct pf_rule *r, uint32_t ifindex)
{
	bool on = false;

	if (!r->ifname)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(naive_ifaces); i++)
		on |= naive_ifaces[i].index == ifindex &&
		      naive_iface_is(&naive_ifaces[i], r->ifname);
	return on != r->ifnot;
}

/* Where pf goes on that finds this rule not to match. */
#define NAIVE_MATCH (-1)
#define NAIVE_NEXT  PF_SKIP_MAX

static inline int naive_layer4(const struct pf_rule *r, const struct pf_pkt *p)
{
	const bool icmp = p->proto == 1 || p->proto == 58;

	if (p->frag == PF_FRAG_LATER &&
	    (r->sport.op || r->dport.op || (p->proto == 6 && r->flagset) || r->icmp_type))
		return NAIVE_NEXT;
	if (p->proto == 6 && (p->tcp_flags & r->flagset) != r->flags)
		return NAIVE_NEXT;
	if (!plain_port_matches(&r->sport, p->sport))
		return PF_SKIP_SRC_PORT;
	if (!plain_port_matches(&r->dport, p->dport))
		return PF_SKIP_DST_PORT;
	if (icmp && r->icmp_type && r->icmp_type != p->icmp_type + 1)
		return NAIVE_NEXT;
	if (icmp && r->icmp_code && r->icmp_code != p->icmp_code + 1)
		return NAIVE_NEXT;
	if (icmp && r->keep_state && p->keep_never)
		return NAIVE_NEXT;
	if (r->fragment && p->frag == PF_FRAG_NONE)
		return NAIVE_NEXT;
	return NAIVE_MATCH;
}

/* The first criterion that the packet does not meet, in pf's order. */
static inline int naive_misses(const struct pf_rule *r, const struct pf_pkt *p)
{
	if (!naive_on_iface(r, p->ifindex))
		return PF_SKIP_IFP;
	if (r->dir && r->dir != p->dir)
		return PF_SKIP_DIR;
	if (r->af && r->af != p->af)
		return PF_SKIP_AF;
	if (r->proto && r->proto != p->proto)
		return PF_SKIP_PROTO;
	if (!naive_host_matches(&r->src, p->af, &p->src))
		return PF_SKIP_SRC_ADDR;
	if (!naive_host_matches(&r->dst, p->af, &p->dst))
		return PF_SKIP_DST_ADDR;
	return naive_layer4(r, p);
}

/* The last rule that matches, or the first quick one; nrules if there is none. */
static inline size_t naive_winner(const struct pf_ruleset *rs, const struct pf_pkt *p)
{
	size_t won = pf_filter(rs)->n;

	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		if (naive_misses(&pf_filter(rs)->v[i], p) != NAIVE_MATCH)
			continue;
		won = i;
		if (pf_filter(rs)->v[i].quick)
			break;
	}
	return won;
}

/* --- skip steps --- */

static inline bool naive_same_host(const struct pf_rule_host *a, const struct pf_rule_host *b)
{
	if (a->type != b->type || a->neg != b->neg)
		return false;
	if (a->type == PF_HOST_TABLE)
		return strcmp(a->table, b->table) == 0;
	return a->type == PF_HOST_ANY ||
	       (a->af == b->af && a->bits == b->bits && !memcmp(&a->ip, &b->ip, sizeof(a->ip)));
}

static inline bool naive_same(int what, const struct pf_rule *a, const struct pf_rule *b)
{
	switch (what) {
	case PF_SKIP_IFP:
		if (!a->ifname || !b->ifname)
			return !a->ifname && !b->ifname;
		return strcmp(a->ifname, b->ifname) == 0 && a->ifnot == b->ifnot;
	case PF_SKIP_DIR:
		return a->dir == b->dir;
	case PF_SKIP_AF:
		return a->af == b->af;
	case PF_SKIP_PROTO:
		return a->proto == b->proto;
	case PF_SKIP_SRC_ADDR:
		return naive_same_host(&a->src, &b->src);
	case PF_SKIP_DST_ADDR:
		return naive_same_host(&a->dst, &b->dst);
	case PF_SKIP_SRC_PORT:
		return a->sport.op == b->sport.op && a->sport.lo == b->sport.lo &&
		       a->sport.hi == b->sport.hi;
	case PF_SKIP_DST_PORT:
		return a->dport.op == b->dport.op && a->dport.lo == b->dport.lo &&
		       a->dport.hi == b->dport.hi;
	default:
		return true; /* routing domains: there is one */
	}
}

/* The first rule behind i that says something else: quadratic, and plain. */
static inline size_t naive_skip(const struct pf_ruleset *rs, size_t i, int what)
{
	size_t to = i + 1;

	while (to < pf_filter(rs)->n &&
	       naive_same(what, &pf_filter(rs)->v[i], &pf_filter(rs)->v[to]))
		to++;
	return to;
}

/* pf's walk: counts what it looks at, and returns the winner. */
static inline size_t naive_walk(const struct pf_ruleset *rs, const struct pf_pkt *p,
				uint64_t *evaluations)
{
	size_t i = 0, won = pf_filter(rs)->n;

	while (i < pf_filter(rs)->n) {
		int why = naive_misses(&pf_filter(rs)->v[i], p);

		evaluations[i]++;
		if (why == NAIVE_MATCH) {
			won = i;
			if (pf_filter(rs)->v[i].quick)
				break;
			i++;
		} else {
			i = why == NAIVE_NEXT ? i + 1 : naive_skip(rs, i, why);
		}
	}
	return won;
}

/* --- what a failed test says --- */

static inline void naive_say_rules(const struct pf_ruleset *rs)
{
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		text_auto text = rule_text(&pf_filter(rs)->v[i], i, PF_PRINT_NUMBER);

		print_error("%s", text);
	}
}

static inline void naive_say_packet(const struct pf_pkt *p)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	const int af = p->af == PF_AF_INET ? AF_INET : AF_INET6;

	inet_ntop(af, &p->src, src, sizeof(src));
	inet_ntop(af, &p->dst, dst, sizeof(dst));
	print_error(
		"packet: dir %u if %u af %u proto %u %s %u > %s %u flags %02x icmp %u/%u frag %u "
		"keep_never %u\n",
		p->dir, p->ifindex, p->af, p->proto, src, p->sport, dst, p->dport, p->tcp_flags,
		p->icmp_type, p->icmp_code, p->frag, p->keep_never);
}

/* --- the compiler's caller --- */

static inline int naive_slot(void *ctx, uint32_t set, const char *name)
{
	(void)ctx;
	(void)set;
	for (size_t i = 0; i < ARRAY_SIZE(naive_tables); i++)
		if (strcmp(naive_tables[i], name) == 0)
			return NAIVE_SLOT(i);
	return -ENOENT;
}

/* By the first letter; names in tests begin with different ones. */
static inline int naive_tag(void *ctx, const char *name)
{
	(void)ctx;
	return 100 + *name;
}

/* Ids that are not the numbers. */
static inline uint32_t *naive_ids(size_t n)
{
	uint32_t *ids = calloc(n + 1, sizeof(*ids));

	for (size_t i = 0; i < n; i++)
		ids[i] = (uint32_t)(1000 + (n - i) * 3);
	return ids;
}

/* Numbers for state options: there is none left for those of a rule with max 4000. */
static inline int naive_opts(void *ctx, uint32_t set, uint32_t rule_id, const struct pf_rule *r)
{
	const struct pf_state_opts *o = pf_rule_ext_of(r)->state;

	(void)set;
	(void)ctx;
	(void)rule_id;
	return !o ? 0 : o->max == 4000 ? -ENOSPC : (int)o->max;
}

static inline struct pf_compiled *naive_compile_by(const struct pf_ruleset *rs,
						   enum pf_emitter emitter)
{
	uint32_t *ids = naive_ids(pf_filter(rs)->n);
	const struct pf_compile_env env = {.table_slot = naive_slot,
					   .tag_id = naive_tag,
					   .opts_number = naive_opts,
					   .rule_ids = ids,
					   .emitter = emitter};
	struct pf_compile_error err;
	struct pf_compiled *c = NULL;
	int r = pf_ruleset_compile(rs, &env, &c, &err);

	free(ids);
	if (r)
		fail_msg("compiling %zu rules: %d, %s", pf_filter(rs)->n, r, err.text);
	return c;
}

static inline struct pf_compiled *naive_compile(const struct pf_ruleset *rs)
{
	return naive_compile_by(rs, PF_EMITTER_LINEAR);
}

#endif /* PF_SELFTESTS_UNIT_NAIVE_H */
