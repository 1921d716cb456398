// SPDX-License-Identifier: BSD-2-Clause
/* Rules that translate, by chance: so that ports are short and rules behind ask for what comes. */
#include <string.h>

#include "gen.h"

bool gen_is_binat(const struct gen_rule *x)
{
	return x->part[GEN_TRANSLATE] && strncmp(x->part[GEN_TRANSLATE], "binat", 5) == 0;
}

/* One that rules and packets have, too, but 0. */
static uint16_t some_port(struct rnd *r)
{
	uint16_t port = rnd_pick(r, gen_ports);

	return port ? port : 2000;
}

static const char *few_ports(struct rnd *r, struct gen_ruleset *g)
{
	uint32_t lo = some_port(r), hi = lo + rnd_below(r, 4);

	return gen_keep(g, " port %u:%u", lo, hi > 65535 ? 65535 : hi);
}

static const char *many_ports(struct rnd *r, struct gen_ruleset *g)
{
	uint16_t a = some_port(r), b = some_port(r);

	return gen_keep(g, " port %u:%u", a < b ? a : b, a < b ? b : a);
}

static const char *nat_ports(struct rnd *r, struct gen_ruleset *g)
{
	switch (rnd_below(r, 11)) {
	case 0:
		return "";
	case 1:
		return " static-port";
	case 2:
		return gen_keep(g, " port %u", some_port(r));
	case 3:
		return many_ports(r, g);
	default:
		return few_ports(r, g);
	}
}

static const char *rdr_ports(struct rnd *r, struct gen_ruleset *g, const struct gen_hint *h)
{
	switch (rnd_below(r, 8)) {
	case 0:
	case 1:
		return "";
	case 2:
		return many_ports(r, g);
	case 3:
	case 4:
		/* as many as the rule has, which may not be too many */
		if (h->has_dport && h->dport[1] - h->dport[0] < 60000)
			return gen_keep(g, " port %u:*", 1024 + rnd_below(r, 2000));
		return few_ports(r, g);
	case 5:
		return few_ports(r, g);
	default:
		return gen_keep(g, " port %u", some_port(r));
	}
}

/* One address for another, both ways. */
static void gen_binat(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	struct gen_hint *h = &x->hint;
	struct pf_ip ip;

	x->part[GEN_DIR] = NULL;
	x->part[GEN_FROM] = gen_keep(g, "from %s", gen_target(r, g, h->af, false, &h->src[0]));
	x->part[GEN_TRANSLATE] = gen_keep(g, "binat-to %s", gen_target(r, g, h->af, false, &ip));
	h->src[1] = h->src[0];
	h->has_src = true;
	h->dir = PF_RULE_OUT;
	if (rnd_percent(r, 50))
		return;
	/* its other half */
	h->dir = PF_RULE_IN;
	h->has_src = h->has_sport = h->has_dport = false;
	h->has_dst = true;
	h->dst[0] = h->dst[1] = ip;
}

/* Most ask for so much that they would meet nothing. */
static void widen(struct gen_rule *x)
{
	static const enum gen_part parts[] = {GEN_IFACE,  GEN_FLAGS,	   GEN_TOS_IS,
					      GEN_TAGGED, GEN_RECEIVED_ON, GEN_FRAGMENT};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		x->part[parts[i]] = NULL;
	x->hint.has_flags = x->hint.has_tos = x->hint.fragment = false;
	x->hint.ifname = x->hint.received = NULL;
}

void gen_translation(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	struct gen_hint *h = &x->hint;
	const bool prefix = rnd_percent(r, 25);
	const char *target, *type = prefix ? " bitmask" : "";
	struct pf_ip ip;

	if (rnd_percent(r, 60))
		widen(x);
	if (!h->af)
		h->af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (rnd_percent(r, 15)) {
		gen_binat(r, g, x);
		return;
	}
	if (!h->dir)
		h->dir = rnd_percent(r, 40) ? PF_RULE_IN : PF_RULE_OUT;
	x->part[GEN_DIR] = h->dir == PF_RULE_IN ? "in" : "out";
	target = gen_target(r, g, h->af, prefix, &ip);
	if (h->dir == PF_RULE_IN) {
		x->part[GEN_TRANSLATE] = gen_keep(g, "rdr-to %s%s%s", target, rdr_ports(r, g, h),
						  type);
	} else {
		const char *ports = nat_ports(r, g);
		bool first = *ports == ' ' && ports[1] == 'p';

		x->part[GEN_TRANSLATE] = gen_keep(g, "nat-to %s%s%s", target, first ? ports : type,
						  first ? type : ports);
	}
}

void gen_route(struct rnd *r, struct gen_ruleset *g, struct gen_rule *x)
{
	static const char *const kinds[] = {"route-to", "route-to", "reply-to"};
	struct gen_hint *h = &x->hint;
	const char *kind = rnd_pick(r, kinds), *iface = rnd_pick(r, gen_ifaces);

	if (gen_is_binat(x))
		return;
	if (rnd_percent(r, 40))
		widen(x);
	if (!h->af)
		h->af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (!h->dir)
		h->dir = rnd_percent(r, 50) ? PF_RULE_IN : PF_RULE_OUT;
	x->part[GEN_DIR] = h->dir == PF_RULE_IN ? "in" : "out";
	x->part[GEN_ROUTE] =
		gen_keep(g, h->af == PF_FAMILY_INET ? "%s 10.9.0.%u@%s" : "%s 2001:db8:9::%u@%s",
			 kind, 1 + rnd_below(r, 2), iface);
}
