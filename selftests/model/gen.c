// SPDX-License-Identifier: BSD-2-Clause
#include "gen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct gen_probe gen_probes[GEN_FEATURES] = {
	[GEN_RANGE] = {"range", "pass from 10.0.0.1 - 10.0.0.9\n"},
	[GEN_MATCH] = {"match", "match in proto tcp\n"},
	[GEN_TAG] = {"tag", "block tag T\npass tagged T\npass ! tagged T\n"},
	[GEN_TOS] = {"tos", "pass tos 0x10\n"},
	[GEN_PROB] = {"probability", "pass probability 50%\n"},
	[GEN_RECEIVED] = {"received-on", "pass received-on ext\nblock ! received-on ext\n"},
	[GEN_LOG_MATCHES] = {"log (matches)", "match log (matches)\n"},
	[GEN_ANCHOR] = {"anchor", "anchor \"a\" {\n pass\n anchor in {\n block\n}\n}\n"},
	[GEN_ANCHOR_CALL] = {"anchor call", "anchor \"a\" {\n pass\n}\nanchor \"/a\"\n"},
	[GEN_ANCHOR_STAR] = {"anchor star", "anchor \"a\" {\n pass\n}\nanchor \"/*\"\n"},
	[GEN_ANCHOR_LOAD] = {"anchors loaded alone", "anchor \"a\" {\n pass\n}\n"},
	[GEN_ANCHOR_TABLE] = {"anchor table", "anchor \"a\" {\n table <t> { 10.0.0.1 }\n"
					      " pass from <t>\n}\n"},
	[GEN_ENDLESS] = {"endless anchors", "anchor \"a\" {\n anchor \"/a\"\n}\n"},
};

const char *const gen_ifaces[GEN_IFACES] = {"ext", "int", "dmz", "far0", "lo"};

/* --- text --- */

static const char *keep(struct gen_ruleset *g, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static const char *keep(struct gen_ruleset *g, const char *fmt, ...)
{
	char buf[256], *s;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	s = pf_arena_strdup(&g->arena, buf);
	if (!s)
		abort();
	return s;
}

static bool has(const struct gen_ruleset *g, enum gen_feature f)
{
	return g->features >> f & 1;
}

/* --- addresses --- */

static struct pf_ip fresh_ip(struct rnd *r, uint8_t af)
{
	static const uint8_t firsts[] = {10, 10, 10, 192, 128, 127, 1};
	struct pf_ip ip = {0};

	if (af == PF_FAMILY_INET) {
		ip.b[0] = rnd_pick(r, firsts);
		ip.b[1] = (uint8_t)rnd_below(r, 2);
		ip.b[2] = rnd_percent(r, 80) ? 0 : (uint8_t)rnd_next(r);
		ip.b[3] = rnd_percent(r, 70) ? (uint8_t)rnd_below(r, 4) : (uint8_t)rnd_next(r);
		return ip;
	}
	ip.b[0] = 0x20;
	ip.b[1] = 1;
	ip.b[2] = 0xd;
	ip.b[3] = rnd_percent(r, 85) ? 0xb8 : 0xb9;
	ip.b[4] = rnd_percent(r, 50) ? 0x80 : 0;
	ip.b[7] = (uint8_t)rnd_below(r, 2);
	ip.b[11] = (uint8_t)rnd_below(r, 2);
	ip.b[15] = rnd_percent(r, 80) ? (uint8_t)rnd_below(r, 4) : (uint8_t)rnd_next(r);
	return ip;
}

/* The next one, up or down; not around the corner. */
static void step_ip(struct pf_ip *ip, uint8_t af, int by)
{
	int n = af == PF_FAMILY_INET ? 4 : 16;

	for (int i = n - 1; i >= 0; i--) {
		int v = ip->b[i] + by;

		ip->b[i] = (uint8_t)v;
		if (v >= 0 && v <= 255)
			break;
	}
}

/* Groups, broadcasts and nobody: others look at these (answers, neighbours). */
static bool plain_ip(const struct pf_ip *ip, uint8_t af)
{
	if (af == PF_FAMILY_INET)
		return ip->b[0] && ip->b[0] < 224;
	return ip->b[0] == 0x20;
}

static void pool_add(struct rnd *r, struct gen_ruleset *g, uint8_t af, const struct pf_ip *ip)
{
	struct pf_ip *pool = af == PF_FAMILY_INET ? g->ip4 : g->ip6;
	size_t *n = af == PF_FAMILY_INET ? &g->nip4 : &g->nip6;

	if (!plain_ip(ip, af))
		return;
	if (*n < GEN_POOL)
		pool[(*n)++] = *ip;
	else
		pool[rnd_below(r, GEN_POOL)] = *ip;
}

static struct pf_ip pool_ip(struct rnd *r, const struct gen_ruleset *g, uint8_t af)
{
	const struct pf_ip *pool = af == PF_FAMILY_INET ? g->ip4 : g->ip6;
	size_t n = af == PF_FAMILY_INET ? g->nip4 : g->nip6;

	return n && rnd_percent(r, 85) ? pool[rnd_below(r, (uint32_t)n)] : fresh_ip(r, af);
}

static uint8_t prefix_bits(struct rnd *r, uint8_t af)
{
	static const uint8_t bits4[] = {0, 1, 7, 8, 9, 15, 16, 23, 24, 30, 31, 32, 32, 32, 32};
	static const uint8_t bits6[] = {0,  1,	3,  31, 32,  33,  48,  63,  64, 65,
					95, 96, 97, 98, 127, 128, 128, 128, 128};

	return af == PF_FAMILY_INET ? rnd_pick(r, bits4) : rnd_pick(r, bits6);
}

static void last_of(struct pf_ip *ip, uint8_t af, unsigned int bits)
{
	unsigned int all = af == PF_FAMILY_INET ? 32 : 128;

	for (unsigned int i = bits; i < all; i++)
		ip->b[i / 8] |= (uint8_t)(0x80U >> i % 8);
}

/* Both ends and their neighbours are worth a try. */
static void note_ends(struct rnd *r, struct gen_ruleset *g, uint8_t af, const struct pf_ip end[2])
{
	struct pf_ip below = end[0], above = end[1];

	step_ip(&below, af, -1);
	step_ip(&above, af, 1);
	pool_add(r, g, af, &end[0]);
	pool_add(r, g, af, &end[1]);
	pool_add(r, g, af, &below);
	pool_add(r, g, af, &above);
}

static const char *gen_prefix(struct rnd *r, struct gen_ruleset *g, uint8_t af, struct pf_ip end[2])
{
	uint8_t bits = prefix_bits(r, af);
	struct pf_ip ip = pool_ip(r, g, af);
	char text[PF_IP_STRLEN];

	pf_ip_mask(&ip, bits);
	end[0] = end[1] = ip;
	last_of(&end[1], af, bits);
	note_ends(r, g, af, end);
	pf_ip_format((enum pf_family)af, &ip, 128, text, sizeof(text));
	return keep(g, "%s/%u", text, bits);
}

static const char *gen_range(struct rnd *r, struct gen_ruleset *g, uint8_t af, struct pf_ip end[2])
{
	char lo[PF_IP_STRLEN], hi[PF_IP_STRLEN];

	end[0] = pool_ip(r, g, af);
	end[1] = rnd_percent(r, 50) ? pool_ip(r, g, af) : end[0];
	if (rnd_percent(r, 50))
		for (uint32_t n = rnd_below(r, 300); n; n--)
			step_ip(&end[1], af, 1);
	if (memcmp(end[0].b, end[1].b, sizeof(end[0].b)) > 0) {
		struct pf_ip t = end[0];

		end[0] = end[1];
		end[1] = t;
	}
	/* equal ends are no range to the parser */
	if (pf_ip_equal(&end[0], &end[1]))
		step_ip(&end[1], af, 1);
	note_ends(r, g, af, end);
	pf_ip_format((enum pf_family)af, &end[0], 128, lo, sizeof(lo));
	pf_ip_format((enum pf_family)af, &end[1], 128, hi, sizeof(hi));
	return keep(g, "%s - %s", lo, hi);
}

/* --- tables --- */

static bool table_has(const struct gen_table *t, uint8_t af, uint8_t bits, const struct pf_ip *ip)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->entry[i].af == af && t->entry[i].bits == bits &&
		    pf_ip_equal(&t->entry[i].ip, ip))
			return true;
	return false;
}

