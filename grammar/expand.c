// SPDX-License-Identifier: BSD-2-Clause
/*
 * From one rule with lists to the rules that it stands for: the lists are
 * multiplied in pf's order (interface outermost, then protocol, ICMP type,
 * source, destination, source port, destination port, operating system, user,
 * group), combinations of different families are left out, and each rule is
 * checked.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "names.h"
#include "parser.h"

/* One combination. */
struct combination {
	const struct pf_node_if *ifp;
	const struct pf_node_proto *proto;
	const struct pf_node_icmp *icmp;
	const struct pf_node_host *src, *dst;
	const struct pf_node_port *sport, *dport;
	const struct pf_node_os *os;
	const struct pf_node_id *user, *group;
};

/* What the combinations of one statement have in common. */
struct expansion {
	struct pf_parser *p;
	uint8_t af; /* of all; 0: each its own */
	size_t added;
	/* pools that were made already, by family */
	struct {
		bool made;
		const struct pf_pool *pool;
	} nat[7], rdr[7], route[7], target[7];
	/* what was kept last: most rules of a statement share it */
	const struct pf_rule_ext *last_x;
	bool named_block; /* the rules in braces have been given to a rule */
};

/* OpenBSD answers with "port unreachable" when no code is given. */
#define RETURN_ICMP_DEFAULT  (3 << 8 | 3)
#define RETURN_ICMP6_DEFAULT (1 << 8 | 4)

/* --- checks --- */

/* Number of errors, all reported. */
static int check_rule(struct pf_parser *p, const struct pf_rule *r, const struct combination *c)
{
	const struct pf_stmt_rule *s = &p->stmt;
	const struct pf_loc *loc[PF_PART_MAX] = {
		[PF_PART_RULE] = &s->loc,
		[PF_PART_ICMP] = &s->icmp_loc,
		[PF_PART_BLOCK] = &s->block_loc,
		[PF_PART_STATE] = &s->state_loc,
		[PF_PART_PORT] = &s->loc,
		[PF_PART_ROUTE] = &s->route_loc,
		[PF_PART_NAT] = &s->nat_loc,
		[PF_PART_RDR] = s->binat ? &s->nat_loc : &s->rdr_loc,
		[PF_PART_DIVERT] = &s->divert_loc,
		[PF_PART_SCRUB] = &s->scrub_loc,
		[PF_PART_USER] = &s->user_loc,
		[PF_PART_OS] = &s->os_loc,
		[PF_PART_LIMITER] = &s->limiter_loc,
	};
	enum pf_rule_part part;
	const char *msg;

	if (c->sport || c->dport)
		loc[PF_PART_PORT] = c->sport ? &c->sport->loc : &c->dport->loc;
	if (c->icmp && (r->proto == PF_PROTO_ICMP || r->proto == PF_PROTO_ICMP6) &&
	    c->icmp->proto != r->proto) {
		pf_error(p, &s->icmp_loc, "%s does not belong to proto %s",
			 c->icmp->proto == PF_PROTO_ICMP6 ? "icmp6-type" : "icmp-type",
			 pf_proto_name(r->proto));
		return 1;
	}
	msg = pf_rule_check(r, &part);
	if (!msg) {
		msg = pf_rule_unenforced(r, &part);
		if (msg)
			pf_unenforced(p, loc[part], msg);
		return 0;
	}
	pf_error(p, loc[part]->line ? loc[part] : &s->loc, "%s", msg);
	return 1;
}

/* Options that only TCP has: one of the protocols must be it, or none be named. */
static bool tcp_apply(struct pf_parser *p)
{
	const struct pf_stmt_rule *s = &p->stmt;

	if ((!s->rule.flagset && !s->os.first) || !s->protos.first)
		return true;
	for (const struct pf_node_proto *n = s->protos.first; n; n = n->next)
		if (n->proto == PF_PROTO_TCP)
			return true;
	if (s->rule.flagset)
		pf_error(p, &s->flags_loc, "flags only apply to tcp");
	else
		pf_error(p, &s->os_loc, "OS fingerprinting only applies to tcp");
	return false;
}

