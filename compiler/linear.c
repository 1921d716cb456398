// SPDX-License-Identifier: BSD-2-Clause
/*
 * Emitter A: straight bytecode in pf's own order, with skip steps.
 *
 * Registers: r6 the packet (scratch map value), r7 this CPU's evaluation
 * counters, r8 the context.  Fields are read from the map value just before
 * each compare: kept in registers, every compare would tell the verifier
 * something about them, and it would follow each combination (35 times the work
 * at 100 rules, refusal at 1000).  The last matching rule is kept in the packet
 * for the same reason.
 *
 * A packet that leaves a rule in the middle has met the criteria before: where
 * the next rule begins with the same ones, the jump goes behind them.  So a rule
 * can be entered at any of its criteria, and what nothing enters is not written.
 *
 * Evaluations are not counted one by one: a jump that leaves rules out counts,
 * and pf_compiled_evaluations() works back from these.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "code.h"
#include "linear.h"

/* What the verifier and 16-bit jumps leave us; see pf.conf(5), LIMITS. */
#define MAX_RULES    512
#define MAX_BRANCHES 8000
#define MAX_EVALS    4096  /* a per-CPU value is at most 32 KB */
#define MAX_INSNS    32000 /* a jump reaches 32767, ... */
#define CALL_GROWTH  12 /* ... and the kernel writes map look-ups out, as up to 11 instructions */

#define R_PKT	     BPF_REG_6
#define R_EVALS	     BPF_REG_7
#define R_CTX	     BPF_REG_8

#define PKT(field)   offsetof(struct pf_pkt, field)

#define VERDICT_DROP 2

/* A jump that waits for its target: a rule, entered at one of its criteria. */
struct pending {
	size_t insn;
	uint32_t to;
	uint32_t entry;
};

#define MAX_PENDING 48

struct linear {
	const struct pf_ruleset *rs;
	const struct pf_compile_env *env;
	struct pf_compiled *out;
	struct pf_compile_error *err;
	struct pf_code code;
	struct pending *jumps; /* to rules, or to the end (nrules) */
	size_t njumps, jumps_capacity;
	struct pending pending[MAX_PENDING]; /* of the rule at hand */
	size_t npending;
	uint32_t nr, met; /* the rule at hand, and how many of its criteria are met here */
	size_t edges_capacity;
	size_t ifmask_words;
	bool far;    /* a jump did not fit */
	bool tables; /* are looked up */
};

/* --- jumps --- */

static void jump_to(struct linear *l, size_t insn, uint32_t rule, uint32_t entry)
{
	if (l->njumps == l->jumps_capacity) {
		size_t want = l->jumps_capacity ? l->jumps_capacity * 2 : 256;
		struct pending *p = reallocarray(l->jumps, want, sizeof(*p));

		if (!p) {
			l->code.failed = true;
			return;
		}
		l->jumps = p;
		l->jumps_capacity = want;
	}
	l->jumps[l->njumps++] = (struct pending){.insn = insn, .to = rule, .entry = entry};
	if (rule < pf_filter(l->rs)->n)
		l->out->reachable[rule] = true;
}

static uint32_t entry_of(const struct linear *l, uint32_t to);

/* A jump of the rule at hand to where it goes on when it does not match. */
static void miss(struct linear *l, size_t insn, uint32_t to)
{
	l->pending[l->npending++] =
		(struct pending){.insn = insn, .to = to, .entry = entry_of(l, to)};
}

static void land(struct linear *l, size_t from, size_t to)
{
	if (!pf_code_land(&l->code, from, to))
		l->far = true;
}

static void land_here(struct linear *l, size_t from)
{
	land(l, from, l->code.n);
}

/* Counts an edge; the number of its counter. */
static size_t edge(struct linear *l, uint32_t from, uint32_t to)
{
	struct pf_compiled *o = l->out;

	if (o->nedges == l->edges_capacity) {
		size_t want = l->edges_capacity ? l->edges_capacity * 2 : 256;
		struct pf_edge *e = reallocarray(o->edges, want, sizeof(*e));

		if (!e) {
			l->code.failed = true;
			return 0;
		}
		o->edges = e;
		l->edges_capacity = want;
	}
	o->edges[o->nedges] = (struct pf_edge){.from = from, .to = to};
	return ++o->nedges; /* counter 0 is of all packets */
}

