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

#include "linear.h"
#include "linear_int.h"

/* What the verifier and 16-bit jumps leave us; see pf.conf(5), LIMITS. */
#define MAX_RULES    512
#define MAX_STEPS    1024 /* with those of anchors, each time they are called */
#define MAX_BRANCHES 8000
#define MAX_EVALS    4096  /* a per-CPU value is at most 32 KB */
#define MAX_INSNS    32000 /* a jump reaches 32767, ... */
#define CALL_GROWTH  12 /* ... and the kernel writes map look-ups out, as up to 11 instructions */

#define VERDICT_DROP 2

/* --- jumps --- */

static void jump_to(struct linear *l, size_t insn, uint32_t step, uint32_t entry)
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
	l->jumps[l->njumps++] = (struct pending){.insn = insn, .to = step, .entry = entry};
	if (step < l->steps.n)
		l->reachable[step] = true;
}

static uint32_t entry_of(const struct linear *l, uint32_t to);

void pf_linear_miss(struct linear *l, size_t insn, uint32_t to)
{
	l->pending[l->npending++] =
		(struct pending){.insn = insn, .to = to, .entry = entry_of(l, to)};
}

static void land(struct linear *l, size_t from, size_t to)
{
	if (!pf_code_land(&l->code, from, to))
		l->far = true;
}

void pf_linear_land_here(struct linear *l, size_t from)
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

/* Rules that agree in their addresses: one name means two tables, maybe, in two rulesets. */
static bool same_table(const struct linear *l, const struct pf_step *a, const struct pf_step *b,
		       enum pf_skip what)
{
	const struct pf_rule_host *h = what == PF_SKIP_SRC_ADDR ? &a->r->src : &a->r->dst;
	const uint32_t set = l->policy->set_of[a->rule], other = l->policy->set_of[b->rule];

	if (set == other || h->type != PF_HOST_TABLE)
		return true;
	return l->env->table_slot(l->env->ctx, set, h->table) ==
	       l->env->table_slot(l->env->ctx, other, h->table);
}

/* Has who has met that criterion of the one step met it of the other? */
static bool also_met(const struct linear *l, uint32_t criterion, const struct pf_step *a,
		     const struct pf_step *b)
{
	const struct pf_criterion *c = &pf_criteria[criterion];

	if (c->same)
		return c->same(a->r, b->r);
	if (!pf_skip_agrees(c->skip, a->r, b->r))
		return false;
	return (c->skip != PF_SKIP_SRC_ADDR && c->skip != PF_SKIP_DST_ADDR) ||
	       same_table(l, a, b, c->skip);
}

/* Where step `to` can be entered by who has met the first l->met criteria of step l->nr. */
static uint32_t entry_of(const struct linear *l, uint32_t to)
{
	const struct pf_step *a = &l->steps.v[l->nr], *b = &l->steps.v[to];
	uint32_t n = 0;

	/* whether it has expired is asked first */
	if (to >= l->steps.n || !a->r || !b->r || pf_rule_ext_of(b->r)->once)
		return 0;
	while (n < l->met && also_met(l, n, a, b))
		n++;
	return n;
}

/* Lands the jumps that enter a step at a criterion: were there any? */
static bool land_entry(struct linear *l, uint32_t step, uint32_t entry)
{
	size_t kept = 0, had = l->njumps;

	for (size_t i = 0; i < l->njumps; i++) {
		if (l->jumps[i].to == step && l->jumps[i].entry == entry)
			pf_linear_land_here(l, l->jumps[i].insn);
		else
			l->jumps[kept++] = l->jumps[i];
	}
	l->njumps = kept;
	return kept != had;
}

void pf_linear_meter(struct linear *l, uint32_t ask)
{
	pf_code_alu_imm(&l->code, BPF_MOV, BPF_REG_1, (int32_t)l->out->infos[l->nr].id);
	pf_code_alu_imm(&l->code, BPF_MOV, BPF_REG_2, (int32_t)ask);
	pf_code_call_function(&l->code, PF_CODE_METER);
	l->meters = true;
}

