// SPDX-License-Identifier: BSD-2-Clause
/* One rule as emitter B has it: its record, and the box of fields around it. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tree.h"

#define PROTO_ICMP  1
#define PROTO_TCP   6
#define PROTO_ICMP6 58

static uint32_t bytes4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	const uint8_t bytes[4] = {a, b, c, d};
	uint32_t w;

	memcpy(&w, bytes, sizeof(w));
	return w;
}

/* --- ports --- */

/* First and last port of the range; *out: the ports outside of it match.  false: none can. */
static bool port_range(const struct pf_rule_port *p, uint16_t *lo, uint16_t *hi, bool *out)
{
	int first = 0, last = UINT16_MAX;

	*out = false;
	switch (p->op) {
	case PF_PORT_ANY:
		break;
	case PF_PORT_NE:
		*out = true;
		/* fall through */
	case PF_PORT_EQ:
		first = last = p->lo;
		break;
	case PF_PORT_LT:
		last = p->lo - 1;
		break;
	case PF_PORT_LE:
		last = p->lo;
		break;
	case PF_PORT_GT:
		first = p->lo + 1;
		break;
	case PF_PORT_GE:
		first = p->lo;
		break;
	case PF_PORT_OUTSIDE:
		*out = true;
		/* fall through */
	case PF_PORT_RANGE:
		first = p->lo;
		last = p->hi;
		break;
	case PF_PORT_INSIDE:
		first = p->lo + 1;
		last = p->hi - 1;
		break;
	}
	if (first > last || first > UINT16_MAX || last < 0)
		return false;
	*lo = (uint16_t)first;
	*hi = (uint16_t)last;
	return true;
}

static void fill_ports(const struct pf_rule *r, struct pf_tree_rule *t)
{
	uint16_t lo = 0, hi = 0;
	bool out;

	if (!port_range(&r->sport, &lo, &hi, &out))
		t->tests |= PF_TEST_NEVER;
	t->sport = lo;
	t->sport_span = (uint16_t)(hi - lo);
	t->tests |= out ? PF_TEST_SPORT_NOT : 0;
	if (!port_range(&r->dport, &lo, &hi, &out))
		t->tests |= PF_TEST_NEVER;
	t->dport = lo;
	t->dport_span = (uint16_t)(hi - lo);
	t->tests |= out ? PF_TEST_DPORT_NOT : 0;
}

/* --- addresses --- */

/* What is different between the two addresses of a rule. */
struct side {
	uint32_t *word0, *word0_mask;
	struct pf_addr *addr, *mask;
	uint32_t words, not, in_table, in_range;
};

static int fill_host(const struct pf_rule *r, uint32_t set, const struct pf_rule_host *h,
		     const struct pf_compile_env *env, const struct side *s, uint32_t *tests,
		     struct pf_compile_error *err)
{
	struct pf_ip mask;
	int slot;

	if (h->neg)
		*tests |= s->not ;
	switch (h->type) {
	case PF_HOST_ANY:
		if (h->neg)
			*tests |= PF_TEST_NEVER;
		return 0;
	case PF_HOST_PREFIX:
		memset(&mask, 0xff, sizeof(mask));
		pf_ip_mask(&mask, h->bits);
		memcpy(s->addr, h->ip.b, sizeof(*s->addr));
		memcpy(s->mask, mask.b, sizeof(*s->mask));
		if (h->neg) {
			*tests |= s->words;
			return 0;
		}
		*s->word0 = s->addr->w[0];
		*s->word0_mask = s->mask->w[0];
		*tests |= h->bits > 32 ? s->words : 0;
		return 0;
	case PF_HOST_TABLE:
		slot = env->table_slot(env->ctx, set, h->table);
		if (slot < 0) {
			err->line = r->line;
			snprintf(err->text, sizeof(err->text), "table <%s> has no place", h->table);
			return -EINVAL;
		}
		s->addr->w[0] = (uint32_t)slot;
		*tests |= s->in_table;
		return 0;
	case PF_HOST_RANGE:
		memcpy(s->addr, h->ip.b, sizeof(*s->addr));
		memcpy(s->mask, h->hi->b, sizeof(*s->mask));
		*tests |= s->in_range;
		return 0;
	default:
		return -EINVAL;
	}
}

static int fill_hosts(const struct pf_rule *r, uint32_t set, const struct pf_compile_env *env,
		      struct pf_tree_rule *t, struct pf_compile_error *err)
{
	const struct side src = {.word0 = &t->src0,
				 .word0_mask = &t->src0_mask,
				 .addr = &t->src,
				 .mask = &t->src_mask,
				 .words = PF_TEST_SRC,
				 .not = PF_TEST_SRC_NOT,
				 .in_table = PF_TEST_SRC_TABLE,
				 .in_range = PF_TEST_SRC_RANGE};
	const struct side dst = {.word0 = &t->dst0,
				 .word0_mask = &t->dst0_mask,
				 .addr = &t->dst,
				 .mask = &t->dst_mask,
				 .words = PF_TEST_DST,
				 .not = PF_TEST_DST_NOT,
				 .in_table = PF_TEST_DST_TABLE,
				 .in_range = PF_TEST_DST_RANGE};
	int e = fill_host(r, set, &r->src, env, &src, &t->tests, err);