static void count_eval(struct pf_code *c, size_t counter)
{
	pf_code_load(c, BPF_DW, BPF_REG_1, R_EVALS, counter * 8);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_1, 1);
	pf_code_store(c, BPF_DW, R_EVALS, counter * 8, BPF_REG_1);
}

/* --- tests --- */

static void test_byte(struct linear *l, size_t field, uint8_t value, uint32_t to)
{
	pf_code_load(&l->code, BPF_B, BPF_REG_1, R_PKT, field);
	miss(l, pf_code_jump32(&l->code, BPF_JNE, BPF_REG_1, value), to);
}

static int iface_bit(struct linear *l, const char *name)
{
	struct pf_compiled *o = l->out;

	for (size_t i = 0; i < o->nifaces; i++)
		if (strcmp(o->ifaces[i], name) == 0)
			return (int)i;
	return -ENOENT;
}

static int test_iface(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	int bit;

	if (!r->ifname)
		return 0;
	bit = iface_bit(l, r->ifname);
	if (bit < 0)
		return bit;
	pf_code_load(&l->code, BPF_W, BPF_REG_1, R_PKT,
		     PKT(ifmask) + (size_t)bit / 32 * sizeof(uint32_t));
	pf_code_alu32_imm(&l->code, BPF_AND, BPF_REG_1, (int32_t)(1U << bit % 32));
	miss(l, pf_code_jump32(&l->code, r->ifnot ? BPF_JNE : BPF_JEQ, BPF_REG_1, 0), to);
	return 0;
}

static int test_dir(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (r->dir)
		test_byte(l, PKT(dir), r->dir, to);
	return 0;
}

static int test_af(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (r->af)
		test_byte(l, PKT(af), r->af, to);
	return 0;
}

static int test_proto(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (r->proto)
		test_byte(l, PKT(proto), r->proto, to);
	return 0;
}

static uint32_t word_of(const struct pf_ip *ip, unsigned int i)
{
	uint32_t w;

	memcpy(&w, ip->b + i * sizeof(w), sizeof(w));
	return w;
}

/* Bits of word i that a prefix covers, as they lie in memory. */
static uint32_t mask_of(unsigned int bits, unsigned int i)
{
	struct pf_ip all;

	memset(&all, 0xff, sizeof(all));
	pf_ip_mask(&all, bits);
	return word_of(&all, i);
}

/* reg = 0 in those bits of word i that agree */
static void load_difference(struct linear *l, int reg, size_t field, const struct pf_rule_host *h,
			    unsigned int i)
{
	uint32_t mask = mask_of(h->bits, i);

	pf_code_load(&l->code, BPF_W, reg, R_PKT, field + i * sizeof(uint32_t));
	pf_code_alu32_imm(&l->code, BPF_XOR, reg, (int32_t)word_of(&h->ip, i));
	if (mask != UINT32_MAX)
		pf_code_alu32_imm(&l->code, BPF_AND, reg, (int32_t)mask);
}

static void test_prefix(struct linear *l, const struct pf_rule_host *h, size_t field, uint32_t to)
{
	unsigned int words = (h->bits + 31U) / 32, i = 0;

	/* the first word tells most addresses apart: a branch of its own */
	if (!h->neg && words > 1) {
		load_difference(l, BPF_REG_1, field, h, 0);
		miss(l, pf_code_jump32(&l->code, BPF_JNE, BPF_REG_1, 0), to);
		i = 1;
	}
	load_difference(l, BPF_REG_1, field, h, i);
	for (i++; i < words; i++) {
		load_difference(l, BPF_REG_2, field, h, i);
		pf_code_alu32(&l->code, BPF_OR, BPF_REG_1, BPF_REG_2);
	}
	miss(l, pf_code_jump32(&l->code, h->neg ? BPF_JEQ : BPF_JNE, BPF_REG_1, 0), to);
}