/* --- families --- */

/* That of all elements, or 0. */
static uint8_t list_family(const pf_host_list *list)
{
	uint8_t af = list->first ? list->first->host.af : 0;

	for (const struct pf_node_host *n = list->first; n; n = n->next)
		if (n->host.af != af)
			return 0;
	return af;
}

/* FreeBSD goes by the first address of a pool of the old dialect. */
static uint8_t pool_family(const struct pf_stmt_pool *sp, bool old)
{
	uint8_t af = list_family(&sp->hosts);

	if (af || !old)
		return af;
	for (const struct pf_node_host *n = sp->hosts.first; n; n = n->next)
		if (n->host.af && !n->scope)
			return n->host.af;
	return 0;
}

static uint8_t other_family(uint8_t af)
{
	return af == PF_FAMILY_INET ? PF_FAMILY_INET6 : PF_FAMILY_INET;
}

static uint8_t statement_family(const struct pf_stmt_rule *s)
{
	uint8_t af = s->rule.af;

	if (!af)
		af = list_family(&s->src);
	if (!af)
		af = list_family(&s->dst);
	if (!af && s->x.af_to)
		return other_family(s->x.af_to);
	if (!af && s->rdr.given && !s->x.af_to)
		af = pool_family(&s->rdr, s->old);
	if (!af && s->nat.given && !s->x.af_to)
		af = pool_family(&s->nat, s->old);
	if (!af && s->target.given)
		af = pool_family(&s->target, s->old);
	if (!af && s->divert_hosts.first)
		af = s->divert_hosts.first->host.af;
	/* an address of a route has the packet's family */
	if (!af && s->route.given && !s->route.pool.prefer_ipv6_nexthop)
		af = pool_family(&s->route, false);
	return af;
}

static bool families_differ(uint8_t a, uint8_t b)
{
	return a && b && a != b;
}

/* The family of one combination, or -1 if its parts are of different ones. */
static int family_of(uint8_t af, const struct combination *c)
{
	uint8_t s = c->src ? c->src->host.af : 0, d = c->dst ? c->dst->host.af : 0;

	if (families_differ(af, s) || families_differ(af, d) || families_differ(s, d))
		return -1;
	return af ? af : s ? s : d;
}

/* lo0 is lo, here */
static bool same_interface(const char *a, const char *b)
{
	const bool lo_a = strcmp(a, "lo") == 0 || strcmp(a, "lo0") == 0;
	const bool lo_b = strcmp(b, "lo") == 0 || strcmp(b, "lo0") == 0;

	return strcmp(a, b) == 0 || (lo_a && lo_b);
}

/* One that the interface may be in at times: no rule is for what they have in common. */
static bool is_group(struct pf_parser *p, const char *name, const char *ifname)
{
	const enum pf_if_kind kind = p->opt->offline ? PF_IF_UNKNOWN : pf_if_lookup(p, name);

	if (kind == PF_IF_UNKNOWN)
		return strcmp(name, PF_GROUP_EGRESS) == 0 || strcmp(name, PF_GROUP_ALL) == 0 ||
		       pf_if_in_group(ifname, name);
	return kind == PF_IF_GROUP;
}

static void refuse_scope(struct pf_parser *p, const struct pf_node_host *n)
{
	if (n && n->scope && !n->from_name)
		pf_unenforced(p, &n->loc, "an address at one interface in a rule for a group");
}

/* A link-local address is one on its interface only: false if the rule is for another one. */
static bool scopes_agree(struct pf_parser *p, const struct combination *c, struct pf_rule *r)
{
	const char *s = c->src ? c->src->scope : NULL, *d = c->dst ? c->dst->scope : NULL;
	const char *scope = s ? s : d;
	bool same;

	if (s && d && !same_interface(s, d))
		return false;
	if (!scope)
		return true;
	same = r->ifname && same_interface(r->ifname, scope);
	if (r->ifname && !same && is_group(p, r->ifname, scope)) {
		refuse_scope(p, c->src);
		refuse_scope(p, c->dst);
		return false;
	}
	if (r->ifname && same == r->ifnot && strcmp(r->ifname, PF_IF_ANY) != 0)
		return false;
	if (!same) {
		r->ifname = scope;
		r->ifnot = false;
	}
	return true;
}

