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
	[GEN_TRANSLATION] = {"translation", "match out inet nat-to 10.0.0.1 port 2000:2003\n"
					    "match in inet rdr-to 10.0.0.0/24 bitmask\npass\n"},
	[GEN_STATE_OPTS] = {"state options",
			    "set state-policy if-bound\nset state-defaults no-sync\n"
			    "pass keep state (max 3, sloppy, floating, udp.first 3)\n"},
	[GEN_SOURCES] = {"sources", "table <t> persist\npass keep state (max-src-states 3, "
				    "max-src-nodes 4, max-src-conn 1, overload <t> flush)\n"},
	[GEN_LIMITERS] = {"limiters", "state limiter s id 1 limit 5\n"
				      "source limiter a id 1 entries 5 limit 5 inet mask 24\n"
				      "source limiter b id 2 entries 5 limit 5 table <t> above 2\n"
				      "pass state limiter s (block) source limiter a\n"},
	[GEN_ONCE] = {"once", "pass once\n"},
	[GEN_PKT_RATE] = {"max-pkt-rate", "match max-pkt-rate 1/86400\npass max-pkt-rate 1/9\n"},
	[GEN_ROUTING] = {"routing", "pass in route-to 10.0.0.1@ext\npass out reply-to ::1@ext\n"},
	[GEN_GROUP] = {"groups", "pass on egress\nblock on ! far\npass on \"all\"\n"},
	[GEN_ENDLESS] = {"endless anchors", "anchor \"a\" {\n anchor \"/a\"\n}\n"},
};

const char *const gen_ifaces[GEN_IFACES] = {"ext", "int", "dmz", "far0", "lo"};

const char *gen_keep(struct gen_ruleset *g, const char *fmt, ...)
{
	char buf[512], *s;
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
			       ? gen_keep(g, "%s<%s>", neg, g->table[rnd_below(r, g->ntables)].name)
		       : rnd_percent(r, 10) ? gen_keep(g, "%s<nobody>", neg)
					    : NULL;
	if (!*af)
		*af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (has(g, GEN_RANGE) && rnd_percent(r, 30))
		text = gen_range(r, g, *af, end);
	else
		text = gen_prefix(r, g, *af, end);
	*given = true;
	return gen_keep(g, "%s%s", neg, text);
}

static const char *gen_port(struct rnd *r, struct gen_ruleset *g, uint16_t end[2])
{
	static const char *const ops[] = {"= ", "", "!= ", "< ", "<= ", "> ", ">= "};
	static const char *const pairs[] = {":", " >< ", " <> "};
	uint16_t lo = rnd_pick(r, gen_ports), hi = rnd_pick(r, gen_ports);

	if (rnd_percent(r, 10))
		lo = (uint16_t)rnd_next(r);
	end[0] = end[1] = lo;
	if (rnd_percent(r, 55))
		return gen_keep(g, "port %s%u", rnd_pick(r, ops), lo);
	end[0] = lo < hi ? lo : hi;
	end[1] = lo < hi ? hi : lo;
	/* "a >< b" without a port between them is refused */
	if (end[1] - end[0] < 2)
		return gen_keep(g, "port %u:%u", end[0], end[1]);
	return gen_keep(g, "port %u%s%u", end[0], rnd_pick(r, pairs), end[1]);
}