static void gen_table(struct rnd *r, struct gen_ruleset *g, struct gen_table *t)
{
	uint32_t n = rnd_below(r, rnd_percent(r, 97) ? 13 : 2000);

	t->persist = rnd_percent(r, 10);
	t->entry = pf_arena_alloc(&g->arena, (n + 1) * sizeof(*t->entry));
	if (!t->entry)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		uint8_t af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
		struct gen_entry e = {.af = af, .bits = prefix_bits(r, af)};
		struct pf_ip end[2];

		e.neg = rnd_percent(r, 35);
		e.ip = pool_ip(r, g, af);
		pf_ip_mask(&e.ip, e.bits);
		if (table_has(t, af, e.bits, &e.ip))
			continue;
		end[0] = end[1] = e.ip;
		last_of(&end[1], af, e.bits);
		note_ends(r, g, af, end);
		t->entry[t->n++] = e;
	}
}

static void print_table(FILE *f, const struct gen_table *t)
{
	bool any = false;

	if (t->off)
		return;
	fprintf(f, "table <%s>%s", t->name, t->persist ? " persist" : "");
	for (size_t i = 0; i < t->n; i++) {
		const struct gen_entry *e = &t->entry[i];
		char text[PF_IP_STRLEN];

		if (e->off)
			continue;
		pf_ip_format((enum pf_family)e->af, &e->ip, 128, text, sizeof(text));
		fprintf(f, "%s%s%s/%u", any ? " " : " { ", e->neg ? "!" : "", text, e->bits);
		any = true;
	}
	fputs(any ? " }\n" : "\n", f);
}

/* --- rules --- */

static const char *gen_host(struct rnd *r, struct gen_ruleset *g, uint8_t *af, bool *given,
			    struct pf_ip end[2])
{
	uint32_t x = rnd_below(r, 100);
	const char *neg = rnd_percent(r, 20) ? "! " : "", *text;

	*given = false;
	if (x < g->wide)
		return NULL;
	if (x < g->wide + (100 - g->wide) / 4)
		return g->ntables && rnd_percent(r, 97)
			       ? keep(g, "%s<%s>", neg, g->table[rnd_below(r, g->ntables)].name)
		       : rnd_percent(r, 10) ? keep(g, "%s<nobody>", neg)
					    : NULL;
	if (!*af)
		*af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (has(g, GEN_RANGE) && rnd_percent(r, 30))
		text = gen_range(r, g, *af, end);
	else
		text = gen_prefix(r, g, *af, end);
	*given = true;
	return keep(g, "%s%s", neg, text);
}

static const uint16_t ports[] = {0, 1, 2, 22, 53, 79, 80, 81, 443, 1024, 32768, 65534, 65535};

static const char *gen_port(struct rnd *r, struct gen_ruleset *g, uint16_t end[2])
{
	static const char *const ops[] = {"= ", "", "!= ", "< ", "<= ", "> ", ">= "};
	static const char *const pairs[] = {":", " >< ", " <> "};
	uint16_t lo = rnd_pick(r, ports), hi = rnd_pick(r, ports);

	if (rnd_percent(r, 10))
		lo = (uint16_t)rnd_next(r);
	end[0] = end[1] = lo;
	if (rnd_percent(r, 55))
		return keep(g, "port %s%u", rnd_pick(r, ops), lo);
	end[0] = lo < hi ? lo : hi;
	end[1] = lo < hi ? hi : lo;
	/* "a >< b" without a port between them is refused */
	if (end[1] - end[0] < 2)
		return keep(g, "port %u:%u", end[0], end[1]);
	return keep(g, "port %u%s%u", end[0], rnd_pick(r, pairs), end[1]);
}