/* --- one rule --- */

static void defaults(struct pf_rule *r, const struct pf_stmt_rule *s)
{
	if (r->action == PF_RULE_ACTION_PASS && !s->x.anchor) {
		if (!(s->seen & PF_SEEN_FLAGS) && r->keep_state && !r->fragment) {
			r->flags = 0x02;   /* S */
			r->flagset = 0x12; /* SA */
		}
	} else if (r->action == PF_RULE_ACTION_BLOCK &&
		   (r->block_kind == PF_BLOCK_RETURN || r->block_kind == PF_BLOCK_RETURN_ICMP)) {
		if (!r->return_icmp)
			r->return_icmp = RETURN_ICMP_DEFAULT;
		if (!r->return_icmp6)
			r->return_icmp6 = RETURN_ICMP6_DEFAULT;
	}
	/* flags are TCP's alone, as is what looks at its sequence numbers */
	if (r->proto && r->proto != PF_PROTO_TCP) {
		r->flags = r->flagset = 0;
		if (r->keep_state)
			r->keep_state = PF_STATE_KEEP;
	}
}

/* 0.0.0.0/0 and ::/0: the rule has the family now, the rest is any. */
static void any_of_family(struct pf_rule_host *h)
{
	if (h->type == PF_HOST_PREFIX && h->bits == 0 && !h->neg)
		h->type = PF_HOST_ANY;
}

static void fill(struct pf_rule *r, const struct combination *c)
{
	if (c->ifp) {
		r->ifname = c->ifp->rdomain < 0 ? c->ifp->name : NULL;
		r->ifnot = c->ifp->neg;
	}
	if (c->proto)
		r->proto = c->proto->proto;
	if (c->icmp) {
		r->icmp_type = c->icmp->type;
		r->icmp_code = c->icmp->code;
	}
	if (c->src)
		r->src = c->src->host;
	if (c->dst)
		r->dst = c->dst->host;
	any_of_family(&r->src);
	any_of_family(&r->dst);
	if (c->sport)
		r->sport = c->sport->port;
	if (c->dport)
		r->dport = c->dport->port;
}

/* The statement's pool for this rule; false after an error. */
static bool pool_for(struct expansion *e, const struct pf_stmt_pool *sp, uint8_t af, bool rdr,
		     bool routing, const struct pf_rule *r, bool *made,
		     const struct pf_pool **cached, const struct pf_pool **out)
{
	if (!sp->given)
		return true;
	if (!*made || sp->star)
		*cached = pf_pool_make(e->p, sp, af, rdr, routing, &r->dport);
	*made = *cached != NULL;
	*out = *cached;
	return *cached != NULL;
}

static bool pools(struct expansion *e, const struct pf_rule *r, struct pf_rule_ext *x)
{
	const struct pf_stmt_rule *s = &e->p->stmt;
	uint8_t af = r->af, to = x->af_to ? x->af_to : af;
	bool rdr = r->action == PF_RULE_ACTION_RDR;

	return pool_for(e, &s->nat, to, false, false, r, &e->nat[to].made, &e->nat[to].pool,
			&x->nat) &&
	       pool_for(e, &s->rdr, to, true, false, r, &e->rdr[to].made, &e->rdr[to].pool,
			&x->rdr) &&
	       /* the hop is for the packet as it leaves */
	       pool_for(e, &s->route, to, false, true, r, &e->route[to].made, &e->route[to].pool,
			&x->route) &&
	       pool_for(e, &s->target, af, rdr, false, r, &e->target[af].made, &e->target[af].pool,
			&x->target);
}