	return e ? e : fill_host(r, set, &r->dst, env, &dst, &t->tests, err);
}

/* --- the rest --- */

static void fill_head(const struct pf_rule *r, struct pf_tree_rule *t)
{
	bool tcp = r->flagset && r->proto;

	t->head = bytes4(r->af, r->dir, r->proto, tcp ? r->flags : 0);
	t->head_mask = bytes4(r->af ? 0xff : 0, r->dir ? 0xff : 0, r->proto ? 0xff : 0,
			      tcp ? r->flagset : 0);
	t->icmp = bytes4((uint8_t)(r->icmp_type - !!r->icmp_type),
			 (uint8_t)(r->icmp_code - !!r->icmp_code), 0, 0);
	t->icmp_mask = bytes4(r->icmp_type ? 0xff : 0, r->icmp_code ? 0xff : 0, 0, 0);
}

static void fill_tests(const struct pf_rule *r, struct pf_tree_rule *t)
{
	bool icmp = r->proto == PROTO_ICMP || r->proto == PROTO_ICMP6;

	if (r->sport.op || r->dport.op || r->icmp_type || (r->flagset && r->proto))
		t->tests |= PF_TEST_WHOLE;
	if (r->fragment)
		t->tests |= PF_TEST_FRAGMENT;
	if (pf_rule_no_replies(r) && (!r->proto || icmp))
		t->tests |= PF_TEST_KEEP;
	if (r->flagset && !r->proto) {
		t->tests |= PF_TEST_FLAGS;
		t->flags = r->flags;
		t->flagset = r->flagset;
	}
}

static int fill_iface(const struct pf_compiled *c, const char *name, bool not, uint32_t asked,
		      uint32_t denied, uint16_t *bit, uint32_t *tests)
{
	int b = name ? pf_iface_bit(c, name) : 0;

	if (!name)
		return 0;
	if (b < 0)
		return b;
	*bit = (uint16_t)b;
	*tests |= asked | (not ? denied : 0);
	return 0;
}

static int fill_tags(const struct pf_rule *r, const struct pf_compile_env *env,
		     struct pf_tree_rule *t, struct pf_compile_error *err)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	int id;

	if (x->tag) {
		id = pf_compile_tag(env, x->tag, r, err);
		if (id < 0)
			return id;
		t->tag = (uint16_t)id;
	}
	if (x->tagged) {
		id = pf_compile_tag(env, x->tagged, r, err);
		if (id < 0)
			return id;
		t->tagged = (uint16_t)id;
		t->tests |= PF_TEST_TAG | (x->tagged_not ? PF_TEST_TAG_NOT : 0);
	}
	return 0;
}

static int fill_ext(const struct pf_rule *r, const struct pf_compile_env *env,
		    const struct pf_compiled *c, struct pf_tree_rule *t,
		    struct pf_compile_error *err)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	if (x->tos_given) {
		t->tos = x->tos;
		t->tests |= PF_TEST_TOS;
	}
	if (x->prob) {
		t->prob = x->prob;
		t->tests |= PF_TEST_PROB;
	}
	t->call = pf_limits_of(r);
	if (t->call)
		t->tests |= PF_TEST_LIMITS;
	t->tests |= x->max_pkt_rate.limit ? PF_TEST_RATE : 0;
	if (fill_iface(c, x->received_on, x->received_not, PF_TEST_RCV, PF_TEST_RCV_NOT, &t->rcvbit,
		       &t->tests))
		return -ENOENT;
	return fill_tags(r, env, t, err);
}

int pf_tree_rule_fill(const struct pf_rule *r, uint32_t set, const struct pf_compile_env *env,
		      const struct pf_compiled *c, struct pf_tree_rule *out,
		      struct pf_compile_error *err)
{
	const enum pf_tree_kind kind = pf_rule_ext_of(r)->anchor	   ? PF_TREE_ANCHOR
				       : r->action == PF_RULE_ACTION_MATCH ? PF_TREE_MATCH
				       : pf_rule_ext_of(r)->once	   ? PF_TREE_ONCE
									   : PF_TREE_VERDICT;
	struct pf_tree_rule t = {.kind_quick = (uint8_t)(kind << 1 | r->quick)};
	int e;

	fill_head(r, &t);
	fill_ports(r, &t);
	fill_tests(r, &t);
	e = fill_hosts(r, set, env, &t, err);
	if (!e)
		e = fill_iface(c, r->ifname, r->ifnot, PF_TEST_IFACE, PF_TEST_IFACE_NOT, &t.ifbit,
			       &t.tests);
	if (!e)
		e = fill_ext(r, env, c, &t, err);
	if (e)
		return e;
	*out = t;
	return 0;
}

/* --- the box --- */