static const uint8_t types4[] = {0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 8, 0, 3};
static const uint8_t types6[] = {1, 2, 3, 4, 128, 129, 135, 136, 137, 139, 140, 128, 129, 1};

static void gen_icmp(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	bool v4 = x->hint.proto == MODEL_P_ICMP;

	x->hint.has_icmp = true;
	x->hint.icmp_type = v4 ? rnd_pick(r, types4) : rnd_pick(r, types6);
	x->hint.icmp_code = (uint8_t)rnd_below(r, 3);
	if (rnd_percent(r, 40))
		x->part[GEN_ICMP] = keep(g, "%s %u code %u", v4 ? "icmp-type" : "icmp6-type",
					 x->hint.icmp_type, x->hint.icmp_code);
	else
		x->part[GEN_ICMP] = keep(g, "%s %u", v4 ? "icmp-type" : "icmp6-type",
					 x->hint.icmp_type);
}

static void gen_flags(struct rnd *r, struct gen_rule *x)
{
	static const struct {
		const char *text;
		uint8_t flags;
	} flags[] = {{"flags S/SA", TH_SYN},   {"flags SA/SA", TH_SYN | TH_ACK},
		     {"flags /R", TH_ACK},     {"flags A/AFR", TH_ACK},
		     {"flags F/FSRA", TH_FIN}, {"flags R/R", TH_RST},
		     {"flags any", TH_ACK}};
	uint32_t i = rnd_below(r, sizeof(flags) / sizeof(flags[0]));

	x->part[GEN_FLAGS] = flags[i].text;
	x->hint.has_flags = true;
	x->hint.flags = flags[i].flags;
}

static void gen_proto(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	static const uint8_t protos[] = {0, 0, 6, 6, 6, 17, 17, 1, 58, 47};
	struct gen_hint *h = &x->hint;

	h->proto = rnd_pick(r, protos);
	if (h->proto == MODEL_P_ICMP)
		h->af = PF_FAMILY_INET;
	if (h->proto == MODEL_P_ICMP6)
		h->af = PF_FAMILY_INET6;
	if (h->proto)
		x->part[GEN_PROTO] = h->proto == MODEL_P_TCP	 ? "proto tcp"
				     : h->proto == MODEL_P_UDP	 ? "proto udp"
				     : h->proto == MODEL_P_ICMP	 ? "proto icmp"
				     : h->proto == MODEL_P_ICMP6 ? "proto icmp6"
								 : keep(g, "proto %u", h->proto);
	if (h->proto == MODEL_P_TCP || h->proto == MODEL_P_UDP) {
		if (rnd_percent(r, 25)) {
			h->has_sport = true;
			x->part[GEN_FROM_PORT] = gen_port(r, g, h->sport);
		}
		if (rnd_percent(r, 50)) {
			h->has_dport = true;
			x->part[GEN_TO_PORT] = gen_port(r, g, h->dport);
		}
	}
	if (model_is_icmp(&(struct model_packet){.proto = h->proto}) && rnd_percent(r, 60))
		gen_icmp(r, g, x);
	if ((!h->proto || h->proto == MODEL_P_TCP) && rnd_percent(r, 30))
		gen_flags(r, x);
}

static const char *gen_iface(struct rnd *r, const char *word, struct gen_ruleset *g,
			     const char **hint)
{
	static const char *const odd[] = {"any", "lo0", "nosuch0"};
	const char *name = rnd_pick(r, gen_ifaces);
	const char *neg = rnd_percent(r, 25) ? "! " : "";

	*hint = name;
	if (g->many_ifaces && rnd_percent(r, 60))
		name = keep(g, "if%u", rnd_below(r, 120));
	else if (rnd_percent(r, 10))
		name = rnd_pick(r, odd);
	/* "! any" is no interface */
	if (strcmp(name, "any") == 0)
		neg = "";
	return *word == 'r' ? keep(g, "%s%s %s", neg, word, name)
			    : keep(g, "%s %s%s", word, neg, name);
}

static const char *const tags[] = {"RED", "GREEN", "BLUE"};
static const uint8_t toses[] = {0x04, 0x08, 0x10, 0x20, 0x2c, 0xb8, 0xfc};

/* What every kind of rule can ask. */
static void gen_criteria(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	struct gen_hint *h = &x->hint;
	const char *host;

	if (rnd_percent(r, 45)) {
		h->dir = rnd_percent(r, 50) ? PF_RULE_IN : PF_RULE_OUT;
		x->part[GEN_DIR] = h->dir == PF_RULE_IN ? "in" : "out";
	}
	if (rnd_percent(r, 25))
		x->part[GEN_IFACE] = gen_iface(r, "on", g, &h->ifname);
	if (rnd_percent(r, 25))
		h->af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (!rnd_percent(r, g->wide / 2))
		gen_proto(r, g, x);
	host = gen_host(r, g, &h->af, &h->has_src, h->src);
	if (host)
		x->part[GEN_FROM] = keep(g, "from %s", host);
	host = gen_host(r, g, &h->af, &h->has_dst, h->dst);
	if (host)
		x->part[GEN_TO] = keep(g, "to %s", host);
	if (h->af && (h->has_icmp || rnd_percent(r, 50) || !(h->has_src || h->has_dst)))
		x->part[GEN_AF] = h->af == PF_FAMILY_INET ? "inet" : "inet6";
	if (!h->has_sport && !h->has_dport && !h->has_flags && !h->has_icmp && rnd_percent(r, 4)) {
		h->fragment = true;
		x->part[GEN_FRAGMENT] = "fragment";
	}
	if (has(g, GEN_TOS) && rnd_percent(r, 8)) {
		h->has_tos = true;
		h->tos = rnd_pick(r, toses);
		x->part[GEN_TOS_IS] = keep(g, "tos 0x%02x", h->tos);
	}
	if (has(g, GEN_RECEIVED) && rnd_percent(r, 8))
		x->part[GEN_RECEIVED_ON] = gen_iface(r, "received-on", g, &h->received);
	if (has(g, GEN_PROB) && rnd_percent(r, 8))
		x->part[GEN_PROBABILITY] = keep(g, "probability %u%%", 1 + rnd_below(r, 99));
	if (has(g, GEN_TAG) && rnd_percent(r, 15))
		x->part[GEN_TAGGED] = keep(g, "%stagged %s", rnd_percent(r, 30) ? "! " : "",
					   rnd_pick(r, tags));
	if (has(g, GEN_TAG) && rnd_percent(r, 20))
		x->part[GEN_TAG_SET] = keep(g, "tag %s", rnd_pick(r, tags));
	if (rnd_percent(r, g->quick))
		x->part[GEN_QUICK] = "quick";
}