/* binat maps one network onto another of the same size. */
static bool old_binat_ok(struct pf_parser *p, const struct pf_rule *r, const struct pf_rule_ext *x)
{
	const struct pf_rule_host *to = x->target ? &x->target->hosts[0].host : NULL;

	if (r->action != PF_RULE_ACTION_BINAT || !to)
		return true;
	if (x->target->nhosts > 1 || to->type == PF_HOST_TABLE) {
		pf_error(p, &p->stmt.target.loc, "binat rule must redirect to a single address");
		return false;
	}
	if (r->src.type == PF_HOST_PREFIX && to->type == PF_HOST_PREFIX &&
	    r->src.bits != to->bits) {
		pf_error(p, &p->stmt.target.loc,
			 "'binat' source mask and redirect mask must be the same");
		return false;
	}
	return true;
}

static bool divert(struct pf_parser *p, const struct pf_rule *r, struct pf_rule_ext *x)
{
	const struct pf_node_host *n = p->stmt.divert_hosts.first;

	if (!n)
		return true;
	while (n && r->af && n->host.af && n->host.af != r->af)
		n = n->next;
	if (!n) {
		pf_error(p, &p->stmt.divert_loc, "divert-to address family mismatch");
		return false;
	}
	x->divert.af = n->host.af;
	x->divert.ip = n->host.ip;
	if (n->host.type == PF_HOST_NAME)
		x->divert.name = pf_keep(p, n->host.name);
	return true;
}

static bool tags(struct pf_parser *p, const struct pf_rule *r, struct pf_rule_ext *x)
{
	if (x->tag && strchr(x->tag, '$')) {
		x->tag = pf_label_expand(p, x->tag, r, PF_TAG_SIZE, &p->stmt.tag_loc, "tag");
		if (!x->tag)
			return false;
	}
	if (x->tagged && strchr(x->tagged, '$')) {
		x->tagged = pf_label_expand(p, x->tagged, r, PF_TAG_SIZE, &p->stmt.tagged_loc,
					    "tag");
		if (!x->tagged)
			return false;
	}
	for (size_t i = 0; i < PF_LABELS_MOST - 1; i++) {
		if (!x->labels[i] || !strchr(x->labels[i], '$'))
			continue;
		x->labels[i] = pf_label_expand(p, x->labels[i], r, PF_LABEL_SIZE,
					       &p->stmt.label_loc, "rule label");
		if (!x->labels[i])
			return false;
		if (!*x->labels[i])
			x->labels[i] = NULL;
	}
	return true;
}

/* Rules in braces that have a name belong to the first rule; the others call it by that. */
static void anchor_of(struct expansion *e, struct pf_rule_ext *x)
{
	struct pf_anchor *call;

	if (!x->anchor || !x->anchor->block || !x->anchor->path)
		return;
	if (!e->named_block) {
		e->named_block = true;
		return;
	}
	call = pf_arena_alloc(&e->p->rs->arena, sizeof(*call));
	if (call)
		call->path = x->anchor->path;
	else
		pf_error_nomem(e->p);
	x->anchor = call;
}

/* The rarer parts of the rule, in r->x: shared where they are equal; false after an error. */
static bool extension(struct expansion *e, const struct combination *c, struct pf_rule *r)
{
	struct pf_parser *p = e->p;
	struct pf_rule_ext x, *copy;

	memcpy(&x, &p->stmt.x, sizeof(x));
	if (c->ifp && c->ifp->rdomain >= 0)
		x.rdomain = (uint16_t)(c->ifp->rdomain + 1);
	if (c->os)
		x.os = c->os->name;
	if (c->user)
		x.user = c->user->id;
	if (c->group)
		x.group = c->group->id;
	anchor_of(e, &x);
	if (!pools(e, r, &x) || !old_binat_ok(p, r, &x) || !divert(p, r, &x) || !tags(p, r, &x) ||
	    p->nomem)
		return false;
	/* The padding came with the statement, where it is zero: see memcpy above. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*) */
	if (memcmp(&x, &pf_rule_ext_none, sizeof(x)) == 0)
		return true;
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*) */
	if (e->last_x && memcmp(&x, e->last_x, sizeof(x)) == 0) {
		r->x = e->last_x;
		return true;
	}
	copy = pf_arena_alloc(&p->rs->arena, sizeof(*copy));
	if (!copy) {
		pf_error_nomem(p);
		return false;
	}
	memcpy(copy, &x, sizeof(x));
	r->x = e->last_x = copy;
	return true;
}