static void limit(struct pf_tree_box *b, int field, uint32_t lo, uint32_t hi)
{
	b->lo[field] = lo;
	b->hi[field] = hi;
}

/* Down to the first word in which the two ends differ; what is behind it is not limited. */
static void limit_range(struct pf_tree_box *b, int field, const struct pf_rule_host *h)
{
	for (int i = 0; i < (h->af == PF_FAMILY_INET ? 1 : 4); i++) {
		uint32_t lo, hi;

		memcpy(&lo, h->ip.b + 4 * i, sizeof(lo));
		memcpy(&hi, h->hi->b + 4 * i, sizeof(hi));
		limit(b, field + i, ntohl(lo), ntohl(hi));
		if (lo != hi)
			return;
	}
}

static void limit_host(struct pf_tree_box *b, int field, const struct pf_rule_host *h)
{
	struct pf_ip mask;

	if (h->type == PF_HOST_RANGE && !h->neg)
		limit_range(b, field, h);
	if (h->type != PF_HOST_PREFIX || h->neg)
		return;
	memset(&mask, 0xff, sizeof(mask));
	pf_ip_mask(&mask, h->bits);
	for (int i = 0; i < (h->af == PF_FAMILY_INET ? 1 : 4); i++) {
		uint32_t ip, bits;

		memcpy(&ip, h->ip.b + 4 * i, sizeof(ip));
		memcpy(&bits, mask.b + 4 * i, sizeof(bits));
		limit(b, field + i, ntohl(ip), ntohl(ip | ~bits));
	}
}

/* Of the other family, the words that follow the first may differ. */
static bool boxed_range(const struct pf_rule_host *h)
{
	return h->type == PF_HOST_RANGE && !h->neg && h->af == PF_FAMILY_INET;
}

/* Is all that the rule tests in the box? */
static bool is_sure(const struct pf_rule *r, const struct pf_tree_rule *t, bool by_name)
{
	const uint32_t boxed = (by_name ? PF_TEST_IFACE : 0) | (r->src.neg ? 0 : PF_TEST_SRC) |
			       (r->dst.neg ? 0 : PF_TEST_DST) |
			       (boxed_range(&r->src) ? PF_TEST_SRC_RANGE : 0) |
			       (boxed_range(&r->dst) ? PF_TEST_DST_RANGE : 0);

	return !(t->tests & ~boxed) && !r->flagset && !pf_rule_ext_of(r)->once;
}

void pf_tree_box_fill(const struct pf_compiled *c, const struct pf_rule *r,
		      const struct pf_tree_rule *t, struct pf_tree_box *out)
{
	static const uint32_t most[PF_TREE_FIELDS] = {
		[PF_TREE_SRC] = UINT32_MAX,	[PF_TREE_SRC + 1] = UINT32_MAX,
		[PF_TREE_SRC + 2] = UINT32_MAX, [PF_TREE_SRC + 3] = UINT32_MAX,
		[PF_TREE_DST] = UINT32_MAX,	[PF_TREE_DST + 1] = UINT32_MAX,
		[PF_TREE_DST + 2] = UINT32_MAX, [PF_TREE_DST + 3] = UINT32_MAX,
		[PF_TREE_SPORT] = UINT16_MAX,	[PF_TREE_DPORT] = UINT16_MAX,
		[PF_TREE_PROTO] = UINT8_MAX,	[PF_TREE_DIR] = UINT8_MAX,
		[PF_TREE_IFACE] = UINT16_MAX,	[PF_TREE_ICMP] = UINT16_MAX,
	};
	const bool by_name = r->ifname && !r->ifnot && c->iface_own[t->ifbit];
	struct pf_tree_box b = {.empty = t->tests & PF_TEST_NEVER};

	memcpy(b.hi, most, sizeof(most));
	if (!b.empty) {
		limit_host(&b, PF_TREE_SRC, &r->src);
		limit_host(&b, PF_TREE_DST, &r->dst);
		if (!(t->tests & PF_TEST_SPORT_NOT))
			limit(&b, PF_TREE_SPORT, t->sport, (uint32_t)t->sport + t->sport_span);
		if (!(t->tests & PF_TEST_DPORT_NOT))
			limit(&b, PF_TREE_DPORT, t->dport, (uint32_t)t->dport + t->dport_span);
		if (r->proto)
			limit(&b, PF_TREE_PROTO, r->proto, r->proto);
		if (r->dir)
			limit(&b, PF_TREE_DIR, r->dir, r->dir);
		if (by_name)
			limit(&b, PF_TREE_IFACE, t->ifbit + 1U, t->ifbit + 1U);
		if (r->icmp_type) {
			uint32_t type = (r->icmp_type - 1U) << 8;
			uint32_t code = r->icmp_code - 1U;

			limit(&b, PF_TREE_ICMP, r->icmp_code ? type | code : type,
			      r->icmp_code ? type | code : type | 0xff);
		}
		b.sure = is_sure(r, t, by_name);
	}
	*out = b;
}
