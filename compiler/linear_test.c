// SPDX-License-Identifier: BSD-2-Clause
/* Emitter A: what one rule asks of a packet, criterion by criterion. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "linear_int.h"

static void test_byte(struct linear *l, size_t field, uint8_t value, uint32_t to)
{
	pf_code_load(&l->code, BPF_B, BPF_REG_1, R_PKT, field);
	pf_linear_miss(l, pf_code_jump32(&l->code, BPF_JNE, BPF_REG_1, value), to);
}

static void test_mask(struct linear *l, size_t mask, int bit, bool not, uint32_t to)
{
	pf_code_load(&l->code, BPF_W, BPF_REG_1, R_PKT, mask + (size_t)bit / 32 * sizeof(uint32_t));
	pf_code_alu32_imm(&l->code, BPF_AND, BPF_REG_1, (int32_t)(1U << bit % 32));
	pf_linear_miss(l, pf_code_jump32(&l->code, not ? BPF_JNE : BPF_JEQ, BPF_REG_1, 0), to);
}

static int test_iface(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	int bit;

	if (!r->ifname)
		return 0;
	bit = pf_iface_bit(l->out, r->ifname);
	if (bit < 0)
		return bit;
	test_mask(l, PKT(ifmask), bit, r->ifnot, to);
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
		pf_linear_miss(l, pf_code_jump32(&l->code, BPF_JNE, BPF_REG_1, 0), to);
		i = 1;
	}
	load_difference(l, BPF_REG_1, field, h, i);
	for (i++; i < words; i++) {
		load_difference(l, BPF_REG_2, field, h, i);
		pf_code_alu32(&l->code, BPF_OR, BPF_REG_1, BPF_REG_2);
	}
	pf_linear_miss(l, pf_code_jump32(&l->code, h->neg ? BPF_JEQ : BPF_JNE, BPF_REG_1, 0), to);
}

static uint32_t host_order(const struct pf_ip *ip, unsigned int i)
{
	return ntohl(word_of(ip, i));
}

/* The address's words against a bound's: jumps to *less and *more, runs on if they agree. */
static void compare_words(struct linear *l, const struct pf_rule_host *h, const struct pf_ip *bound,
			  size_t field, size_t *less, size_t *more)
{
	unsigned int words = h->af == PF_FAMILY_INET ? 1 : 4;

	for (unsigned int i = 0; i < words; i++) {
		int32_t w = (int32_t)host_order(bound, i);

		pf_code_load(&l->code, BPF_W, BPF_REG_1, R_PKT, field + i * sizeof(uint32_t));
		pf_code_host_order32(&l->code, BPF_REG_1);
		less[i] = pf_code_jump32(&l->code, BPF_JLT, BPF_REG_1, w);
		more[i] = pf_code_jump32(&l->code, BPF_JGT, BPF_REG_1, w);
	}
}

static void test_range(struct linear *l, const struct pf_rule_host *h, size_t field, uint32_t to)
{
	unsigned int words = h->af == PF_FAMILY_INET ? 1 : 4;
	size_t below[4], above_lo[4], below_hi[4], above[4], out;

	compare_words(l, h, &h->ip, field, below, above_lo);
	for (unsigned int i = 0; i < words; i++)
		pf_linear_land_here(l, above_lo[i]);
	compare_words(l, h, h->hi, field, below_hi, above);
	for (unsigned int i = 0; i < words; i++)
		pf_linear_land_here(l, below_hi[i]);
	/* in the range */
	if (h->neg) {
		out = pf_code_goto(&l->code);
		pf_linear_miss(l, out, to);
	}
	for (unsigned int i = 0; i < words; i++) {
		if (h->neg) {
			pf_linear_land_here(l, below[i]);
			pf_linear_land_here(l, above[i]);
		} else {
			pf_linear_miss(l, below[i], to);
			pf_linear_miss(l, above[i], to);
		}
	}
}

static int test_table(struct linear *l, const struct pf_rule *r, const struct pf_rule_host *h,
		      size_t key, uint32_t to)
{
	struct pf_code *c = &l->code;
	uint32_t set = l->policy->set_of[l->steps.v[l->nr].rule];
	int slot = l->env->table_slot(l->env->ctx, set, h->table);

	if (slot < 0) {
		l->err->line = r->line;
		snprintf(l->err->text, sizeof(l->err->text), "table <%s> has no place", h->table);
		return -EINVAL;
	}
	pf_code_alu_imm(c, BPF_MOV, BPF_REG_1, slot);
	pf_code_load(c, BPF_B, BPF_REG_2, R_PKT, PKT(af));
	pf_code_load(c, BPF_DW, BPF_REG_3, R_PKT, key);
	pf_code_load(c, BPF_DW, BPF_REG_4, R_PKT, key + sizeof(uint64_t));
	pf_code_call_function(c, PF_CODE_IN_TABLE);
	l->tables = true;
	pf_linear_miss(l, pf_code_jump32(c, h->neg ? BPF_JNE : BPF_JEQ, BPF_REG_0, 0), to);
	return 0;
}