/* Copies a string of the statement into the ruleset; the last copy is used again if it is equal. */
static const char *keep_string(struct pf_parser *p, const char *s, const char *last)
{
	if (last && s && strcmp(s, last) == 0)
		return last;
	return pf_keep(p, s);
}

static void keep_host(struct pf_parser *p, struct pf_rule_host *h, const struct pf_rule_host *last)
{
	struct pf_ip *hi;

	switch (h->type) {
	case PF_HOST_ANY:
	case PF_HOST_PREFIX:
	case PF_HOST_NO_ROUTE:
	case PF_HOST_URPF:
		break;
	case PF_HOST_RANGE:
		hi = pf_arena_alloc(&p->rs->arena, sizeof(*hi));
		if (hi)
			*hi = *h->hi;
		else
			pf_error_nomem(p);
		h->hi = hi;
		break;
	case PF_HOST_TABLE:
	case PF_HOST_DYNAMIC:
	case PF_HOST_RTLABEL:
	case PF_HOST_NAME:
		h->name = keep_string(p, h->name,
				      last && last->type == h->type ? last->name : NULL);
		break;
	}
}

/* A prefix longer than IPv4's addresses are is all of the address there. */
static void clamp_dynamic(struct pf_rule_host *h, uint8_t af)
{
	if (h->type == PF_HOST_DYNAMIC && af == PF_FAMILY_INET && h->bits >= 32)
		h->bits = 128;
}

/* Into the block, with copies of what belongs to the statement. */
static int append(struct expansion *e, struct pf_rule *r)
{
	struct pf_parser *p = e->p;
	struct pf_rule_list *l = &p->block->list[pf_action_list((enum pf_rule_action)r->action)];
	const struct pf_rule *last = l->n ? &l->v[l->n - 1] : NULL;
	struct pf_rule *slot;

	if (r->label) {
		r->label = strchr(r->label, '$')
				   ? pf_label_expand(p, r->label, r, PF_LABEL_SIZE,
						     &p->stmt.label_loc, "rule label")
				   : keep_string(p, r->label, last ? last->label : NULL);
		if (!r->label)
			return -1;
		if (!*r->label) /* of macros that stand for nothing: none */
			r->label = NULL;
	}
	r->ifname = keep_string(p, r->ifname, last ? last->ifname : NULL);
	keep_host(p, &r->src, last ? &last->src : NULL);
	keep_host(p, &r->dst, last ? &last->dst : NULL);
	if (p->nomem)
		return -1;
	if (l->n >= PF_RULES_LARGEST) {
		pf_error(p, &p->stmt.loc, "more than %d rules, lists multiplied", PF_RULES_LARGEST);
		return -1;
	}
	slot = pf_rule_list_add(l);
	if (!slot) {
		pf_error_nomem(p);
		return -1;
	}
	*slot = *r;
	e->added++;
	return 0;
}

/* --- binat-to: a nat-to rule out, and an rdr-to rule in --- */

static const char *binat_error(const struct pf_rule *r, const struct pf_rule_ext *x)
{
	const struct pf_rule_host *to = &x->nat->hosts[0].host;

	if (x->nat->port)
		return "binat-to keeps ports: none can be given";
	if (r->dir)
		return "binat-to cannot be specified with a direction";
	if (r->src.type == PF_HOST_TABLE)
		return "a table cannot be the source address of a binat-to rule";
	if (to->type == PF_HOST_TABLE || x->nat->nhosts > 1)
		return "binat-to needs one redirect address, and no table";
	if (r->src.type != PF_HOST_PREFIX && r->src.type != PF_HOST_DYNAMIC)
		return "binat-to requires a specified source and redirect address";
	if (r->src.type == PF_HOST_PREFIX && to->type == PF_HOST_PREFIX && r->src.bits != to->bits)
		return "source and redirect address must have a matching network mask in "
		       "binat-to rule";
	if ((r->src.type == PF_HOST_DYNAMIC && !(r->src.modifiers & PF_HOST_NOALIAS)) ||
	    (to->type == PF_HOST_DYNAMIC && !(to->modifiers & PF_HOST_NOALIAS)))
		return "dynamic interfaces must be used with :0 in a binat-to rule";
	return NULL;
}