static void gen_block(struct rnd *r, struct gen_rule *x)
{
	static const char *const kinds[] = {"block",	    "block drop",
					    "block return", "block return-icmp",
					    "block return", "block return-icmp (13, 4)"};

	x->part[GEN_ACTION] = rnd_pick(r, kinds);
	if (x->hint.proto == MODEL_P_TCP && rnd_percent(r, 20))
		x->part[GEN_ACTION] = "block return-rst";
}

static void gen_pass(struct rnd *r, const struct gen_ruleset *g, struct gen_rule *x)
{
	x->part[GEN_ACTION] = "pass";
	if (!rnd_percent(r, g->state))
		x->part[GEN_STATE] = "no state";
	if (rnd_percent(r, 15))
		x->part[GEN_OPTS] = "allow-opts";
	/* else most of them would be for SYNs alone */
	if ((!x->hint.proto || x->hint.proto == MODEL_P_TCP) && !x->hint.has_flags &&
	    !x->hint.fragment && rnd_percent(r, g->any_flags))
		x->part[GEN_FLAGS] = "flags any";
}

static void gen_filter_rule(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	gen_criteria(r, g, x);
	if (has(g, GEN_MATCH) && rnd_percent(r, g->match)) {
		x->part[GEN_ACTION] = "match";
		if (rnd_percent(r, 90)) /* a quick one ends it all */
			x->part[GEN_QUICK] = NULL;
	} else if (rnd_percent(r, g->block)) {
		gen_block(r, x);
	} else {
		gen_pass(r, g, x);
	}
	if (rnd_percent(r, g->log))
		x->part[GEN_LOG] = has(g, GEN_LOG_MATCHES) && rnd_percent(r, 30) ? "log (matches)"
										 : "log";
}

/* --- anchors --- */

static struct gen_rule *add_rule(struct gen_rules *l)
{
	l->v = model_grow(l->v, l->n, &l->capacity, sizeof(*l->v));
	memset(&l->v[l->n], 0, sizeof(*l->v));
	return &l->v[l->n++];
}

/* Where rules are put: `path` as they are called, nameless parts as "_". */
struct gen_place {
	struct gen_rules *rules;
	unsigned int depth;
	char path[64];
};

static void gen_rules(struct rnd *r, struct gen_ruleset *g, const struct gen_place *at, size_t n);

static bool name_taken(const struct gen_rules *l, const char *action)
{
	for (size_t i = 0; i + 1 < l->n; i++)
		if (l->v[i].braces && strcmp(l->v[i].part[GEN_ACTION], action) == 0)
			return true;
	return false;
}

static const char *const names[] = {"a", "a", "a", "b", "b", "c", "ab", "Z"};

/* What the call means, with its star. */
static void resolve(const char *from, const char *call, char *out, size_t size)
{
	char base[64];
	char *slash;

	if (*call == '/') {
		snprintf(out, size, "%s", call + 1);
		return;
	}
	snprintf(base, sizeof(base), "%s", from);
	for (; strncmp(call, "../", 3) == 0; call += 3) {
		slash = strrchr(base, '/');
		*(slash ? slash : base) = '\0';
	}
	snprintf(out, size, "%s%s%s", base, *base ? "/" : "", call);
}

/*
 * Calls go to paths on the left only, in the order of their parts, and never to what
 * holds the caller: so they always end.  Nothing calls the main ruleset.
 */
static bool goes_left(const char *from, const char *to)
{
	if (!*from)
		return true;
	for (;;) {
		size_t f = strcspn(from, "/"), t = strcspn(to, "/");
		int c;

		if (!f || !t || *to == '*')
			return false;
		c = strncmp(to, from, f < t ? f : t);
		if (c || f != t)
			return c < 0 || (!c && t < f);
		from += f + (from[f] == '/');
		to += t + (to[t] == '/');
	}
}

static const char *gen_path(struct rnd *r, struct gen_ruleset *g, unsigned int depth)
{
	static const char *const fronts[] = {"", "", "", "/", "/", "/a/", "/b/"}, *const ups[] = {
											  "../",
											  "../",
											  "../a/",
											  "../../"};
	static const char *const ends[] = {"", "", "", "/a", "/b"};
	const bool star = has(g, GEN_ANCHOR_STAR) && rnd_percent(r, 30);
	const char *front = rnd_pick(r, fronts);

	if (depth && rnd_percent(r, 40))
		front = rnd_pick(r, ups);
	/* there is nothing above the main ruleset */
	if (strncmp(front, "../../", 6) == 0 && depth < 2)
		front = "../";
	if (star && *front && rnd_percent(r, 40))
		return keep(g, "%s*", front);
	return keep(g, "%s%s%s", front, rnd_pick(r, names), star ? "/*" : rnd_pick(r, ends));
}

static const char *gen_call(struct rnd *r, struct gen_ruleset *g, const struct gen_place *at)
{
	char target[128];

	for (int tries = 0; tries < 20; tries++) {
		const char *path = gen_path(r, g, at->depth);

		resolve(at->path, path, target, sizeof(target));
		if (goes_left(at->path, target))
			return keep(g, "anchor \"%s\"", path);
	}
	if (has(g, GEN_ENDLESS) && !g->endless && at->depth && !strchr(at->path, '_')) {
		g->endless = true;
		return keep(g, "anchor \"/%s\"", at->path);
	}
	return NULL;
}