/* A rule that has expired is passed by, as if the one before it led to the next. */
static void put_expired(struct linear *l, uint32_t nr)
{
	size_t open;

	if (!pf_rule_ext_of(l->steps.v[nr].r)->once)
		return;
	pf_linear_meter(l, PF_METER_OPEN);
	open = pf_code_jump32(&l->code, BPF_JNE, BPF_REG_0, 0);
	count_eval(&l->code, edge(l, nr - 1, nr + 1));
	pf_linear_miss(l, pf_code_goto(&l->code), nr + 1);
	pf_linear_land_here(l, open);
}

/*
 * All tests of a rule; `live`: the code before runs into it.  What no packet
 * gets to is left out: unreachable code is an error to the verifier.
 */
static int test_rule(struct linear *l, uint32_t nr, bool live)
{
	const struct pf_step *s = &l->steps.v[nr];

	for (uint32_t i = 0; i <= PF_CRITERIA; i++) {
		enum pf_skip skip;
		int err;

		l->met = i;
		live |= land_entry(l, nr, i);
		if (i == 0 && live)
			put_expired(l, nr);
		if (i == PF_CRITERIA || !live)
			continue;
		skip = pf_criteria[i].skip;
		err = pf_criteria[i].test(l, s->r,
					  skip == PF_SKIP_MAX ? s->next : s->skip.to[skip]);
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

/* The walk is over: to what stands behind all rules. */
void pf_linear_finish(struct linear *l)
{
	count_eval(&l->code, edge(l, l->nr, l->steps.n));
	jump_to(l, pf_code_goto(&l->code), l->steps.n, 0);
}

/* Into the list of `match` rules; a packet that has too many fails. */
static void put_match(struct linear *l, uint32_t nr)
{
	const struct pf_step *s = &l->steps.v[nr];
	const struct pf_rule_info *info = &l->out->infos[nr];
	const struct {
		size_t at;
		uint32_t value;
	} words[] = {
		{offsetof(struct pf_matched, id), info->id},
		{offsetof(struct pf_matched, nr), info->nr},
		{offsetof(struct pf_matched, anchor_nr), info->anchor_nr},
		{offsetof(struct pf_matched, flags), s->r->log ? PF_RULE_LOG : 0},
	};
	struct pf_code *c = &l->code;
	size_t room;

	pf_code_load(c, BPF_W, BPF_REG_1, R_PKT, PKT(nmatched));
	room = pf_code_jump32(c, BPF_JLT, BPF_REG_1, PF_MATCH_MOST);
	pf_code_store_imm(c, BPF_W, R_PKT, (int)PKT(rule_index), (int32_t)l->steps.n + 1);
	pf_linear_finish(l);
	pf_linear_land_here(l, room);
	pf_code_alu(c, BPF_MOV, BPF_REG_2, BPF_REG_1);
	pf_code_alu_imm(c, BPF_MUL, BPF_REG_2, sizeof(struct pf_matched));
	pf_code_alu(c, BPF_ADD, BPF_REG_2, R_PKT);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		pf_code_store_imm(c, BPF_W, BPF_REG_2, (int)(PKT(matched) + words[i].at),
				  (int32_t)words[i].value);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_1, 1);
	pf_code_store(c, BPF_W, R_PKT, PKT(nmatched), BPF_REG_1);
}

/* The translation whose number is in r1: the packet becomes another. */
static void put_translate(struct linear *l)
{
	struct pf_code *c = &l->code;
	size_t done;

	pf_code_call_function(c, PF_CODE_TRANSLATE);
	l->translates = true;
	done = pf_code_jump32(c, BPF_JEQ, BPF_REG_0, 0);
	pf_code_alu_imm(c, BPF_MOV, BPF_REG_0, VERDICT_DROP);
	pf_code_exit(c);
	pf_linear_land_here(l, done);
}

/* What it was asked before counts no more: nothing has been met of the next rule. */
static void put_move(struct linear *l, uint32_t nat)
{
	pf_code_alu_imm(&l->code, BPF_MOV, BPF_REG_1, (int32_t)nat);
	put_translate(l);
	l->met = 0;
}

/* What a rule does that matches. */
static int put_actions(struct linear *l, uint32_t nr)
{
	const struct pf_step *s = &l->steps.v[nr];
	const char *tag = pf_rule_ext_of(s->r)->tag;
	int id = tag ? pf_compile_tag(l->env, tag, s->r, l->err) : 0;

	if (id < 0)
		return id;
	if (tag)
		pf_code_store_imm(&l->code, BPF_H, R_PKT, (int)PKT(tag), id);
	if (pf_rule_ext_of(s->r)->once) {
		pf_linear_meter(l, PF_METER_TAKE);
		pf_linear_miss(l, pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_0, 0), s->next);
	}
	if (s->call)
		return 0;
	if (s->r->action == PF_RULE_ACTION_MATCH) {
		put_match(l, nr);
		if (l->out->infos[nr].nat)
			put_move(l, l->out->infos[nr].nat);
	} else {
		pf_code_store_imm(&l->code, BPF_W, R_PKT, (int)PKT(rule_index), (int32_t)nr);
	}
	return 0;
}