/* Of a prefix only the network is mapped, so that each address has one of its own. */
static struct pf_pool *one_host_pool(struct pf_parser *p, const struct pf_rule_host *h,
				     const struct pf_pool *written)
{
	struct pf_pool *pool = pf_arena_alloc(&p->rs->arena, sizeof(*pool));
	struct pf_pool_host *host = pf_arena_alloc(&p->rs->arena, sizeof(*host));

	if (!pool || !host) {
		pf_error_nomem(p);
		return NULL;
	}
	host->host = *h;
	host->host.neg = false;
	keep_host(p, &host->host, NULL);
	pool->hosts = host;
	pool->nhosts = 1;
	pool->sticky = written->sticky;
	pool->type = written->type;
	pool->key = written->key;
	if (!pool->type && h->type == PF_HOST_PREFIX &&
	    h->bits < pf_family_bits((enum pf_family)h->af))
		pool->type = PF_POOL_BITMASK;
	return pool;
}

static int append_binat(struct expansion *e, const struct combination *c, struct pf_rule *r)
{
	struct pf_parser *p = e->p;
	const char *why = binat_error(r, r->x);
	struct pf_rule_ext *out = pf_arena_alloc(&p->rs->arena, sizeof(*out));
	struct pf_rule_ext *in = pf_arena_alloc(&p->rs->arena, sizeof(*in));
	struct pf_pool *nat = one_host_pool(p, &r->x->nat->hosts[0].host, r->x->nat);
	struct pf_pool *rdr = one_host_pool(p, &r->src, r->x->nat);
	struct pf_rule rin = *r;

	if (!out || !in || !nat || !rdr) {
		pf_error_nomem(p);
		return -1;
	}
	if (why) {
		pf_error(p, &p->stmt.nat_loc, "%s", why);
		return -1;
	}
	*out = *in = *r->x;
	nat->static_port = true;
	out->nat = nat;
	in->nat = NULL;
	in->rdr = rdr;
	r->x = out;
	r->dir = PF_RULE_OUT;
	rin.x = in;
	rin.dir = PF_RULE_IN;
	rin.src = r->dst;
	rin.sport = r->dport;
	rin.dst = nat->hosts[0].host;
	rin.dport = r->sport;
	if (check_rule(p, r, c) || check_rule(p, &rin, c))
		return -1;
	return append(e, r) || append(e, &rin) ? -1 : 0;
}

/* 0, also if the combination is none; -1 if it was an error. */
static int add_rule(struct expansion *e, const struct combination *c)
{
	struct pf_parser *p = e->p;
	struct pf_rule r = p->stmt.rule;
	int af = family_of(e->af, c);

	if (af < 0)
		return 0;
	r.af = (uint8_t)af;
	fill(&r, c);
	if (!scopes_agree(p, c, &r))
		return 0;
	defaults(&r, &p->stmt);
	clamp_dynamic(&r.src, r.af);
	clamp_dynamic(&r.dst, r.af);
	if (!extension(e, c, &r))
		return -1;
	if (p->stmt.binat)
		return append_binat(e, c, &r);
	if (check_rule(p, &r, c))
		return -1;
	return append(e, &r);
}

/* Strings of the statement that all of its rules have. */
static void keep_strings(struct pf_parser *p)
{
	struct pf_rule_ext *x = &p->stmt.x;

	x->received_on = pf_keep(p, x->received_on);
	x->queue = pf_keep(p, x->queue);
	x->pqueue = pf_keep(p, x->pqueue);
	x->tag = pf_keep(p, x->tag);
	x->tagged = pf_keep(p, x->tagged);
	x->state_limiter.name = pf_keep(p, x->state_limiter.name);
	x->source_limiter.name = pf_keep(p, x->source_limiter.name);
	for (size_t i = 0; i < PF_LABELS_MOST - 1; i++)
		x->labels[i] = pf_keep(p, x->labels[i]);
	for (struct pf_node_os *n = p->stmt.os.first; n; n = n->next)
		n->name = pf_keep(p, n->name);
}