/*
 * A table of the anchor's own, which may hide one of the main ruleset's, and stays.  The
 * anchor and the first rule in it may name it both, and mean two.
 */
static void gen_inner_table(struct rnd *r, struct gen_ruleset *g, struct gen_rule *head,
			    struct gen_rules *body)
{
	static const char *const inner[] = {"ta", "tb", "inner"};
	struct pf_ip end[2], more[2];
	const char *first = gen_prefix(r, g, PF_FAMILY_INET, end);
	const char *second = gen_prefix(r, g, PF_FAMILY_INET, more);
	const char *name = rnd_pick(r, inner);
	struct gen_rule *x;

	/* the same prefix cannot be in and out */
	add_rule(body)->part[GEN_ACTION] =
		memcmp(end, more, sizeof(end)) == 0
			? keep(g, "table <%s> persist { %s }", name, first)
			: keep(g, "table <%s> persist { %s !%s }", name, first, second);
	if (rnd_percent(r, 50))
		return;
	x = add_rule(body);
	if (rnd_percent(r, 50))
		gen_filter_rule(r, g, x);
	else
		x->part[GEN_ACTION] = rnd_percent(r, 50) ? "pass" : "block";
	x->part[GEN_FROM] = keep(g, "from %s<%s>", rnd_percent(r, 50) ? "! " : "", name);
	if (head)
		head->part[GEN_FROM] = x->part[GEN_FROM];
}

static void gen_inside(struct rnd *r, struct gen_ruleset *g, const struct gen_place *at,
		       const char *name, size_t left)
{
	struct gen_rules body = {0};
	struct gen_place in = {.rules = &body, .depth = at->depth + 1};
	size_t nr = at->rules->n - 1;

	if (has(g, GEN_ANCHOR_TABLE) && rnd_percent(r, 15))
		gen_inner_table(r, g, &at->rules->v[nr], &body);
	snprintf(in.path, sizeof(in.path), "%.40s%s%s", at->path, *at->path ? "/" : "",
		 name ? name : "_");
	gen_rules(r, g, &in, 1 + rnd_below(r, left < 8 ? (uint32_t)left + 1 : 8));
	at->rules->v[nr].body = body;
}

static void gen_anchor(struct rnd *r, struct gen_ruleset *g, const struct gen_place *at,
		       size_t left)
{
	struct gen_rule *x = add_rule(at->rules);
	const char *name = rnd_percent(r, 30) ? NULL : rnd_pick(r, names);

	/* most ask for nothing: what is in them would never be met */
	if (rnd_percent(r, 35))
		gen_criteria(r, g, x);
	else if (rnd_percent(r, g->quick))
		x->part[GEN_QUICK] = "quick";
	if (has(g, GEN_ANCHOR_CALL) && rnd_percent(r, 40)) {
		x->part[GEN_ACTION] = gen_call(r, g, at);
		if (!x->part[GEN_ACTION])
			at->rules->n--;
		return;
	}
	x->part[GEN_ACTION] = name ? keep(g, "anchor \"%s\"", name) : "anchor";
	x->braces = true;
	if (name && name_taken(at->rules, x->part[GEN_ACTION])) {
		at->rules->n--;
		return;
	}
	gen_inside(r, g, at, name, left);
}

/*
 * Anchors that call each other, as deep as may be and deeper.  They are not entered
 * where they stand.
 */
static void gen_chain(struct rnd *r, struct gen_ruleset *g)
{
	uint32_t n = 60 + rnd_below(r, 8);
	struct gen_rule *x;

	for (uint32_t i = 0; i < n; i++) {
		struct gen_rules body = {0};

		if (rnd_percent(r, 20))
			add_rule(&body)->part[GEN_ACTION] = rnd_percent(r, 50) ? "pass" : "block";
		if (i + 1 < n)
			add_rule(&body)->part[GEN_ACTION] = keep(g, "anchor \"../k%u\"", i + 1);
		else
			gen_filter_rule(r, g, add_rule(&body));
		x = add_rule(&g->rules);
		x->part[GEN_ACTION] = keep(g, "anchor \"k%u\"", i);
		x->part[GEN_IFACE] = "on nosuch0";
		x->braces = true;
		x->body = body;
	}
	x = add_rule(&g->rules);
	gen_criteria(r, g, x);
	x->part[GEN_ACTION] = "anchor \"/k0\"";
}

/* A rule again with another address or port: tables and skip steps come from these. */
static void gen_alike(struct rnd *r, struct gen_ruleset *g, struct gen_rules *l)
{
	struct gen_rule copy = l->v[rnd_below(r, (uint32_t)l->n)], *x;
	struct gen_hint *h = &copy.hint;

	if (copy.braces || strncmp(copy.part[GEN_ACTION], "table", 5) == 0)
		return;
	if (h->has_dst && rnd_percent(r, 70))
		copy.part[GEN_TO] = keep(g, "to %s", gen_prefix(r, g, h->af, h->dst));
	if (h->has_src && rnd_percent(r, 40))
		copy.part[GEN_FROM] = keep(g, "from %s", gen_prefix(r, g, h->af, h->src));
	if (h->has_dport && rnd_percent(r, 40))
		copy.part[GEN_TO_PORT] = gen_port(r, g, h->dport);
	x = add_rule(l);
	*x = copy;
}

static void gen_rules(struct rnd *r, struct gen_ruleset *g, const struct gen_place *at, size_t n)
{
	struct gen_rules *l = at->rules;
	uint32_t alike = rnd_below(r, 50);

	for (size_t i = 0; i < n; i++) {
		if (has(g, GEN_ANCHOR) && at->depth < 5 && rnd_percent(r, g->anchor))
			gen_anchor(r, g, at, n - i);
		else if (l->n && rnd_percent(r, alike))
			gen_alike(r, g, l);
		else
			gen_filter_rule(r, g, add_rule(l));
	}
}