static void run_on(struct linear *l, uint32_t nr, bool *runs_on)
{
	*runs_on = true;
	if (nr + 1 < l->steps.n)
		l->reachable[nr + 1] = true;
}

/* *runs_on: the code before runs into this step, and then into the next. */
static int put_rule(struct linear *l, uint32_t nr, bool *runs_on)
{
	const struct pf_step *s = &l->steps.v[nr];
	uint32_t entry;
	int err = test_rule(l, nr, *runs_on);

	*runs_on = false;
	if (err == PF_LINEAR_NEVER) {
		put_stubs(l, nr);
		return 0;
	}
	if (!err)
		err = put_actions(l, nr);
	if (err)
		return err;
	entry = entry_of(l, nr + 1);
	if (s->r->quick && !s->call)
		pf_linear_finish(l);
	else if (entry || needs_stubs(l, nr))
		jump_to(l, pf_code_goto(&l->code), nr + 1, entry);
	else
		run_on(l, nr, runs_on);
	put_stubs(l, nr);
	return 0;
}

/*
 * The end of an anchor: if its rule is quick, and what has won is in it, the walk
 * is over.  Steps of this call are between the two, and are walked once.
 */
static void put_end(struct linear *l, uint32_t nr, bool *runs_on)
{
	const struct pf_step *s = &l->steps.v[nr], *begin = &l->steps.v[s->begin];
	struct pf_code *c = &l->code;
	size_t before, behind;

	land_entry(l, nr, 0);
	if (begin->r->quick) {
		pf_code_load(c, BPF_W, BPF_REG_1, R_PKT, PKT(rule_index));
		before = pf_code_jump32(c, BPF_JLE, BPF_REG_1, (int32_t)s->begin);
		behind = pf_code_jump32(c, BPF_JGE, BPF_REG_1, (int32_t)nr);
		pf_linear_finish(l);
		pf_linear_land_here(l, before);
		pf_linear_land_here(l, behind);
	}
	run_on(l, nr, runs_on);
}

static int put_step(struct linear *l, uint32_t nr, bool *runs_on)
{
	const struct pf_step *s = &l->steps.v[nr];

	l->nr = nr;
	l->npending = 0;
	if (!l->reachable[nr])
		return 0;
	l->out->reachable[s->rule] = true;
	if (s->r)
		return put_rule(l, nr, runs_on);
	put_end(l, nr, runs_on);
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
	pf_linear_land_here(l, ok);
}