/*
 * An odometer over the lists, the first the slowest; an empty list counts as
 * one turn.  Errors of a rule are the same for most of its combinations: one
 * rule that is wrong ends the statement.
 */
static void multiply(struct expansion *e)
{
	const struct pf_stmt_rule *s = &e->p->stmt;
	struct combination c;

#define EACH(member, list) for ((member) = (list); !e->p->nomem; (member) = (member)->next) {
#define END(member)                       \
	if (!(member) || !(member)->next) \
		break;                    \
	}
	EACH(c.ifp, s->ifs.first)
	EACH(c.proto, s->protos.first)
	EACH(c.icmp, s->icmp.first)
	EACH(c.src, s->src.first)
	EACH(c.dst, s->dst.first)
	EACH(c.sport, s->sport.first)
	EACH(c.dport, s->dport.first)
	EACH(c.os, s->os.first)
	EACH(c.user, s->users.first)
	EACH(c.group, s->groups.first)
	if (add_rule(e, &c))
		return;
	END(c.group)
	END(c.user)
	END(c.os)
	END(c.dport)
	END(c.sport)
	END(c.dst)
	END(c.src)
	END(c.icmp)
	END(c.proto)
	END(c.ifp)
#undef EACH
#undef END
}

/* --- why nothing is left --- */

static const char *family_name(uint8_t af)
{
	return af == PF_FAMILY_INET ? "IPv4" : "IPv6";
}

/* As it was written, or as it is printed. */
static const char *host_text(struct pf_parser *p, const struct pf_node_host *n)
{
	char ip[PF_IP_STRLEN], hi[PF_IP_STRLEN];

	if (n->name || (n->host.type != PF_HOST_PREFIX && n->host.type != PF_HOST_RANGE))
		return n->name;
	pf_ip_format((enum pf_family)n->host.af, &n->host.ip,
		     n->host.type == PF_HOST_RANGE ? 128 : n->host.bits, ip, sizeof(ip));
	if (n->host.type != PF_HOST_RANGE)
		return pf_stmt_printf(p, "%s", ip);
	pf_ip_format((enum pf_family)n->host.af, n->host.hi, 128, hi, sizeof(hi));
	return pf_stmt_printf(p, "%s - %s", ip, hi);
}

/* None of the list has the family: says so of the first one; NULL if that is not it. */
static const char *lacks_family(struct pf_parser *p, const pf_host_list *list, uint8_t af)
{
	const char *text = list->first ? host_text(p, list->first) : NULL;

	for (const struct pf_node_host *n = list->first; n; n = n->next)
		if (!families_differ(af, n->host.af))
			return NULL;
	if (!list->first)
		return NULL;
	return pf_stmt_printf(
		p, list->first->from_name ? "%s has no %s address" : "%s is no %s address", text,
		family_name(af));
}

static const char *why_none(const struct expansion *e)
{
	const struct pf_stmt_rule *s = &e->p->stmt;
	const struct pf_node_host *n;
	const char *why = lacks_family(e->p, &s->src, e->af);

	if (!why)
		why = lacks_family(e->p, &s->dst, e->af);
	if (why)
		return why;
	/* the families fit: it is the interface of a link-local address */
	for (n = s->src.first; n && !n->scope; n = n->next)
		;
	for (n = n ? n : s->dst.first; n && !n->scope; n = n->next)
		;
	return n ? pf_stmt_printf(e->p, "%s is an address at %s only", host_text(e->p, n), n->scope)
		 : NULL;
}

void pf_expand_rule(struct pf_parser *p)
{
	const char *why;
	struct expansion e = {.p = p, .af = statement_family(&p->stmt)};
	unsigned int before = p->result.errors;

	if (!tcp_apply(p) || p->stmt.bad_host)
		return;
	keep_strings(p);
	multiply(&e);
	if (e.added || p->nomem || p->result.errors != before)
		return;
	why = why_none(&e);
	pf_error(p, &p->stmt.loc, "rule expands to no valid combination%s%s", why ? ": " : "",
		 why ? why : "");
}