/* --- rulesets --- */

/* Rules for one of the paths, loaded when the others are in force. */
static void gen_late(struct rnd *r, struct gen_ruleset *g)
{
	static const char *const paths[] = {"a", "b", "a/a", "a/b", "b/a", "ab", "new"};
	struct gen_place at = {.rules = &g->late, .depth = 1};

	g->late_path = rnd_pick(r, paths);
	snprintf(at.path, sizeof(at.path), "%s", g->late_path);
	if (has(g, GEN_ANCHOR_TABLE) && rnd_percent(r, 25))
		gen_inner_table(r, g, NULL, &g->late);
	gen_rules(r, g, &at, rnd_below(r, 10));
	/* what nobody named before would be gone */
	for (uint32_t i = 0; i < g->ntables; i++)
		g->table[i].persist = true;
}

void gen_ruleset(struct rnd *r, struct gen_ruleset *g, size_t n, uint32_t features)
{
	static const uint32_t matches[] = {0, 0, 5, 15, 30, 60}, quicks[] = {0, 5, 10, 30},
			      anchors[] = {0, 0, 8, 20, 40}, wides[] = {20, 45, 70, 85},
			      tables[] = {0, 0, 1, 1, 2, 4};
	static const char *const table_names[GEN_TABLES] = {"ta", "tb", "tc", "td"};

	memset(g, 0, sizeof(*g));
	g->features = features;
	g->match = rnd_pick(r, matches);
	g->quick = rnd_pick(r, quicks);
	g->anchor = rnd_pick(r, anchors);
	g->wide = rnd_pick(r, wides);
	g->block = 20 + rnd_below(r, 60);
	g->log = rnd_percent(r, 30) ? 30 : 3;
	g->state = rnd_below(r, 100);
	g->any_flags = rnd_below(r, 100);
	g->head = rnd_percent(r, 15) ? "set block-policy return\n" : "";
	g->ntables = rnd_pick(r, tables);
	g->many_ifaces = rnd_percent(r, 8);
	g->changes = rnd_percent(r, 40);
	for (size_t i = 0; i < g->ntables; i++) {
		g->table[i].name = table_names[i];
		gen_table(r, g, &g->table[i]);
	}
	if (has(g, GEN_ANCHOR_CALL) && rnd_percent(r, 2))
		gen_chain(r, g);
	gen_rules(r, g, &(struct gen_place){.rules = &g->rules}, n);
	if (has(g, GEN_ANCHOR_LOAD) && g->anchor && rnd_percent(r, 30))
		gen_late(r, g);
}

static void free_rules(struct gen_rules *l)
{
	for (size_t i = 0; i < l->n; i++)
		free_rules(&l->v[i].body);
	free(l->v);
}

void gen_free(struct gen_ruleset *g)
{
	free_rules(&g->rules);
	free_rules(&g->late);
	pf_arena_free(&g->arena);
}

static void print_rule(FILE *f, const struct gen_rule *x, int depth)
{
	fprintf(f, "%*s", depth, "");
	for (int i = 0; i < GEN_PARTS; i++) {
		/* a port needs its side */
		if (i == GEN_FROM && !x->part[i] && x->part[GEN_FROM_PORT])
			fputs(" from any", f);
		if (i == GEN_TO && !x->part[i] && x->part[GEN_TO_PORT])
			fputs(" to any", f);
		if (x->part[i])
			fprintf(f, "%s%s", i ? " " : "", x->part[i]);
	}
}

static void print_rules(FILE *f, const struct gen_rules *l, int depth)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct gen_rule *x = &l->v[i];

		if (x->off)
			continue;
		print_rule(f, x, depth);
		if (x->braces) {
			fputs(" {\n", f);
			print_rules(f, &x->body, depth + 4);
			fprintf(f, "%*s}", depth, "");
		}
		fputs("\n", f);
	}
}

void gen_print(FILE *f, const struct gen_ruleset *g)
{
	fputs(g->head, f);
	for (size_t i = 0; i < g->ntables; i++)
		print_table(f, &g->table[i]);
	print_rules(f, &g->rules, 0);
}

void gen_print_late(FILE *f, const struct gen_ruleset *g)
{
	print_rules(f, &g->late, 0);
}

struct gen_change gen_change(struct rnd *r, const struct gen_ruleset *g)
{
	uint8_t af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	struct gen_change c = {0};
	const struct gen_table *t;

	if (!g->changes || !g->ntables || !rnd_percent(r, 10))
		return c;
	t = &g->table[rnd_below(r, g->ntables)];
	c.table = t->name;
	if (t->n && rnd_percent(r, 60)) {
		c.entry = t->entry[rnd_below(r, (uint32_t)t->n)];
		return c;
	}
	c.entry = (struct gen_entry){.af = af, .bits = prefix_bits(r, af)};
	c.entry.neg = rnd_percent(r, 30);
	c.entry.ip = pool_ip(r, g, af);
	pf_ip_mask(&c.entry.ip, c.entry.bits);
	return c;
}

/* --- packets --- */

/* One of the ends, one beyond them, or one between. */
static struct pf_ip near_ip(struct rnd *r, uint8_t af, const struct pf_ip end[2])
{
	struct pf_ip ip = end[rnd_below(r, 2)];

	if (rnd_percent(r, 25))
		step_ip(&ip, af, rnd_percent(r, 50) ? 1 : -1);
	else if (rnd_percent(r, 20))
		for (int i = 0; i < 16; i++)
			if (end[0].b[i] != end[1].b[i])
				ip.b[i] = (uint8_t)rnd_next(r);
	return plain_ip(&ip, af) ? ip : fresh_ip(r, af);
}

static uint16_t near_port(struct rnd *r, const uint16_t end[2])
{
	return (uint16_t)(end[rnd_below(r, 2)] + (int)rnd_below(r, 3) - 1);
}