/* The mask of the interface whose number is at `ifindex` to `mask`, both in the packet. */
static void put_ifmask(struct linear *l, size_t ifindex, size_t mask)
{
	struct pf_code *c = &l->code;
	size_t far, near, none;

	pf_code_load(c, BPF_W, BPF_REG_1, R_PKT, ifindex);
	pf_code_store(c, BPF_W, BPF_REG_10, (size_t)-4, BPF_REG_1);
	pf_code_alu(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_2, -4);
	far = pf_code_jump32(c, BPF_JGE, BPF_REG_1, PF_IFACE_DIRECT);
	pf_code_map(c, BPF_REG_1, PF_CODE_IFACES);
	pf_code_call(c, BPF_FUNC_map_lookup_elem);
	near = pf_code_goto(c);
	pf_linear_land_here(l, far);
	pf_code_map(c, BPF_REG_1, PF_CODE_IFACES_FAR);
	pf_code_call(c, BPF_FUNC_map_lookup_elem);
	pf_linear_land_here(l, near);
	for (size_t i = 0; i < l->ifmask_words; i++)
		pf_code_store_imm(c, BPF_W, R_PKT, (int)(mask + i * 4), 0);
	none = pf_code_jump(c, BPF_JEQ, BPF_REG_0, 0);
	for (size_t i = 0; i < l->ifmask_words; i++) {
		pf_code_load(c, BPF_W, BPF_REG_1, BPF_REG_0, i * 4);
		pf_code_store(c, BPF_W, R_PKT, mask + i * 4, BPF_REG_1);
	}
	pf_linear_land_here(l, none);
}

/* What the packet's numbers begin with: the kernel's, or the tests'. */
static void put_seed(struct linear *l)
{
	struct pf_code *c = &l->code;
	size_t given;

	pf_code_store_imm(c, BPF_W, BPF_REG_10, -4, 0);
	lookup_or_drop(l, PF_CODE_CONFIG);
	pf_code_load(c, BPF_W, BPF_REG_0, BPF_REG_0, offsetof(struct pf_config, random_seed));
	given = pf_code_jump32(c, BPF_JNE, BPF_REG_0, 0);
	pf_code_call(c, BPF_FUNC_get_prandom_u32);
	pf_linear_land_here(l, given);
	pf_code_store(c, BPF_W, R_PKT, PKT(seed), BPF_REG_0);
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
	if (l->ifmask_words)
		put_ifmask(l, PKT(ifindex), PKT(ifmask));
	if (l->out->received)
		put_ifmask(l, PKT(rcv_ifindex), PKT(rcvmask));
	if (l->out->random)
		put_seed(l);
	pf_code_store_imm(c, BPF_W, R_PKT, (int)PKT(rule_index), (int32_t)l->steps.n);
}