static void gen_icmp(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	bool v4 = x->hint.proto == MODEL_P_ICMP;

	x->hint.has_icmp = true;
	x->hint.icmp_type = v4 ? rnd_pick(r, gen_types4) : rnd_pick(r, gen_types6);
	x->hint.icmp_code = (uint8_t)rnd_below(r, 3);
	if (rnd_percent(r, 40))
		x->part[GEN_ICMP] = gen_keep(g, "%s %u code %u", v4 ? "icmp-type" : "icmp6-type",
					     x->hint.icmp_type, x->hint.icmp_code);
	else
		x->part[GEN_ICMP] = gen_keep(g, "%s %u", v4 ? "icmp-type" : "icmp6-type",
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
	static const uint8_t protos[] = {0, 0, 6, 6, 6, 17, 17, 1, 58, 47, 132};
	struct gen_hint *h = &x->hint;

	h->proto = rnd_pick(r, protos);
	if (h->proto == MODEL_P_ICMP)
		h->af = PF_FAMILY_INET;
	if (h->proto == MODEL_P_ICMP6)
		h->af = PF_FAMILY_INET6;
	if (h->proto)
		x->part[GEN_PROTO] = h->proto == MODEL_P_TCP	? "proto tcp"
				     : h->proto == MODEL_P_UDP	? "proto udp"
				     : h->proto == MODEL_P_ICMP ? "proto icmp"
				     : h->proto == MODEL_P_ICMP6
					     ? "proto icmp6"
					     : gen_keep(g, "proto %u", h->proto);
	if (h->proto == MODEL_P_TCP || h->proto == MODEL_P_UDP || h->proto == MODEL_P_SCTP) {
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
	static const char *const groups[] = {"egress", "egress", "far", "if", "\"all\""};
	const char *name = rnd_pick(r, gen_ifaces);
	const char *neg = rnd_percent(r, 25) ? "! " : "";

	*hint = name;
	if (g->many_ifaces && rnd_percent(r, 60))
		name = gen_keep(g, "if%u", rnd_below(r, 120));
	else if (rnd_percent(r, 10))
		name = rnd_pick(r, odd);
	else if (has(g, GEN_GROUP) && rnd_percent(r, 25))
		name = rnd_pick(r, groups);
	g->egress |= strcmp(name, "egress") == 0;
	/* "! any" is no interface */
	if (strcmp(name, "any") == 0)
		neg = "";
	return *word == 'r' ? gen_keep(g, "%s%s %s", neg, word, name)
			    : gen_keep(g, "%s %s%s", word, neg, name);
}

static const char *const tags[] = {"RED", "GREEN", "BLUE"};

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
		x->part[GEN_FROM] = gen_keep(g, "from %s", host);
	host = gen_host(r, g, &h->af, &h->has_dst, h->dst);
	if (host)
		x->part[GEN_TO] = gen_keep(g, "to %s", host);
	if (h->af && (h->has_icmp || rnd_percent(r, 50) || !(h->has_src || h->has_dst)))
		x->part[GEN_AF] = h->af == PF_FAMILY_INET ? "inet" : "inet6";
	if (!h->has_sport && !h->has_dport && !h->has_flags && !h->has_icmp && rnd_percent(r, 4)) {
		h->fragment = true;
		x->part[GEN_FRAGMENT] = "fragment";
	}
	if (has(g, GEN_TOS) && rnd_percent(r, 8)) {
		h->has_tos = true;
		h->tos = rnd_pick(r, gen_toses);
		x->part[GEN_TOS_IS] = gen_keep(g, "tos 0x%02x", h->tos);
	}
	if (has(g, GEN_RECEIVED) && rnd_percent(r, 8))
		x->part[GEN_RECEIVED_ON] = gen_iface(r, "received-on", g, &h->received);
	if (has(g, GEN_PROB) && rnd_percent(r, 8))
		x->part[GEN_PROBABILITY] = gen_keep(g, "probability %u%%", 1 + rnd_below(r, 99));
	/* in a time that does not end here */
	if (has(g, GEN_PKT_RATE) && rnd_percent(r, g->rates))
		x->part[GEN_RATE] = gen_keep(g, "max-pkt-rate %u/1000000", 1 + rnd_below(r, 12));
	if (has(g, GEN_TAG) && rnd_percent(r, 15))
		x->part[GEN_TAGGED] = gen_keep(g, "%stagged %s", rnd_percent(r, 30) ? "! " : "",
					       rnd_pick(r, tags));
	if (has(g, GEN_TAG) && rnd_percent(r, 20))
		x->part[GEN_TAG_SET] = gen_keep(g, "tag %s", rnd_pick(r, tags));
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

/* What sources may have: little, for they are few. */
static const char *gen_sources(struct rnd *r, struct gen_ruleset *g)
{
	static const char *const flushes[] = {"", " flush", " flush global"};
	const char *states = "", *nodes = "", *conn = "", *to = "";

	if (rnd_percent(r, 25))
		return rnd_percent(r, 50) ? "source-track, "
					  : gen_keep(g, "source-track global, max-src-states %u, ",
						     1 + rnd_below(r, 5));
	if (rnd_percent(r, 50))
		states = gen_keep(g, "max-src-states %u, ", 1 + rnd_below(r, 5));
	if (rnd_percent(r, 40))
		nodes = gen_keep(g, "max-src-nodes %u, ", 1 + rnd_below(r, 6));
	if (rnd_percent(r, 75)) {
		conn = gen_keep(g, "max-src-conn %u, ", 1 + rnd_below(r, 2));
		if (g->ntables && rnd_percent(r, 70))
			to = gen_keep(g, "overload <%s>%s, ",
				      g->table[rnd_below(r, g->ntables)].name,
				      rnd_pick(r, flushes));
	}
	return gen_keep(g, "source-track rule, %s%s%s%s", states, nodes, conn, to);
}

static const char *gen_state_opts(struct rnd *r, struct gen_ruleset *g)
{
	static const char *const locks[] = {"if-bound", "if-bound", "floating"};
	static const char *const times[] = {"udp.first 5", "tcp.established 77, icmp.error 3",
					    "adaptive.start 5, adaptive.end 100", "other.single 9"};
	const char *max = "", *sloppy = "", *lock = "", *time = "no-sync", *sources = "";

	if (g->sources && rnd_percent(r, 85))
		sources = gen_sources(r, g);
	if (rnd_percent(r, g->sources ? 20 : 50))
		max = gen_keep(g, "max %u, ", 1 + rnd_below(r, rnd_percent(r, 70) ? 4 : 40));
	if (rnd_percent(r, 40))
		sloppy = "sloppy, ";
	if (rnd_percent(r, 50))
		lock = gen_keep(g, "%s, ", rnd_pick(r, locks));
	if (rnd_percent(r, 30))
		time = rnd_pick(r, times);
	return gen_keep(g, "%s%s%s%s%s", max, sloppy, lock, sources, time);
}

static const char *gen_limits(struct rnd *r, struct gen_ruleset *g)
{
	static const char *const actions[] = {"", " (no-match)", " (block)"};
	const char *state = "", *source = "";

	if (rnd_percent(r, 60))
		state = gen_keep(g, " state limiter id %u%s", 1 + rnd_below(r, 2),
				 rnd_pick(r, actions));
	if (!*state || rnd_percent(r, 40))
		source = gen_keep(g, "source limiter id %u%s", 1 + rnd_below(r, 2),
				  rnd_pick(r, actions));
	return gen_keep(g, "%s%s", source, state);
}

static void gen_pass(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	x->part[GEN_ACTION] = "pass";
	if (!rnd_percent(r, g->state))
		x->part[GEN_STATE] = "no state";
	else if (rnd_percent(r, g->state_opts))
		x->part[GEN_STATE] = gen_keep(g, "keep state (%s)", gen_state_opts(r, g));
	if (g->limiters && rnd_percent(r, 60) &&
	    !(x->part[GEN_STATE] && strcmp(x->part[GEN_STATE], "no state") == 0))
		x->part[GEN_LIMITS] = gen_limits(r, g);
	if (rnd_percent(r, 15))
		x->part[GEN_OPTS] = "allow-opts";
	/* else most of them would be for SYNs alone */
	if ((!x->hint.proto || x->hint.proto == MODEL_P_TCP) && !x->hint.has_flags &&
	    !x->hint.fragment && rnd_percent(r, g->any_flags))
		x->part[GEN_FLAGS] = "flags any";
}

/* Shall it, and can it? */
static bool translates(struct rnd *r, const struct gen_ruleset *g, const struct gen_rule *x)
{
	const char *action = x->part[GEN_ACTION];

	if (strcmp(action, "match") == 0)
		return rnd_percent(r, g->translate);
	if (x->part[GEN_STATE] && strcmp(x->part[GEN_STATE], "no state") == 0)
		return false;
	return strcmp(action, "pass") == 0 && rnd_percent(r, g->translate / 2);
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
	if (g->translate && translates(r, g, x))
		gen_translation(r, g, x);
	if (strcmp(x->part[GEN_ACTION], "pass") == 0 && rnd_percent(r, g->route) &&
	    !(x->part[GEN_STATE] && strcmp(x->part[GEN_STATE], "no state") == 0))
		gen_route(r, g, x);
	if (has(g, GEN_ONCE) && strcmp(x->part[GEN_ACTION], "match") != 0 &&
	    rnd_percent(r, g->once))
		x->part[GEN_ONE_SHOT] = "once";
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

#define GEN_DEPTH 5 /* rules there call no anchors */

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
		return gen_keep(g, "%s*", front);
	return gen_keep(g, "%s%s%s", front, rnd_pick(r, names), star ? "/*" : rnd_pick(r, ends));
}

static const char *gen_call(struct rnd *r, struct gen_ruleset *g, const struct gen_place *at)
{
	char target[128];

	for (int tries = 0; tries < 20; tries++) {
		const char *path = gen_path(r, g, at->depth);

		resolve(at->path, path, target, sizeof(target));
		if (goes_left(at->path, target))
			return gen_keep(g, "anchor \"%s\"", path);
	}
	if (has(g, GEN_ENDLESS) && !g->endless && at->depth && !strchr(at->path, '_')) {
		g->endless = true;
		return gen_keep(g, "anchor \"/%s\"", at->path);
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
			? gen_keep(g, "table <%s> persist { %s }", name, first)
			: gen_keep(g, "table <%s> persist { %s !%s }", name, first, second);
	if (rnd_percent(r, 50))
		return;
	x = add_rule(body);
	if (rnd_percent(r, 50))
		gen_filter_rule(r, g, x);
	else
		x->part[GEN_ACTION] = rnd_percent(r, 50) ? "pass" : "block";
	if (gen_is_binat(x)) /* of tables it knows nothing */
		x->part[GEN_TRANSLATE] = NULL;
	x->part[GEN_FROM] = gen_keep(g, "from %s<%s>", rnd_percent(r, 50) ? "! " : "", name);
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
	x->part[GEN_ACTION] = name ? gen_keep(g, "anchor \"%s\"", name) : "anchor";
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
			add_rule(&body)->part[GEN_ACTION] = gen_keep(g, "anchor \"../k%u\"", i + 1);
		else
			gen_filter_rule(r, g, add_rule(&body));
		x = add_rule(&g->rules);
		x->part[GEN_ACTION] = gen_keep(g, "anchor \"k%u\"", i);
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

	if (copy.braces || strncmp(copy.part[GEN_ACTION], "table", 5) == 0 || gen_is_binat(&copy))
		return;
	if (h->has_dst && rnd_percent(r, 70))
		copy.part[GEN_TO] = gen_keep(g, "to %s", gen_prefix(r, g, h->af, h->dst));
	if (h->has_src && rnd_percent(r, 40))
		copy.part[GEN_FROM] = gen_keep(g, "from %s", gen_prefix(r, g, h->af, h->src));
	/* rdr-to "port n:*" may have no room for more ports */
	if (h->has_dport && !copy.part[GEN_TRANSLATE] && rnd_percent(r, 40))
		copy.part[GEN_TO_PORT] = gen_port(r, g, h->dport);
	x = add_rule(l);
	*x = copy;
}

static void gen_rules(struct rnd *r, struct gen_ruleset *g, const struct gen_place *at, size_t n)
{
	struct gen_rules *l = at->rules;
	uint32_t alike = rnd_below(r, 50);

	for (size_t i = 0; i < n; i++) {
		if (has(g, GEN_ANCHOR) && at->depth < GEN_DEPTH && rnd_percent(r, g->anchor))
			gen_anchor(r, g, at, n - i);
		else if (l->n && rnd_percent(r, alike))
			gen_alike(r, g, l);
		else
			gen_filter_rule(r, g, add_rule(l));
	}
}

/* --- rulesets --- */

/* An anchor that is called once, by the main ruleset, and calls none: that can be replaced alone.
 */
static void gen_late_call(struct rnd *r, struct gen_ruleset *g)
{
	struct gen_rule *x = add_rule(&g->rules), *other, call;

	if (rnd_percent(r, 35))
		gen_criteria(r, g, x);
	else if (rnd_percent(r, g->quick))
		x->part[GEN_QUICK] = "quick";
	x->part[GEN_ACTION] = "anchor \"late\"";
	call = *x;
	other = &g->rules.v[rnd_below(r, (uint32_t)g->rules.n)];
	*x = *other;
	*other = call;
}

/* Rules for one of the paths, loaded when the others are in force. */
static void gen_late(struct rnd *r, struct gen_ruleset *g)
{
	static const char *const paths[] = {"a", "b", "a/a", "a/b", "b/a", "ab", "new"};
	struct gen_place at = {.rules = &g->late, .depth = 1};

	g->late_path = rnd_pick(r, paths);
	if (rnd_percent(r, g->translate ? 80 : 50)) {
		gen_late_call(r, g);
		g->late_path = "late";
		at.depth = GEN_DEPTH;
	}
	snprintf(at.path, sizeof(at.path), "%s", g->late_path);
	if (has(g, GEN_ANCHOR_TABLE) && rnd_percent(r, 25))
		gen_inner_table(r, g, NULL, &g->late);
	gen_rules(r, g, &at, rnd_below(r, 10));
	/* what nobody named before would be gone */
	for (uint32_t i = 0; i < g->ntables; i++)
		g->table[i].persist = true;
}

/* Where much is blocked, or has no state, little is translated. */
static void gen_translation_mood(struct rnd *r, struct gen_ruleset *g)
{
	g->translate = 10 + rnd_below(r, 30);
	g->match = 30 + rnd_below(r, 40);
	g->wide = rnd_percent(r, 70) ? 85 : g->wide;
	g->block = rnd_below(r, 40);
	g->state = 70 + rnd_below(r, 30);
	g->any_flags = 70 + rnd_below(r, 30);
}

/* Options of all rules' states. */
static void gen_state_mood(struct rnd *r, struct gen_ruleset *g)
{
	g->state_opts = rnd_below(r, 60);
	g->sources = has(g, GEN_SOURCES) && rnd_percent(r, 60);
	if (g->sources) {
		g->state_opts = 60 + rnd_below(r, 40);
		g->state = 70 + rnd_below(r, 30);
		g->any_flags = 70 + rnd_below(r, 30);
		g->block = rnd_below(r, 30);
		g->ntables = g->ntables ? g->ntables : 1;
	}
	if (rnd_percent(r, 40))
		g->head = gen_keep(g, "%sset state-policy if-bound\n", g->head);
	if (rnd_percent(r, 40))
		g->head = gen_keep(g, "%sset state-defaults %s\n", g->head, gen_state_opts(r, g));
}

/* Hosts or networks, which may go into a table: some of lengths that its own entries have. */
static const char *gen_sources_of_limiter(struct rnd *r, struct gen_ruleset *g)
{
	uint32_t above = 1 + rnd_below(r, 3);
	const char *masks = "";

	if (rnd_percent(r, 50))
		masks = gen_keep(g, " inet mask %u",
				 rnd_percent(r, 50) ? gen_prefix_bits(r, PF_FAMILY_INET)
						    : 8 + rnd_below(r, 24));
	if (rnd_percent(r, 50))
		masks = gen_keep(g, "%s inet6 mask %u", masks, gen_prefix_bits(r, PF_FAMILY_INET6));
	if (rnd_percent(r, 40))
		return masks;
	g->ntables = g->ntables ? g->ntables : 1;
	return gen_keep(g, "%s table <%s> above %u below %u", masks,
			g->table[rnd_below(r, (uint32_t)g->ntables)].name, above,
			rnd_below(r, above + 1));
}

/* Two of each kind, with little room. */
static void gen_limiters(struct rnd *r, struct gen_ruleset *g)
{
	const char *text = "";

	for (unsigned int id = 1; id <= 2; id++)
		text = gen_keep(g,
				"%sstate limiter s%u id %u limit %u\n"
				"source limiter a%u id %u entries 9999 limit %u%s\n",
				text, id, id, 1 + rnd_below(r, 12), id, id, 1 + rnd_below(r, 4),
				gen_sources_of_limiter(r, g));
	g->limiters = text;
	g->state = 70 + rnd_below(r, 30);
	g->block = rnd_below(r, 40);
}

void gen_ruleset(struct rnd *r, struct gen_ruleset *g, size_t n, uint32_t features)
{
	static const uint32_t matches[] = {0, 0, 5, 15, 30, 60}, quicks[] = {0, 5, 10, 30},
			      anchors[] = {0, 0, 8, 20, 40}, wides[] = {20, 45, 70, 85},
			      tables[] = {0, 0, 1, 1, 2, 4}, few[] = {0, 0, 3, 10, 40};
	static const char *const table_names[GEN_TABLES] = {"ta", "tb", "tc", "td"};

	memset(g, 0, sizeof(*g));
	g->features = features;
	g->match = rnd_pick(r, matches);
	g->quick = rnd_pick(r, quicks);
	g->anchor = rnd_pick(r, anchors);
	g->once = rnd_pick(r, few);
	g->rates = rnd_pick(r, few);
	g->wide = rnd_pick(r, wides);
	g->block = 20 + rnd_below(r, 60);
	g->log = rnd_percent(r, 30) ? 30 : 3;
	g->state = rnd_below(r, 100);
	g->dialog = rnd_percent(r, 40) ? 40 + rnd_below(r, 55) : 0;
	g->any_flags = rnd_below(r, 100);
	g->head = rnd_percent(r, 15) ? "set block-policy return\n" : "";
	g->ntables = rnd_pick(r, tables);
	for (size_t i = 0; i < GEN_TABLES; i++)
		g->table[i].name = table_names[i];
	g->many_ifaces = rnd_percent(r, 8);
	g->changes = rnd_percent(r, 40);
	if (has(g, GEN_TRANSLATION) && rnd_percent(r, 33))
		gen_translation_mood(r, g);
	if (has(g, GEN_STATE_OPTS) && rnd_percent(r, 40))
		gen_state_mood(r, g);
	if (has(g, GEN_ROUTING) && rnd_percent(r, 30)) {
		g->route = 10 + rnd_below(r, 50);
		g->wide = rnd_percent(r, 70) ? 85 : g->wide;
		g->block = rnd_below(r, 40);
		g->state = 70 + rnd_below(r, 30);
		g->any_flags = 70 + rnd_below(r, 30);
	}
	if (has(g, GEN_LIMITERS) && rnd_percent(r, 35))
		gen_limiters(r, g);
	for (size_t i = 0; i < g->ntables; i++) {
		gen_table(r, g, &g->table[i]);
	}
	if (has(g, GEN_ANCHOR_CALL) && rnd_percent(r, 2))
		gen_chain(r, g);
	gen_rules(r, g, &(struct gen_place){.rules = &g->rules}, n);
	if (has(g, GEN_ANCHOR_LOAD) && g->anchor && rnd_percent(r, g->translate ? 70 : 30))
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
	fputs(g->limiters ? g->limiters : "", f);
	for (size_t i = 0; i < g->ntables; i++)
		gen_print_table(f, &g->table[i]);
	print_rules(f, &g->rules, 0);
}

void gen_print_late(FILE *f, const struct gen_ruleset *g)
{
	/* it is read alone, but counts for nothing there */
	fputs(g->limiters ? g->limiters : "", f);
	print_rules(f, &g->late, 0);
}

const char *gen_egress(struct rnd *r, const struct gen_ruleset *g, const char *last)
{
	uint32_t i = rnd_below(r, GEN_IFACES + 1);

	if (!g->egress || !rnd_percent(r, last ? 4 : 30))
		return last;
	return i < GEN_IFACES ? gen_ifaces[i] : NULL;
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
	c.entry = (struct gen_entry){.af = af, .bits = gen_prefix_bits(r, af)};
	c.entry.neg = rnd_percent(r, 30);
	c.entry.ip = gen_pool_ip(r, g, af);
	pf_ip_mask(&c.entry.ip, c.entry.bits);
	return c;
}