static uint16_t any_port(struct rnd *r)
{
	return rnd_percent(r, 80) ? rnd_pick(r, ports) : (uint16_t)rnd_next(r);
}

static const struct gen_rule *any_rule(struct rnd *r, const struct gen_rules *l)
{
	const struct gen_rule *x;

	if (!l->n)
		return NULL;
	x = &l->v[rnd_below(r, (uint32_t)l->n)];
	return x->body.n && rnd_percent(r, 75) ? any_rule(r, &x->body) : x;
}

static void gen_quote(struct rnd *r, const struct gen_ruleset *g, struct model_packet *p)
{
	static const uint8_t protos[] = {6, 17, 1, 47};
	struct model_quote *q = &p->quote;

	q->proto = rnd_pick(r, protos);
	if (q->proto == MODEL_P_ICMP && p->af == PF_FAMILY_INET6)
		q->proto = MODEL_P_ICMP6;
	q->src = rnd_percent(r, 90) ? p->dst : pool_ip(r, g, p->af);
	q->dst = rnd_percent(r, 70) ? p->src : pool_ip(r, g, p->af);
	if (q->proto == MODEL_P_TCP || q->proto == MODEL_P_UDP) {
		q->sport = any_port(r);
		q->dport = any_port(r);
		q->seq = (uint32_t)rnd_next(r);
	} else if (q->proto != 47) {
		q->icmp_type = p->af == PF_FAMILY_INET ? 8 : 128;
		q->icmp_id = (uint16_t)rnd_below(r, 4);
	}
}

static void gen_icmp_packet(struct rnd *r, const struct gen_ruleset *g, const struct gen_hint *h,
			    struct model_packet *p)
{
	static const uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff, [15] = 1};

	p->icmp_type = p->af == PF_FAMILY_INET ? rnd_pick(r, types4) : rnd_pick(r, types6);
	p->icmp_code = (uint8_t)rnd_below(r, 3);
	p->icmp_id = (uint16_t)rnd_below(r, 4);
	if (h && h->has_icmp && h->af == p->af && rnd_percent(r, 85)) {
		p->icmp_type = h->icmp_type;
		if (rnd_percent(r, 80))
			p->icmp_code = h->icmp_code;
	}
	p->target = pool_ip(r, g, p->af);
	if (p->af == PF_FAMILY_INET6 && p->icmp_type >= 133 && p->icmp_type <= 137)
		p->ttl = 255;
	if (p->af == PF_FAMILY_INET6 && p->icmp_type == MODEL_NS && rnd_percent(r, 50))
		memcpy(p->dst.b, group, sizeof(group));
	if (model_icmp_role(p->af, p->icmp_type) == MODEL_ERROR)
		gen_quote(r, g, p);
}

static void gen_tcp_packet(struct rnd *r, const struct gen_hint *h, struct model_packet *p)
{
	static const uint8_t flags[] = {TH_SYN,		  TH_SYN, TH_SYN | TH_ACK, TH_ACK,
					TH_ACK,		  TH_RST, TH_RST | TH_ACK, TH_FIN | TH_ACK,
					TH_ACK | TH_PUSH, 0xc2,	  TH_ACK | TH_URG};

	p->flags = rnd_percent(r, 95) ? rnd_pick(r, flags) : (uint8_t)rnd_next(r);
	if (h && h->has_flags && rnd_percent(r, 70))
		p->flags = h->flags;
	p->seq = (uint32_t)rnd_next(r);
	p->ack = p->flags & TH_ACK ? (uint32_t)rnd_next(r) : 0;
	p->win = (uint16_t)rnd_next(r);
}

static void gen_addresses(struct rnd *r, const struct gen_ruleset *g, const struct gen_hint *h,
			  struct model_packet *p)
{
	p->src = pool_ip(r, g, p->af);
	p->dst = pool_ip(r, g, p->af);
	if (h && h->af == p->af && h->has_src && rnd_percent(r, 85))
		p->src = near_ip(r, p->af, h->src);
	if (h && h->af == p->af && h->has_dst && rnd_percent(r, 85))
		p->dst = near_ip(r, p->af, h->dst);
}

static void gen_transport(struct rnd *r, const struct gen_ruleset *g, const struct gen_hint *h,
			  struct model_packet *p)
{
	if (p->frag == MODEL_FRAG_LATER)
		return;
	if (model_is_icmp(p)) {
		gen_icmp_packet(r, g, h, p);
		return;
	}
	if (p->proto != MODEL_P_TCP && p->proto != MODEL_P_UDP)
		return;
	p->sport = h && h->has_sport && rnd_percent(r, 85) ? near_port(r, h->sport) : any_port(r);
	p->dport = h && h->has_dport && rnd_percent(r, 85) ? near_port(r, h->dport) : any_port(r);
	if (!p->dport) /* nobody listens there: it is malformed */
		p->dport = 1;
	if (p->proto == MODEL_P_TCP)
		gen_tcp_packet(r, h, p);
	/* more fragments: its length is a multiple of eight */
	if (p->proto == MODEL_P_TCP && p->frag == MODEL_FRAG_FIRST)
		p->len = 4 + p->len / 8 * 8;
}

struct model_packet gen_packet(struct rnd *r, const struct gen_ruleset *g)
{
	static const uint8_t protos[] = {6, 6, 17, 17, 1, 47, 50};
	const struct gen_rule *x = rnd_percent(r, 15)		     ? NULL
				   : g->late.n && rnd_percent(r, 25) ? any_rule(r, &g->late)
								     : any_rule(r, &g->rules);
	const struct gen_hint *h = x ? &x->hint : NULL;
	struct model_packet p = {.ttl = 64, .seed = (uint32_t)rnd_next(r) | 1};