/* `key` is where the packet's address stands. */
static int test_host(struct linear *l, const struct pf_rule *r, const struct pf_rule_host *h,
		     size_t key, uint32_t to)
{
	switch (h->type) {
	case PF_HOST_ANY:
		if (!h->neg)
			return 0;
		pf_linear_miss(l, pf_code_goto(&l->code), to);
		return PF_LINEAR_NEVER;
	case PF_HOST_PREFIX:
		test_prefix(l, h, key, to);
		return 0;
	case PF_HOST_RANGE:
		test_range(l, h, key, to);
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
		pf_linear_miss(l, pf_code_jump32(c, BPF_JNE, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_NE:
		pf_linear_miss(l, pf_code_jump32(c, BPF_JEQ, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_LT:
		pf_linear_miss(l, pf_code_jump32(c, BPF_JGE, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_LE:
		pf_linear_miss(l, pf_code_jump32(c, BPF_JGT, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_GT:
		pf_linear_miss(l, pf_code_jump32(c, BPF_JLE, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_GE:
		pf_linear_miss(l, pf_code_jump32(c, BPF_JLT, BPF_REG_1, p->lo), to);
		break;
	case PF_PORT_RANGE:
		pf_linear_miss(l, pf_code_jump32(c, BPF_JLT, BPF_REG_1, p->lo), to);
		pf_linear_miss(l, pf_code_jump32(c, BPF_JGT, BPF_REG_1, p->hi), to);
		break;
	case PF_PORT_INSIDE:
		pf_linear_miss(l, pf_code_jump32(c, BPF_JLE, BPF_REG_1, p->lo), to);
		pf_linear_miss(l, pf_code_jump32(c, BPF_JGE, BPF_REG_1, p->hi), to);
		break;
	case PF_PORT_OUTSIDE:
		out = pf_code_jump32(c, BPF_JLT, BPF_REG_1, p->lo);
		pf_linear_miss(l, pf_code_jump32(c, BPF_JLE, BPF_REG_1, p->hi), to);
		pf_linear_land_here(l, out);
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
	pf_linear_miss(l, pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_1, PF_FRAG_LATER), to);
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
	pf_linear_miss(l, pf_code_jump32(c, BPF_JNE, BPF_REG_1, r->flags), to);
	if (!r->proto)
		pf_linear_land_here(l, out);
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
	if (pf_rule_no_replies(r) && (!r->proto || icmp))
		test_byte(l, PKT(keep_never), 0, to);
	return 0;
}

static bool same_icmp(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->icmp_type == b->icmp_type && a->icmp_code == b->icmp_code &&
	       pf_rule_no_replies(a) == pf_rule_no_replies(b) && a->proto == b->proto;
}

static int test_fragment(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (r->fragment) {
		pf_code_load(&l->code, BPF_B, BPF_REG_1, R_PKT, PKT(frag));
		pf_linear_miss(l, pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_1, PF_FRAG_NONE), to);
	}
	return 0;
}

static bool same_fragment(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->fragment == b->fragment;
}

static int test_tos(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (pf_rule_ext_of(r)->tos_given)
		test_byte(l, PKT(tos), pf_rule_ext_of(r)->tos, to);
	return 0;
}

static bool same_tos(const struct pf_rule *a, const struct pf_rule *b)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(a), *y = pf_rule_ext_of(b);

	return !y->tos_given || (x->tos_given && x->tos == y->tos);
}

/* The next number of the packet; see draw() of bpf/rules.bpf.c. */
static int test_prob(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	static const uint32_t factors[2] = {0x85ebca6b, 0xc2b2ae35};
	static const int shifts[3] = {16, 13, 16};
	struct pf_code *c = &l->code;

	if (!pf_rule_ext_of(r)->prob)
		return 0;
	pf_code_load(c, BPF_W, BPF_REG_2, R_PKT, PKT(draws));
	pf_code_alu(c, BPF_MOV, BPF_REG_1, BPF_REG_2);
	pf_code_alu_imm(c, BPF_ADD, BPF_REG_2, 1);
	pf_code_store(c, BPF_W, R_PKT, PKT(draws), BPF_REG_2);
	pf_code_alu32_imm(c, BPF_MUL, BPF_REG_1, (int32_t)0x9e3779b9);
	pf_code_load(c, BPF_W, BPF_REG_2, R_PKT, PKT(seed));
	pf_code_alu32(c, BPF_ADD, BPF_REG_1, BPF_REG_2);
	for (int i = 0; i < 3; i++) {
		pf_code_alu32(c, BPF_MOV, BPF_REG_2, BPF_REG_1);
		pf_code_alu32_imm(c, BPF_RSH, BPF_REG_2, shifts[i]);
		pf_code_alu32(c, BPF_XOR, BPF_REG_1, BPF_REG_2);
		if (i < 2)
			pf_code_alu32_imm(c, BPF_MUL, BPF_REG_1, (int32_t)factors[i]);
	}
	pf_linear_miss(l, pf_code_jump32(c, BPF_JGE, BPF_REG_1, (int32_t)pf_rule_ext_of(r)->prob),
		       to);
	return 0;
}

/* Each asks for a number of its own. */
static bool same_prob(const struct pf_rule *a, const struct pf_rule *b)
{
	(void)a;
	return !pf_rule_ext_of(b)->prob;
}

static int test_tagged(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	int id;

	if (!x->tagged)
		return 0;
	id = pf_compile_tag(l->env, x->tagged, r, l->err);
	if (id < 0)
		return id;
	pf_code_load(&l->code, BPF_H, BPF_REG_1, R_PKT, PKT(tag));
	pf_linear_miss(
		l, pf_code_jump32(&l->code, x->tagged_not ? BPF_JEQ : BPF_JNE, BPF_REG_1, id), to);
	return 0;
}

/* A rule that matches may have changed the tag. */
static bool same_tagged(const struct pf_rule *a, const struct pf_rule *b)
{
	(void)a;
	return !pf_rule_ext_of(b)->tagged;
}

static int test_received(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	int bit;

	if (!x->received_on)
		return 0;
	bit = pf_iface_bit(l->out, x->received_on);
	if (bit < 0)
		return bit;
	test_mask(l, PKT(rcvmask), bit, x->received_not, to);
	return 0;
}

static bool same_received(const struct pf_rule *a, const struct pf_rule *b)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(a), *y = pf_rule_ext_of(b);

	return !y->received_on || (x->received_on && x->received_not == y->received_not &&
				   strcmp(x->received_on, y->received_on) == 0);
}

static int test_limits(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	uint32_t limits = pf_limits_of(r);
	size_t room;

	if (!limits)
		return 0;
	pf_code_alu_imm(&l->code, BPF_MOV, BPF_REG_1, (int32_t)limits);
	pf_code_call_function(&l->code, PF_CODE_ASK_LIMITS);
	l->limited = true;
	pf_linear_miss(l, pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_0, LIMITS_NO_ROOM), to);
	if (!(limits & ~PF_LIMITS_IDS))
		return 0;
	/* it is blocked: as the rule has it, and no other is asked */
	room = pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_0, LIMITS_ROOM);
	pf_code_store_imm(&l->code, BPF_W, R_PKT, (int)PKT(rule_index), (int32_t)l->nr);
	pf_linear_finish(l);
	pf_linear_land_here(l, room);
	return 0;
}

/* Each asks anew. */
static bool same_limits(const struct pf_rule *a, const struct pf_rule *b)
{
	(void)a;
	return !pf_limits_of(b);
}

/* The last one: it counts those that have come so far. */
static int test_rate(struct linear *l, const struct pf_rule *r, uint32_t to)
{
	if (pf_rule_ext_of(r)->max_pkt_rate.limit) {
		pf_linear_meter(l, PF_METER_RATE);
		pf_linear_miss(l, pf_code_jump32(&l->code, BPF_JEQ, BPF_REG_0, 0), to);
	}
	return 0;
}

/* Each counts by itself. */
static bool same_rate(const struct pf_rule *a, const struct pf_rule *b)
{
	(void)a;
	return !pf_rule_ext_of(b)->max_pkt_rate.limit;
}

const struct pf_criterion pf_criteria[PF_CRITERIA] = {
	{test_iface, PF_SKIP_IFP, NULL},
	{test_dir, PF_SKIP_DIR, NULL},
	{test_af, PF_SKIP_AF, NULL},
	{test_proto, PF_SKIP_PROTO, NULL},
	{test_src, PF_SKIP_SRC_ADDR, NULL},
	{test_dst, PF_SKIP_DST_ADDR, NULL},
	{test_whole, PF_SKIP_MAX, same_whole},
	{test_tcp_flags, PF_SKIP_MAX, same_tcp_flags},
	{test_sport, PF_SKIP_SRC_PORT, NULL},
	{test_dport, PF_SKIP_DST_PORT, NULL},
	{test_icmp, PF_SKIP_MAX, same_icmp},
	{test_fragment, PF_SKIP_MAX, same_fragment},
	{test_tos, PF_SKIP_MAX, same_tos},
	{test_prob, PF_SKIP_MAX, same_prob},
	{test_tagged, PF_SKIP_MAX, same_tagged},
	{test_received, PF_SKIP_MAX, same_received},
	{test_limits, PF_SKIP_MAX, same_limits},
	{test_rate, PF_SKIP_MAX, same_rate},
};
