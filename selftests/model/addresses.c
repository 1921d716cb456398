// SPDX-License-Identifier: BSD-2-Clause
/* Addresses and tables by chance: those of a ruleset are near each other. */
#include <stdlib.h>
#include <string.h>

#include "gen.h"

/* --- addresses --- */

struct pf_ip gen_fresh_ip(struct rnd *r, uint8_t af)
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

void gen_step_ip(struct pf_ip *ip, uint8_t af, int by)
{
	int n = af == PF_FAMILY_INET ? 4 : 16;

	for (int i = n - 1; i >= 0; i--) {
		int v = ip->b[i] + by;

		ip->b[i] = (uint8_t)v;
		if (v >= 0 && v <= 255)
			break;
	}
}

bool gen_plain_ip(const struct pf_ip *ip, uint8_t af)
{
	if (af == PF_FAMILY_INET)
		return ip->b[0] && ip->b[0] < 224;
	return ip->b[0] == 0x20;
}

static void pool_add(struct rnd *r, struct gen_ruleset *g, uint8_t af, const struct pf_ip *ip)
{
	struct pf_ip *pool = af == PF_FAMILY_INET ? g->ip4 : g->ip6;
	size_t *n = af == PF_FAMILY_INET ? &g->nip4 : &g->nip6;

	if (!gen_plain_ip(ip, af))
		return;
	if (*n < GEN_POOL)
		pool[(*n)++] = *ip;
	else
		pool[rnd_below(r, GEN_POOL)] = *ip;
}

struct pf_ip gen_pool_ip(struct rnd *r, const struct gen_ruleset *g, uint8_t af)
{
	const struct pf_ip *pool = af == PF_FAMILY_INET ? g->ip4 : g->ip6;
	size_t n = af == PF_FAMILY_INET ? g->nip4 : g->nip6;

	return n && rnd_percent(r, 85) ? pool[rnd_below(r, (uint32_t)n)] : gen_fresh_ip(r, af);
}

uint8_t gen_prefix_bits(struct rnd *r, uint8_t af)
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

	gen_step_ip(&below, af, -1);
	gen_step_ip(&above, af, 1);
	pool_add(r, g, af, &end[0]);
	pool_add(r, g, af, &end[1]);
	pool_add(r, g, af, &below);
	pool_add(r, g, af, &above);
}

const char *gen_prefix(struct rnd *r, struct gen_ruleset *g, uint8_t af, struct pf_ip end[2])
{
	uint8_t bits = gen_prefix_bits(r, af);
	struct pf_ip ip = gen_pool_ip(r, g, af);
	char text[PF_IP_STRLEN];

	pf_ip_mask(&ip, bits);
	end[0] = end[1] = ip;
	last_of(&end[1], af, bits);
	note_ends(r, g, af, end);
	pf_ip_format((enum pf_family)af, &ip, 128, text, sizeof(text));
	return gen_keep(g, "%s/%u", text, bits);
}

const char *gen_range(struct rnd *r, struct gen_ruleset *g, uint8_t af, struct pf_ip end[2])
{
	char lo[PF_IP_STRLEN], hi[PF_IP_STRLEN];

	end[0] = gen_pool_ip(r, g, af);
	end[1] = rnd_percent(r, 50) ? gen_pool_ip(r, g, af) : end[0];
	if (rnd_percent(r, 50))
		for (uint32_t n = rnd_below(r, 300); n; n--)
			gen_step_ip(&end[1], af, 1);
	if (memcmp(end[0].b, end[1].b, sizeof(end[0].b)) > 0) {
		struct pf_ip t = end[0];

		end[0] = end[1];
		end[1] = t;
	}
	/* equal ends are no range to the parser */
	if (pf_ip_equal(&end[0], &end[1]))
		gen_step_ip(&end[1], af, 1);
	note_ends(r, g, af, end);
	pf_ip_format((enum pf_family)af, &end[0], 128, lo, sizeof(lo));
	pf_ip_format((enum pf_family)af, &end[1], 128, hi, sizeof(hi));
	return gen_keep(g, "%s - %s", lo, hi);
}

/* Not of loopback: nothing can be sent there from elsewhere. */
const char *gen_target(struct rnd *r, struct gen_ruleset *g, uint8_t af, bool prefix,
		       struct pf_ip *ip)
{
	static const uint8_t bits4[] = {8, 16, 24, 28, 30, 31, 32};
	static const uint8_t bits6[] = {32, 64, 96, 112, 120, 126, 127, 128};
	uint8_t bits = af == PF_FAMILY_INET ? rnd_pick(r, bits4) : rnd_pick(r, bits6);
	char text[PF_IP_STRLEN];
	struct pf_ip end[2];

	*ip = gen_pool_ip(r, g, af);
	if (af == PF_FAMILY_INET && ip->b[0] == 127)
		ip->b[0] = 10;
	if (prefix)
		pf_ip_mask(ip, bits);
	end[0] = end[1] = *ip;
	if (prefix)
		last_of(&end[1], af, bits);
	for (int i = 0; i < 4; i++)
		pool_add(r, g, af, &end[rnd_below(r, 2)]);
	pf_ip_format((enum pf_family)af, ip, 128, text, sizeof(text));
	return prefix ? gen_keep(g, "%s/%u", text, bits) : gen_keep(g, "%s", text);
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

void gen_table(struct rnd *r, struct gen_ruleset *g, struct gen_table *t)
{
	uint32_t n = rnd_below(r, rnd_percent(r, 97) ? 13 : 2000);

	t->persist = rnd_percent(r, 10);
	t->entry = pf_arena_alloc(&g->arena, (n + 1) * sizeof(*t->entry));
	if (!t->entry)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		uint8_t af = rnd_percent(r, 60) ? PF_FAMILY_INET : PF_FAMILY_INET6;
		struct gen_entry e = {.af = af, .bits = gen_prefix_bits(r, af)};
		struct pf_ip end[2];

		e.neg = rnd_percent(r, 35);
		e.ip = gen_pool_ip(r, g, af);
		pf_ip_mask(&e.ip, e.bits);
		if (table_has(t, af, e.bits, &e.ip))
			continue;
		end[0] = end[1] = e.ip;
		last_of(&end[1], af, e.bits);
		note_ends(r, g, af, end);
		t->entry[t->n++] = e;
	}
}

void gen_print_table(FILE *f, const struct gen_table *t)
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