	p.dir = rnd_percent(r, 50) ? PF_RULE_IN : PF_RULE_OUT;
	if (h && h->dir && rnd_percent(r, 90))
		p.dir = h->dir;
	p.ifname = h && h->ifname && rnd_percent(r, 80) ? h->ifname : rnd_pick(r, gen_ifaces);
	p.received = rnd_percent(r, 60) ? rnd_pick(r, gen_ifaces) : NULL;
	if (h && h->received && rnd_percent(r, 60))
		p.received = h->received;
	if (p.dir == PF_RULE_IN)
		p.received = p.ifname;
	p.af = rnd_percent(r, 55) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (h && h->af && rnd_percent(r, 95))
		p.af = h->af;
	p.proto = rnd_pick(r, protos);
	if (h && h->proto && rnd_percent(r, 90))
		p.proto = h->proto;
	if (p.proto == MODEL_P_ICMP || p.proto == MODEL_P_ICMP6)
		p.proto = p.af == PF_FAMILY_INET ? MODEL_P_ICMP : MODEL_P_ICMP6;
	if (rnd_percent(r, h && h->fragment ? 60 : 7))
		p.frag = 1 + (uint8_t)rnd_below(r, 2);
	p.tos = rnd_percent(r, 50) ? 0 : rnd_pick(r, toses);
	if (h && h->has_tos && rnd_percent(r, 80))
		p.tos = h->tos;
	if (rnd_percent(r, 10))
		p.tos |= (uint8_t)rnd_below(r, 4);
	p.options = rnd_percent(r, 4);
	p.vlans = rnd_percent(r, 3) ? 1 + (uint8_t)rnd_below(r, 2) : 0;
	p.len = rnd_percent(r, 50) ? 0 : (uint16_t)rnd_below(r, 40);
	gen_addresses(r, g, h, &p);
	gen_transport(r, g, h, &p);
	return p;
}

static void turn_round(struct rnd *r, struct model_packet *p)
{
	struct pf_ip ip = p->src;
	uint16_t port = p->sport;

	p->src = p->dst;
	p->dst = ip;
	p->sport = p->dport;
	p->dport = port ? port : 1;
	p->dir = p->dir == PF_RULE_IN ? PF_RULE_OUT : PF_RULE_IN;
	p->received = p->dir == PF_RULE_IN ? p->ifname
		      : rnd_percent(r, 50) ? rnd_pick(r, gen_ifaces)
					   : NULL;
}

static uint32_t some_offset(struct rnd *r)
{
	static const uint32_t offsets[] = {0,  0,      0,     0,     1, (uint32_t)-1,
					   10, 65535U, 66000, 67036, 2, 0x7fffffff};

	return rnd_pick(r, offsets);
}

static void follow_tcp(struct rnd *r, struct model_packet *p, bool back)
{
	static const uint8_t flags[] = {TH_ACK, TH_ACK, TH_ACK | TH_FIN,
					TH_RST, TH_SYN, TH_ACK | TH_RST};
	uint32_t next = p->seq + p->len + ((p->flags & TH_SYN) || (p->flags & TH_FIN));

	if (back) {
		uint32_t seq = p->flags & TH_ACK ? p->ack : (uint32_t)rnd_next(r);

		p->flags = (p->flags & (TH_SYN | TH_ACK)) == TH_SYN ? TH_SYN | TH_ACK : TH_ACK;
		p->seq = seq + some_offset(r);
		p->ack = next + some_offset(r);
	} else {
		p->flags = rnd_pick(r, flags);
		p->seq = next + some_offset(r);
		p->ack += some_offset(r);
	}
	if (rnd_percent(r, 15))
		p->flags = rnd_pick(r, flags);
}

static void follow_icmp(struct rnd *r, struct model_packet *p, bool back)
{
	static const uint8_t pairs[][2] = {{8, 0},  {13, 14},	{15, 16},   {17, 18},
					   {10, 9}, {128, 129}, {135, 136}, {139, 140}};

	if (!back || rnd_percent(r, 10))
		return;
	for (size_t i = 0; i < sizeof(pairs) / 2; i++) {
		if (p->icmp_type == pairs[i][0]) {
			p->icmp_type = pairs[i][1];
			return;
		}
	}
}

/* An error about the packet, from its destination or from one on the way. */
static void quote_it(struct rnd *r, struct model_packet *p, const struct model_packet *last)
{
	p->quote = (struct model_quote){.proto = last->proto,
					.src = last->src,
					.dst = last->dst,
					.sport = last->sport,
					.dport = last->dport,
					.seq = last->seq + some_offset(r),
					.icmp_type = last->icmp_type,
					.icmp_id = last->icmp_id};
	p->proto = p->af == PF_FAMILY_INET ? MODEL_P_ICMP : MODEL_P_ICMP6;
	p->icmp_type = p->af == PF_FAMILY_INET ? 3 : 1;
	p->icmp_code = (uint8_t)rnd_below(r, 3);
	p->sport = p->dport = 0;
	p->ttl = 64;
	if (rnd_percent(r, 30))
		p->src = fresh_ip(r, p->af);
}

struct model_packet gen_follow(struct rnd *r, const struct model_packet *last)
{
	struct model_packet p = *last;
	bool back = rnd_percent(r, 65);

	p.seed = (uint32_t)rnd_next(r) | 1;
	if (rnd_percent(r, 20)) /* once more */
		return p;
	if (back)
		turn_round(r, &p);
	if (rnd_percent(r, 10))
		p.ifname = rnd_pick(r, gen_ifaces);
	if (p.dir == PF_RULE_IN)
		p.received = p.ifname;
	p.options = rnd_percent(r, 4);
	if (p.frag == MODEL_FRAG_LATER || !plain_ip(&p.src, p.af))
		return p;
	if (back && rnd_percent(r, 15) &&
	    !(model_is_icmp(last) && model_icmp_role(last->af, last->icmp_type) == MODEL_ERROR)) {
		quote_it(r, &p, last);
		return p;
	}
	if (p.proto == MODEL_P_TCP)
		follow_tcp(r, &p, back);
	if (model_is_icmp(&p))
		follow_icmp(r, &p, back);
	return p;
}