static int test_table(struct linear *l, const struct pf_rule *r, const struct pf_rule_host *h,
		      size_t key, uint32_t to)
{
	struct pf_code *c = &l->code;
	int slot = l->env->table_slot(l->env->ctx, h->table);

	if (slot < 0) {
		l->err->line = r->line;
		snprintf(l->err->text, sizeof(l->err->text), "table <%s> has no place", h->table);
		return -EINVAL;
	}
	key += offsetof(struct pf_table_key, addr);
	pf_code_alu_imm(c, BPF_MOV, BPF_REG_1, slot);
	pf_code_load(c, BPF_B, BPF_REG_2, R_PKT, PKT(af));
	pf_code_load(c, BPF_DW, BPF_REG_3, R_PKT, key);
	pf_code_load(c, BPF_DW, BPF_REG_4, R_PKT, key + sizeof(uint64_t));
	pf_code_call_function(c);
	l->tables = true;
	miss(l, pf_code_jump32(c, h->neg ? BPF_JNE : BPF_JEQ, BPF_REG_0, 0), to);
	return 0;
}

/* What a test returns when no packet gets past it. */
#define NEVER 1

/* `key` is where the packet's address stands with family and length in front. */
static int test_host(struct linear *l, const struct pf_rule *r, const struct pf_rule_host *h,
		     size_t key, uint32_t to)
{
	switch (h->type) {
	case PF_HOST_ANY:
		if (!h->neg)
			return 0;
		miss(l, pf_code_goto(&l->code), to);
		return NEVER;
	case PF_HOST_PREFIX:
		test_prefix(l, h, key + offsetof(struct pf_table_key, addr), to);
		return 0;
	case PF_HOST_TABLE:
		return test_table(l, r, h, key, to);
	default:
		return -EINVAL;
	}
}

static int test_src(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	return test_host(l, r, &r->src, PKT(src), to);
}

static int test_dst(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	return test_host(l, r, &r->dst, PKT(dst), to);
}