static void put_epilogue(struct linear *l)
{
	struct pf_code *c = &l->code;
	size_t none, plain, blocked = 0;

	land_entry(l, l->steps.n, 0);
	pf_code_load(c, BPF_W, BPF_REG_1, R_PKT, PKT(rule_index));
	pf_code_store(c, BPF_W, BPF_REG_10, (size_t)-4, BPF_REG_1);
	lookup_or_drop(l, PF_CODE_INFOS);
	for (size_t i = 0; i < sizeof(struct pf_rule_info); i += 8) {
		pf_code_load(c, BPF_DW, BPF_REG_1, BPF_REG_0, i);
		pf_code_store(c, BPF_DW, R_PKT, PKT(rule) + i, BPF_REG_1);
	}
	if (l->out->nnats) {
		pf_code_load(c, BPF_W, BPF_REG_1, R_PKT,
			     PKT(rule) + offsetof(struct pf_rule_info, nat));
		plain = pf_code_jump32(c, BPF_JEQ, BPF_REG_1, 0);
		/* what a limiter blocks stays as it is */
		if (l->limited) {
			pf_code_load(c, BPF_B, BPF_REG_2, R_PKT, PKT(limited));
			blocked = pf_code_jump32(c, BPF_JNE, BPF_REG_2, 0);
		}
		put_translate(l);
		pf_linear_land_here(l, plain);
		if (l->limited)
			pf_linear_land_here(l, blocked);
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
	pf_linear_land_here(l, none);
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

/* Functions, from bpf/ranges.bpf.c and so on: see the Makefile. */
static const uint64_t in_table_code[] = {
#include "bpf/ranges.insns.h"
};

static const uint64_t translate_code[] = {
#include "bpf/translate.insns.h"
};

static const uint64_t limits_code[] = {
#include "bpf/limits.insns.h"
};

static const uint64_t meter_code[] = {
#include "bpf/meter.insns.h"
};

static void put_functions(struct linear *l)
{
	if (l->tables) {
		l->out->in_table = l->code.n;
		pf_code_function(&l->code, PF_CODE_IN_TABLE, in_table_code,
				 sizeof(in_table_code) / sizeof(in_table_code[0]));
	}
	if (l->translates) {
		l->out->translate = l->code.n;
		pf_code_function(&l->code, PF_CODE_TRANSLATE, translate_code,
				 sizeof(translate_code) / sizeof(translate_code[0]));
	}
	if (l->limited) {
		l->out->ask_limits = l->code.n;
		pf_code_function(&l->code, PF_CODE_ASK_LIMITS, limits_code,
				 sizeof(limits_code) / sizeof(limits_code[0]));
	}
	if (l->meters) {
		l->out->meter = l->code.n;
		pf_code_function(&l->code, PF_CODE_METER, meter_code,
				 sizeof(meter_code) / sizeof(meter_code[0]));
	}
}

static int put_all(struct linear *l)
{
	bool runs_on = true;
	size_t insns;
	int err;

	put_prologue(l);
	if (l->steps.n)
		l->reachable[0] = true;
	for (uint32_t i = 0; i < l->steps.n; i++) {
		err = put_step(l, i, &runs_on);
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
	put_functions(l);
	return l->code.failed ? -ENOMEM : 0;
}

/* The information of each step, and which rule it is of. */
static int fill_steps(struct linear *l)
{
	struct pf_compiled *o = l->out;
	uint32_t n = l->steps.n;

	l->reachable = calloc((size_t)n + 1, sizeof(*l->reachable));
	o->step_rules = calloc((size_t)n + 1, sizeof(*o->step_rules));
	if (!l->reachable || !o->step_rules || pf_infos_new(o, n))
		return -ENOMEM;
	o->nsteps = n;
	for (uint32_t i = 0; i < n; i++) {
		const struct pf_step *s = &l->steps.v[i];

		o->step_rules[i] = s->r ? s->rule : PF_POLICY_NONE;
		o->infos[i] = pf_rule_info_of(l->policy, l->env, o, s->rule);
		if (s->anchor == PF_STEP_NONE)
			continue;
		/* an anchor's steps come before those in it */
		o->infos[i].anchor = o->infos[s->anchor].id;
		o->infos[i].anchor_nr = o->infos[s->anchor].nr;
	}
	return 0;
}

/* What a failed attempt leaves would be taken for emitter B's. */
static void give_up(struct linear *l)
{
	struct pf_compiled *o = l->out;

	pf_code_free(&l->code);
	free(o->step_rules);
	free(o->infos);
	free(o->edges);
	o->step_rules = NULL;
	o->infos = NULL;
	o->edges = NULL;
	o->nsteps = o->ninfos = o->nedges = 0;
	memset(o->reachable, 0, o->nrules * sizeof(*o->reachable));
}

int pf_emit_linear(const struct pf_policy *p, const struct pf_compile_env *env,
		   struct pf_compiled *out, struct pf_compile_error *err)
{
	struct linear l = {.policy = p, .env = env, .out = out, .err = err};
	int r;

	l.ifmask_words = (out->nifaces + 31) / 32;
	if (p->nrules > MAX_RULES)
		return too_big(&l, "rules", p->nrules, MAX_RULES);
	r = pf_steps_make(p, MAX_STEPS, &l.steps);
	if (r == -E2BIG)
		snprintf(err->text, sizeof(err->text),
			 "the anchors call each other too often: more than %d rules to look at",
			 MAX_STEPS);
	if (!r)
		r = fill_steps(&l);
	if (!r)
		r = put_all(&l);
	free(l.jumps);
	free(l.reachable);
	pf_steps_free(&l.steps);
	if (r) {
		give_up(&l);
		return r;
	}
	out->emitter = PF_EMITTER_LINEAR;
	out->insns = l.code.insns;
	out->ninsns = l.code.n;
	out->relocs = l.code.relocs;
	out->nrelocs = l.code.nrelocs;
	return 0;
}