static void test_port(struct linear *l, const struct pf_rule_port *p, size_t field, uint32_t to)
{
	struct pf_code *c = &l->code;
	size_t out;

	if (p->op == PF_PORT_ANY)
		return;
	pf_code_load(c, BPF_H, BPF_REG_1, R_PKT, field);
	switch (p->op) {
	case PF_PORT_ANY:
		break;
	case PF_PORT_EQ:
		miss(l, pf_code_jump32(c, BPF_JNE, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_NE:
		miss(l, pf_code_jump32(c, BPF_JEQ, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_LT:
		miss(l, pf_code_jump32(c, BPF_JGE, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_LE:
		miss(l, pf_code_jump32(c, BPF_JGT, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_GT:
		miss(l, pf_code_jump32(c, BPF_JLE, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_GE:
		miss(l, pf_code_jump32(c, BPF_JLT, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_RANGE:
		miss(l, pf_code_jump32(c, BPF_JLT, BPF_REG_1, p->lo), to);
		miss(l, pf_code_jump32(c, BPF_JGT, BPF_REG_1, p->hi), to);
		break;
	case PF_PORT_INSIDE:
		miss(l, pf_code_jump32(c, BPF_JLE, BPF_REG_1, p->lo), to);
		miss(l, pf_code_jump32(c, BPF_JGE, BPF_REG_1, p->hi), to);
		break;
	case PF_PORT_OUTSIDE:
		out = pf_code_jump32(c, BPF_JLT, BPF_REG_1, p->lo);
		miss(l, pf_code_jump32(c, BPF_JLE, BPF_REG_1, p->hi), to);
		land_here(l, out);
		break;
	}
}

static int test_sport(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	test_port(l, &r->sport, PKT(sport), to);
	return 0;
}

static int test_dport(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	test_port(l, &r->dport, PKT(dport), to);
	return 0;
}

static bool needs_whole(const struct pf_rule *r)
{
	return r->sport.op != PF_PORT_ANY || r->dport.op != PF_PORT_ANY || r->icmp_type ||
	       (r->flagset && r->proto);
}

static void not_later_fragment(struct linear *l, uint32_t to)
{
	pf_code_load(&l->code, BPF_B, BPF_REG_1, R_PKT, PKT(frag));
	miss(l, pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_1, PF_FRAG_LATER), to);
}

/* A fragment that is not the first has no ports, flags or ICMP type to match. */
static int test_whole(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (needs_whole(r))
		not_later_fragment(l, to);
	return 0;
}

static bool same_whole(const struct pf_rule *a, const struct pf_rule *b)
{
	return needs_whole(a) || !needs_whole(b);
}

static int test_tcp_flags(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	struct pf_code *c = &l->code;
	size_t out = 0;

	if (!r->flagset)
		return 0;
	if (!r->proto) { /* a rule for any protocol: flags are TCP's alone */
		pf_code_load(c, BPF_B, BPF_REG_1, R_PKT, PKT(proto));
		out = pf_code_jump32(c, BPF_JNE, BPF_REG_1, 6);
		not_later_fragment(l, to);
	}
	pf_code_load(c, BPF_B, BPF_REG_1, R_PKT, PKT(tcp_flags));
	pf_code_alu32_imm(c, BPF_AND, BPF_REG_1, r->flagset);
	miss(l, pf_code_jump32(c, BPF_JNE, BPF_REG_1, r->flags), to);
	if (!r->proto)
		land_here(l, out);
	return 0;
}

static bool same_tcp_flags(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->flags == b->flags && a->flagset == b->flagset && !a->proto == !b->proto;
}

static int test_icmp(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	bool icmp = r->proto == 1 || r->proto == 58;

	if (r->icmp_type)
		test_byte(l, PKT(icmp_type), (uint8_t)(r->icmp_type - 1), to);
	if (r->icmp_code)
		test_byte(l, PKT(icmp_code), (uint8_t)(r->icmp_code - 1), to);
	if (r->keep_state && (!r->proto || icmp))
		test_byte(l, PKT(keep_never), 0, to);
	return 0;
}

static bool same_icmp(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->icmp_type == b->icmp_type && a->icmp_code == b->icmp_code &&
	       a->keep_state == b->keep_state && a->proto == b->proto;
}

static int test_fragment(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (r->fragment) {
		pf_code_load(&l->code, BPF_B, BPF_REG_1, R_PKT, PKT(frag));
		miss(l, pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_1, PF_FRAG_NONE), to);
	}
	return 0;
}

static bool same_fragment(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->fragment == b->fragment;
}

/*
 * What a rule is tested for, in the order of pf_match_rule() of OpenBSD.
 * test: 0, NEVER or a negative errno.  Those without a skip step of their own
 * lead to the next rule; `same` tells whether who has met a's has met b's.
 */
static const struct criterion {
	int (*test)(struct linear *l, const struct pf_rule *r, uint32_t to);
	enum pf_skip skip; /* PF_SKIP_MAX: none */
	bool (*same)(const struct pf_rule *a, const struct pf_rule *b);
} criteria[] = {
	{test_iface, PF_SKIP_IFP, NULL},       {test_dir, PF_SKIP_DIR, NULL},
	{test_af, PF_SKIP_AF, NULL},	       {test_proto, PF_SKIP_PROTO, NULL},
	{test_src, PF_SKIP_SRC_ADDR, NULL},    {test_dst, PF_SKIP_DST_ADDR, NULL},
	{test_whole, PF_SKIP_MAX, same_whole}, {test_tcp_flags, PF_SKIP_MAX, same_tcp_flags},
	{test_sport, PF_SKIP_SRC_PORT, NULL},  {test_dport, PF_SKIP_DST_PORT, NULL},
	{test_icmp, PF_SKIP_MAX, same_icmp},   {test_fragment, PF_SKIP_MAX, same_fragment},
};
#define CRITERIA (sizeof(criteria) / sizeof(criteria[0]))

/* Where rule `to` can be entered by who has met the first l->met criteria of rule l->nr. */
static uint32_t entry_of(const struct linear *l, uint32_t to)
{
	const struct pf_rule *a = &pf_filter(l->rs)->v[l->nr], *b = &pf_filter(l->rs)->v[to];
	uint32_t n = 0;

	if (to >= pf_filter(l->rs)->n)
		return 0;
	while (n < l->met &&
	       (criteria[n].same ? criteria[n].same(a, b) : pf_skip_agrees(criteria[n].skip, a, b)))
		n++;
	return n;
}

/* Lands the jumps that enter a rule at a criterion: were there any? */
static bool land_entry(struct linear *l, uint32_t rule, uint32_t entry)
{
	size_t kept = 0, had = l->njumps;

	for (size_t i = 0; i < l->njumps; i++) {
		if (l->jumps[i].to == rule && l->jumps[i].entry == entry)
			land_here(l, l->jumps[i].insn);
		else
			l->jumps[kept++] = l->jumps[i];
	}
	l->njumps = kept;
	return kept != had;
}

/*
 * All tests of a rule; `live`: the code before runs into it.  What no packet
 * gets to is left out: unreachable code is an error to the verifier.
 */
static int test_rule(struct linear *l, uint32_t nr, bool live)
{
	const struct pf_rule *r = &pf_filter(l->rs)->v[nr];

	for (uint32_t i = 0; i <= CRITERIA; i++) {
		enum pf_skip skip;
		int err;

		l->met = i;
		live |= land_entry(l, nr, i);
		if (i == CRITERIA || !live)
			continue;
		skip = criteria[i].skip;
		err = criteria[i].test(l, r,
				       skip == PF_SKIP_MAX ? nr + 1 : l->out->skips[nr].to[skip]);
		if (err)
			return err;
	}
	return 0;
}

/* --- one rule --- */

/* Jumps that leave rules out go by a stub, which counts them. */
static void put_stubs(struct linear *l, uint32_t nr)
{
	for (size_t i = 0; i < l->npending; i++) {
		uint32_t to = l->pending[i].to, entry = l->pending[i].entry;
		size_t stub = l->code.n;

		if (to == nr + 1) {
			jump_to(l, l->pending[i].insn, to, entry);
			continue;
		}
		if (to == UINT32_MAX) /* done with another one */
			continue;
		for (size_t j = i; j < l->npending; j++) {
			if (l->pending[j].to != to)
				continue;
			land(l, l->pending[j].insn, stub);
			l->pending[j].to = UINT32_MAX;
			if (l->pending[j].entry < entry)
				entry = l->pending[j].entry;
		}
		count_eval(&l->code, edge(l, nr, to));
		jump_to(l, pf_code_goto(&l->code), to, entry);
	}
}

static bool needs_stubs(const struct linear *l, uint32_t nr)
{
	for (size_t i = 0; i < l->npending; i++)
		if (l->pending[i].to != nr + 1)
			return true;
	return false;
}

/* *runs_on: the code before runs into this rule, and then into the next. */
static int put_rule(struct linear *l, uint32_t nr, bool *runs_on)
{
	const struct pf_rule *r = &pf_filter(l->rs)->v[nr];
	uint32_t entry;
	int err;

	l->nr = nr;
	l->npending = 0;
	if (!l->out->reachable[nr])
		return 0;
	err = test_rule(l, nr, *runs_on);
	*runs_on = false;
	if (err < 0)
		return err;
	if (err == NEVER) {
		put_stubs(l, nr);
		return 0;
	}
	pf_code_store_imm(&l->code, BPF_W, R_PKT, (int)PKT(rule_index), (int32_t)nr);
	entry = entry_of(l, nr + 1);
	if (r->quick) {
		count_eval(&l->code, edge(l, nr, (uint32_t)pf_filter(l->rs)->n));
		jump_to(l, pf_code_goto(&l->code), (uint32_t)pf_filter(l->rs)->n, 0);
	} else if (entry || needs_stubs(l, nr)) {
		jump_to(l, pf_code_goto(&l->code), nr + 1, entry);
	} else {
		*runs_on = true;
		if (nr + 1 < pf_filter(l->rs)->n)
			l->out->reachable[nr + 1] = true;
	}
	put_stubs(l, nr);
	return 0;
}

/* --- around the rules --- */

/* key on the stack at -4 already: r0 = the value, or a drop */
static void lookup_or_drop(struct linear *l, enum pf_code_map map)
{
	struct pf_code *c = &l->code;
	size_t ok;

	pf_code_alu(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_2, -4);
	pf_code_map(c, BPF_REG_1, map);
	pf_code_call(c, BPF_FUNC_map_lookup_elem);
	ok = pf_code_jump(c, BPF_JNE, BPF_REG_0, 0);
	pf_code_alu_imm(c, BPF_MOV, BPF_REG_0, VERDICT_DROP);
	pf_code_exit(c);
	land_here(l, ok);
}

/* The mask of the packet's interface into the packet; nothing if no rule names one. */
static void put_ifmask(struct linear *l)
{
	struct pf_code *c = &l->code;
	size_t far, near, none;

	if (!l->ifmask_words)
		return;
	pf_code_load(c, BPF_W, BPF_REG_1, R_PKT, PKT(ifindex));
	pf_code_store(c, BPF_W, BPF_REG_10, (size_t)-4, BPF_REG_1);
	pf_code_alu(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_2, -4);
	far = pf_code_jump32(c, BPF_JGE, BPF_REG_1, PF_IFACE_DIRECT);
	pf_code_map(c, BPF_REG_1, PF_CODE_IFACES);
	pf_code_call(c, BPF_FUNC_map_lookup_elem);
	near = pf_code_goto(c);
	land_here(l, far);
	pf_code_map(c, BPF_REG_1, PF_CODE_IFACES_FAR);
	pf_code_call(c, BPF_FUNC_map_lookup_elem);
	land_here(l, near);
	for (size_t i = 0; i < l->ifmask_words; i++)
		pf_code_store_imm(c, BPF_W, R_PKT, (int)(PKT(ifmask) + i * 4), 0);
	none = pf_code_jump(c, BPF_JEQ, BPF_REG_0, 0);
	for (size_t i = 0; i < l->ifmask_words; i++) {
		pf_code_load(c, BPF_W, BPF_REG_1, BPF_REG_0, i * 4);
		pf_code_store(c, BPF_W, R_PKT, PKT(ifmask) + i * 4, BPF_REG_1);
	}
	land_here(l, none);
}

static void put_prologue(struct linear *l)
{
	struct pf_code *c = &l->code;

	pf_code_alu(c, BPF_MOV, R_CTX, BPF_REG_1);
	pf_code_store_imm(c, BPF_W, BPF_REG_10, -4, 0);
	lookup_or_drop(l, PF_CODE_SCRATCH);
	pf_code_alu(c, BPF_MOV, R_PKT, BPF_REG_0);
	lookup_or_drop(l, PF_CODE_EVALS);
	pf_code_alu(c, BPF_MOV, R_EVALS, BPF_REG_0);
	count_eval(c, 0);
	put_ifmask(l);
	pf_code_store_imm(c, BPF_W, R_PKT, (int)PKT(rule_index), (int32_t)pf_filter(l->rs)->n);
}

static void put_epilogue(struct linear *l)
{
	struct pf_code *c = &l->code;
	size_t none;

	land_entry(l, (uint32_t)pf_filter(l->rs)->n, 0);
	pf_code_load(c, BPF_W, BPF_REG_1, R_PKT, PKT(rule_index));
	pf_code_store(c, BPF_W, BPF_REG_10, (size_t)-4, BPF_REG_1);
	lookup_or_drop(l, PF_CODE_INFOS);
	for (size_t i = 0; i < sizeof(struct pf_rule_info); i += 8) {
		pf_code_load(c, BPF_DW, BPF_REG_1, BPF_REG_0, i);
		pf_code_store(c, BPF_DW, R_PKT, PKT(rule) + i, BPF_REG_1);
	}
	pf_code_alu(c, BPF_MOV, BPF_REG_1, R_CTX);
	pf_code_map(c, BPF_REG_2, PF_CODE_JUMP);
	pf_code_alu_imm(c, BPF_MOV, BPF_REG_3, PF_GEN_APPLY);
	pf_code_call(c, BPF_FUNC_tail_call);
	/* nothing there: a drop, counted */
	pf_code_store_imm(c, BPF_W, BPF_REG_10, -4, PF_CNT_UNJUDGED);
	pf_code_alu(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_2, -4);
	pf_code_map(c, BPF_REG_1, PF_CODE_COUNTERS);
	pf_code_call(c, BPF_FUNC_map_lookup_elem);
	none = pf_code_jump(c, BPF_JEQ, BPF_REG_0, 0);
	pf_code_load(c, BPF_DW, BPF_REG_1, BPF_REG_0, 0);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_1, 1);
	pf_code_store(c, BPF_DW, BPF_REG_0, 0, BPF_REG_1);
	land_here(l, none);
	pf_code_alu_imm(c, BPF_MOV, BPF_REG_0, VERDICT_DROP);
	pf_code_exit(c);
}

static int too_big(struct linear *l, const char *what, size_t have, size_t most)
{
	snprintf(l->err->text, sizeof(l->err->text),
		 "the ruleset has %zu %s after expansion; at most %zu fit: %zu too many", have,
		 what, most, have - most);
	return -E2BIG;
}

/* The look-up of tables, from bpf/ranges.bpf.c: see the Makefile. */
static const uint64_t in_table_code[] = {
#include "bpf/ranges.insns.h"
};

static void put_in_table(struct linear *l)
{
	if (!l->tables)
		return;
	l->out->in_table = l->code.n;
	pf_code_function(&l->code, in_table_code, sizeof(in_table_code) / sizeof(in_table_code[0]));
}

static int put_all(struct linear *l)
{
	bool runs_on = true;
	size_t insns;
	int err;

	put_prologue(l);
	if (pf_filter(l->rs)->n)
		l->out->reachable[0] = true;
	for (uint32_t i = 0; i < pf_filter(l->rs)->n; i++) {
		err = put_rule(l, i, &runs_on);
		if (err)
			return err;
	}
	put_epilogue(l);
	if (l->code.failed)
		return -ENOMEM;
	if (l->code.branches > MAX_BRANCHES)
		return too_big(l, "conditions", l->code.branches, MAX_BRANCHES);
	if (l->out->nedges + 1 > MAX_EVALS)
		return too_big(l, "skip steps", l->out->nedges, MAX_EVALS - 1);
	insns = l->code.n + l->code.calls * CALL_GROWTH;
	if (l->far || insns > MAX_INSNS)
		return too_big(l, "instructions", insns, MAX_INSNS);
	/* behind all that jumps have to reach */
	put_in_table(l);
	return l->code.failed ? -ENOMEM : 0;
}

int pf_emit_linear(const struct pf_ruleset *rs, const struct pf_compile_env *env,
		   struct pf_compiled *out, struct pf_compile_error *err)
{
	struct linear l = {.rs = rs, .env = env, .out = out, .err = err};
	int r;

	l.ifmask_words = (out->nifaces + 31) / 32;
	if (pf_filter(rs)->n > MAX_RULES)
		return too_big(&l, "rules", pf_filter(rs)->n, MAX_RULES);
	r = put_all(&l);
	free(l.jumps);
	if (r) {
		pf_code_free(&l.code);
		return r;
	}
	out->emitter = PF_EMITTER_LINEAR;
	out->insns = l.code.insns;
	out->ninsns = l.code.n;
	out->relocs = l.code.relocs;
	out->nrelocs = l.code.nrelocs;
	return 0;
}
