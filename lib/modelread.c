// SPDX-License-Identifier: BSD-2-Clause
#include "model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../grammar/check.h"
#include "model_int.h"

/* As deep as braces go, and one more; and files that load files. */
#define DEPTH_MOST 65
#define LOADS_MOST 16

struct reader {
	struct pf_cursor c;
	struct pf_ruleset *rs;
	char *err;
	size_t errsize;
	bool nomem;
	unsigned int depth, nrules, loads;
	const char *last_ifname, *last_table, *last_label, *last_tag, *last_tagged, *last_overload;
	const struct pf_rule_ext *last_ext;
	const struct pf_pool *last_nat, *last_rdr, *last_route;
	const struct pf_state_opts *last_state;
};

__attribute__((format(printf, 2, 3))) static void bad(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (!r->c.bad) {
		va_start(ap, fmt);
		vsnprintf(r->err, r->errsize, fmt, ap);
		va_end(ap);
	}
	pf_cursor_fail(&r->c);
}

static uint8_t get_enum(struct reader *r, uint8_t most, const char *what)
{
	uint8_t v = pf_get_u8(&r->c);

	if (v > most) {
		bad(r, "%s %u is unknown", what, v);
		return 0;
	}
	return v;
}

static uint8_t get_family(struct reader *r, bool may_be_any)
{
	uint8_t af = pf_get_u8(&r->c);

	if (af != PF_FAMILY_INET && af != PF_FAMILY_INET6 && !(may_be_any && !af)) {
		bad(r, "address family %u is unknown", af);
		return PF_FAMILY_INET;
	}
	return af;
}

/* A string that goes into the arena, shared with the one before if equal. */
static const char *get_string(struct reader *r, size_t size, const char **last, bool name)
{
	char buf[256];

	if (!pf_get_string(&r->c, buf, size < sizeof(buf) ? size : sizeof(buf)))
		return NULL;
	if (name && !pf_name_ok(buf, size)) {
		bad(r, "a name is empty, too long or has odd characters");
		return NULL;
	}
	if (*last && strcmp(*last, buf) == 0)
		return *last;
	*last = pf_arena_strdup(&r->rs->arena, buf);
	r->nomem |= !*last;
	return *last;
}

static void get_address(struct reader *r, uint8_t af, uint8_t bits, struct pf_ip *ip)
{
	struct pf_ip masked;

	pf_get(&r->c, ip->b, sizeof(ip->b));
	if (bits > pf_family_bits((enum pf_family)af)) {
		bad(r, "prefix length %u is too long", bits);
		return;
	}
	masked = *ip;
	pf_ip_mask(&masked, bits);
	if (!pf_ip_equal(&masked, ip))
		bad(r, "an address has bits behind its prefix");
}

static void get_range(struct reader *r, struct pf_rule_host *h)
{
	struct pf_ip *hi = pf_arena_alloc(&r->rs->arena, sizeof(*hi));

	if (!hi) {
		r->nomem = true;
		return;
	}
	h->af = get_family(r, false);
	get_address(r, h->af, (uint8_t)pf_family_bits((enum pf_family)h->af), &h->ip);
	get_address(r, h->af, (uint8_t)pf_family_bits((enum pf_family)h->af), hi);
	h->hi = hi;
	if (memcmp(h->ip.b, hi->b, sizeof(hi->b)) > 0)
		bad(r, "an address range ends before it begins");
}

static void get_host(struct reader *r, struct pf_rule_host *h)
{
	h->type = (enum pf_host_type)get_enum(r, PF_HOST_RANGE, "address type");
	h->neg = get_enum(r, 1, "negation");
	if (h->type == PF_HOST_ANY && h->neg)
		bad(r, "any cannot be negated");
	if (h->type == PF_HOST_PREFIX) {
		h->af = get_family(r, false);
		h->bits = pf_get_u8(&r->c);
		get_address(r, h->af, h->bits, &h->ip);
		if (h->bits == 0 && !h->neg)
			bad(r, "a prefix of length 0 is any");
	} else if (h->type == PF_HOST_RANGE) {
		get_range(r, h);
	} else if (h->type == PF_HOST_TABLE) {
		h->table = get_string(r, PF_TABLE_NAME_SIZE, &r->last_table, true);
		if (!h->table)
			bad(r, "a table has no name");
	}
}

static void get_port(struct reader *r, struct pf_rule_port *p)
{
	p->op = (enum pf_port_op)get_enum(r, PF_PORT_OUTSIDE, "port operator");
	p->lo = pf_get_u16(&r->c);
	p->hi = pf_get_u16(&r->c);
	if (p->op >= PF_PORT_RANGE && p->lo > p->hi)
		bad(r, "a port range ends before it begins");
	if ((p->op == PF_PORT_RANGE || p->op == PF_PORT_INSIDE) && p->lo == p->hi)
		bad(r, "a port range holds no range");
}

static void check_label(struct reader *r, const char *label)
{
	if (label && !*label)
		bad(r, "a label is empty");
	for (; label && *label; label++)
		if (*label == '"' || (unsigned char)*label < 0x20 || (*label == '\\' && !label[1]))
			bad(r, "a label has odd characters");
}

static void get_block(struct reader *r, struct pf_block *b);

static const char *get_tag(struct reader *r, const char **last)
{
	const char *tag = get_string(r, PF_TAG_SIZE, last, false);

	if (!tag || !*tag)
		bad(r, "a tag is empty");
	check_label(r, tag);
	return tag;
}

/* NOLINTBEGIN(misc-no-recursion): depth is bounded */

static const struct pf_anchor *get_anchor(struct reader *r)
{
	struct pf_anchor *a = pf_arena_alloc(&r->rs->arena, sizeof(*a));
	char path[PF_ANCHOR_SIZE];

	if (!a) {
		r->nomem = true;
		return NULL;
	}
	if (pf_get_string(&r->c, path, sizeof(path))) {
		a->path = pf_arena_strdup(&r->rs->arena, path);
		r->nomem |= !a->path;
		if (pf_anchor_path_error(path, true))
			bad(r, "an anchor's name is not one");
	}
	if (get_enum(r, 1, "braces")) {
		if (a->path && strpbrk(a->path, "/*"))
			bad(r, "an anchor with rules of its own has a path");
		a->block = pf_ruleset_add_block(r->rs);
		if (a->block)
			get_block(r, a->block);
		else
			r->nomem = true;
	} else if (!a->path) {
		bad(r, "an anchor has no name");
	}
	return a;
}

/* Shared with the rule before if it says the same. */
static const struct pf_rule_ext *keep_ext(struct reader *r, const struct pf_rule_ext *x)
{
	struct pf_rule_ext *copy;

	if (r->last_ext && memcmp((const char *)r->last_ext, (const char *)x, sizeof(*x)) == 0)
		return r->last_ext;
	copy = pf_arena_alloc(&r->rs->arena, sizeof(*copy));
	if (copy)
		memcpy(copy, x, sizeof(*copy));
	else
		r->nomem = true;
	r->last_ext = copy;
	return copy;
}

/* The same: *last if it says as much. */
static const struct pf_pool *keep_pool(struct reader *r, struct pf_pool *p,
				       const struct pf_pool_host *host, const struct pf_pool **last)
{
	struct pf_pool_host *host_copy;
	struct pf_pool *copy;

	if (*last && memcmp((const char *)(*last)->hosts, (const char *)host, sizeof(*host)) == 0) {
		p->hosts = (*last)->hosts;
		if (memcmp((const char *)*last, (const char *)p, sizeof(*p)) == 0)
			return *last;
	}
	copy = pf_arena_alloc(&r->rs->arena, sizeof(*copy));
	host_copy = pf_arena_alloc(&r->rs->arena, sizeof(*host_copy));
	if (!copy || !host_copy) {
		r->nomem = true;
		return NULL;
	}
	memcpy(host_copy, host, sizeof(*host));
	p->hosts = host_copy;
	memcpy(copy, p, sizeof(*copy));
	*last = copy;
	return copy;
}

/* Which of what can be written here is enforced, pf_rule_ext_enforced() says. */
static const struct pf_pool *get_pool(struct reader *r, bool nat, const struct pf_pool **last)
{
	struct pf_pool_host host;
	struct pf_pool pool;

	memset(&host, 0, sizeof(host)); /* all of them: they are compared as bytes */
	memset(&pool, 0, sizeof(pool));
	get_host(r, &host.host);
	if (host.host.type != PF_HOST_PREFIX)
		bad(r, "a pool is no address");
	pool.nhosts = 1;
	pool.type = get_enum(r, PF_POOL_BITMASK, "pool type");
	pool.static_port = get_enum(r, nat, "static-port");
	pool.port = pf_get_u16(&r->c);
	pool.port_hi = pf_get_u16(&r->c);
	if (nat && pool.port == 50001 && pool.port_hi == 65535) /* as the parser */
		pool.port = pool.port_hi = 0;
	pool.port_range = pool.port != pool.port_hi;
	if (pool.port > pool.port_hi || (!pool.port && pool.port_hi))
		bad(r, "a pool's ports end before they begin");
	if (pool.port && pool.static_port)
		bad(r, "static-port with ports");
	return r->c.bad ? NULL : keep_pool(r, &pool, &host, last);
}

/* A next hop, as the one above. */
static void get_route(struct reader *r, struct pf_rule_ext *x)
{
	struct pf_pool_host host;
	struct pf_pool pool;
	char ifname[PF_IFNAME_SIZE];
	struct pf_cursor ahead;

	memset(&host, 0, sizeof(host));
	memset(&pool, 0, sizeof(pool));
	x->route_kind = get_enum(r, PF_REPLY_TO, "kind of routing");
	x->route_old = get_enum(r, true, "place of routing");
	pool.nhosts = 1;
	pool.type = get_enum(r, PF_POOL_BITMASK, "pool type");
	get_host(r, &host.host);
	if (host.host.type != PF_HOST_PREFIX)
		bad(r, "a next hop is no address");
	if (!x->route_kind)
		bad(r, "a next hop for no packets");
	ahead = r->c;
	if (pf_get_string(&ahead, ifname, sizeof(ifname)) && !*ifname)
		r->c = ahead;
	else
		host.ifname = get_string(r, PF_IFNAME_SIZE, &r->last_ifname, true);
	x->route = r->c.bad ? NULL : keep_pool(r, &pool, &host, &r->last_route);
}

/* As the parser leaves them: what is counted by rule needs nodes of the rule. */
static bool sources_ok(const struct pf_state_opts *o)
{
	bool rate = o->max_src_conn_rate.limit != 0;

	if (rate != (o->max_src_conn_rate.seconds != 0) ||
	    o->max_src_conn_rate.limit > PF_RATE_LARGEST ||
	    o->max_src_conn_rate.seconds > PF_TIMEOUT_LARGEST)
		return false;
	if (o->source_track == PF_TRACK_GLOBAL && (o->max_src_nodes || o->max_src_conn || rate))
		return false;
	/* the parser sees to that */
	if (o->timeout[PF_TIMEOUT_SRC_TRACK] < o->max_src_conn_rate.seconds)
		return false;
	if (o->overload && !o->max_src_conn && !rate)
		return false;
	return (!o->flush || o->overload) && (!o->flush_global || o->flush);
}

/* That sources are tracked is known already. */
static void get_sources(struct reader *r, struct pf_state_opts *o)
{
	char name[PF_TABLE_NAME_SIZE];
	struct pf_cursor ahead;

	o->max_src_nodes = pf_get_u32(&r->c);
	o->max_src_states = pf_get_u32(&r->c);
	o->max_src_conn = pf_get_u32(&r->c);
	o->max_src_conn_rate.limit = pf_get_u32(&r->c);
	o->max_src_conn_rate.seconds = pf_get_u32(&r->c);
	ahead = r->c;
	if (pf_get_string(&ahead, name, sizeof(name)) && !*name)
		r->c = ahead;
	else
		o->overload = get_string(r, PF_TABLE_NAME_SIZE, &r->last_overload, true);
}

static const struct pf_state_opts *get_state(struct reader *r)
{
	uint8_t flags = pf_get_u8(&r->c);
	struct pf_state_opts o, *copy;
	uint32_t given;

	memset(&o, 0, sizeof(o)); /* all of it: it is compared as bytes */
	o.no_sync = flags & STATE_NO_SYNC;
	o.if_bound = flags & STATE_IF_BOUND;
	o.sloppy = flags & STATE_SLOPPY;
	o.floating = flags & STATE_FLOATING;
	o.flush = flags & STATE_FLUSH;
	o.flush_global = flags & STATE_FLUSH_GLOBAL;
	if (flags & STATE_TRACK_GLOBAL)
		o.source_track = PF_TRACK_GLOBAL;
	if (flags & STATE_TRACK_RULE)
		o.source_track = PF_TRACK_RULE;
	o.max = pf_get_u32(&r->c);
	if (o.source_track)
		get_sources(r, &o);
	given = pf_get_u32(&r->c);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++) {
		if (given & 1U << i)
			o.timeout[i] = pf_get_u32(&r->c);
		if (o.timeout[i] > PF_TIMEOUT_LARGEST && i != PF_TIMEOUT_ADAPTIVE_START &&
		    i != PF_TIMEOUT_ADAPTIVE_END)
			bad(r, "a timeout is out of range");
	}
	if (given >> PF_TIMEOUT_MAX || (o.if_bound && o.floating) || !sources_ok(&o) ||
	    (flags & STATE_TRACK_GLOBAL && flags & STATE_TRACK_RULE))
		bad(r, "state options say what is unknown");
	if (r->last_state && memcmp((const char *)r->last_state, (const char *)&o, sizeof(o)) == 0)
		return r->last_state;
	copy = pf_arena_alloc(&r->rs->arena, sizeof(*copy));
	if (copy)
		memcpy(copy, &o, sizeof(*copy));
	else
		r->nomem = true;
	r->last_state = copy;
	return copy;
}

static void get_limiter(struct reader *r, struct pf_rule_limiter *l)
{
	uint8_t flags;

	l->id = pf_get_u8(&r->c);
	flags = pf_get_u8(&r->c);
	l->action = flags & LIMITER_BLOCK ? PF_LIMITER_BLOCK : PF_LIMITER_NO_MATCH;
	l->action_given = flags & LIMITER_GIVEN;
	if (flags & ~(LIMITER_BLOCK | LIMITER_GIVEN) || (!l->id && flags))
		bad(r, "a rule's limiter says what is unknown");
}

static void get_pkt_rate(struct reader *r, struct pf_rate *out)
{
	out->limit = pf_get_u32(&r->c);
	out->seconds = pf_get_u32(&r->c);
	if (!out->limit || out->limit > PF_PKT_RATE_MOST || !out->seconds)
		bad(r, "a rate is out of range");
}

/* Those beyond the first. */
static void get_labels(struct reader *r, struct pf_rule_ext *x)
{
	bool any = false;

	for (int i = 0; i < PF_LABELS_MOST - 1; i++) {
		x->labels[i] = get_string(r, PF_LABEL_SIZE, &r->last_label, false);
		check_label(r, x->labels[i]);
		any |= x->labels[i] != NULL;
	}
	if (!any)
		bad(r, "a rule has no more labels");
}

static void get_ext(struct reader *r, struct pf_rule *rule)
{
	uint32_t what = pf_get_u32(&r->c);
	struct pf_rule_ext ext, *const x = &ext;

	if (!what)
		return;
	memset(x, 0, sizeof(*x)); /* all of it: it is compared as bytes */
	if (what & EXT_RECEIVED)
		x->received_on = get_string(r, PF_IFNAME_SIZE, &r->last_ifname, true);
	x->received_not = what & EXT_RECEIVED_NOT;
	if (what & EXT_TOS)
		x->tos = pf_get_u8(&r->c);
	x->tos_given = what & EXT_TOS;
	if (what & EXT_PROB)
		x->prob = pf_get_u32(&r->c);
	if (what & EXT_TAGGED)
		x->tagged = get_tag(r, &r->last_tagged);
	x->tagged_not = what & EXT_TAGGED_NOT;
	if (what & EXT_TAG)
		x->tag = get_tag(r, &r->last_tag);
	if (what & EXT_ANCHOR)
		x->anchor = get_anchor(r);
	if (what & EXT_NAT)
		x->nat = get_pool(r, true, &r->last_nat);
	if (what & EXT_RDR)
		x->rdr = get_pool(r, false, &r->last_rdr);
	if (what & EXT_STATE)
		x->state = get_state(r);
	if (what & EXT_LIMITERS) {
		get_limiter(r, &x->state_limiter);
		get_limiter(r, &x->source_limiter);
	}
	x->once = what & EXT_ONCE;
	if (what & EXT_PKT_RATE)
		get_pkt_rate(r, &x->max_pkt_rate);
	if (what & EXT_LABELS)
		get_labels(r, x);
	if (what & EXT_ROUTE)
		get_route(r, x);
	if (what & ~(uint32_t)EXT_ALL)
		bad(r, "a rule says what is unknown");
	if ((x->received_not && !x->received_on) || (x->tagged_not && !x->tagged) ||
	    (what & EXT_PROB && !x->prob))
		bad(r, "a rule denies what it does not say");
	if (x->state && !rule->keep_state)
		bad(r, "a rule without state has options for it");
	if (x->anchor && (rule->action != PF_RULE_ACTION_PASS || rule->keep_state))
		bad(r, "an anchor's rule is no pass rule");
	rule->x = keep_ext(r, x);
}

static void get_rule(struct reader *r, struct pf_rule *rule)
{
	enum pf_rule_part part;
	const char *msg;
	uint8_t flags;

	rule->line = pf_get_u32(&r->c);
	rule->action = get_enum(r, PF_RULE_ACTION_MATCH, "action");
	rule->dir = get_enum(r, PF_RULE_OUT, "direction");
	rule->af = get_family(r, true);
	rule->proto = pf_get_u8(&r->c);
	rule->block_kind = get_enum(r, PF_BLOCK_RETURN_ICMP, "block action");
	rule->return_ttl = pf_get_u8(&r->c);
	rule->return_icmp = pf_get_u16(&r->c);
	rule->return_icmp6 = pf_get_u16(&r->c);
	rule->flags = pf_get_u8(&r->c);
	rule->flagset = pf_get_u8(&r->c);
	rule->icmp_type = pf_get_u16(&r->c);
	rule->icmp_code = pf_get_u16(&r->c);
	if (rule->icmp_type > 256 || rule->icmp_code > 256)
		bad(r, "icmp type or code is out of range");
	flags = pf_get_u8(&r->c);
	rule->log = flags & RULE_LOG;
	rule->quick = flags & RULE_QUICK;
	rule->ifnot = flags & RULE_IFNOT;
	rule->keep_state = flags & RULE_KEEP ? PF_STATE_KEEP : PF_STATE_NO;
	rule->allow_opts = flags & RULE_ALLOW_OPTS;
	rule->fragment = flags & RULE_FRAGMENT;
	rule->ifname = get_string(r, PF_IFNAME_SIZE, &r->last_ifname, true);
	rule->label = get_string(r, PF_LABEL_SIZE, &r->last_label, false);
	check_label(r, rule->label);
	get_host(r, &rule->src);
	get_host(r, &rule->dst);
	get_port(r, &rule->sport);
	get_port(r, &rule->dport);
	get_ext(r, rule);
	if (r->c.bad || r->nomem)
		return;
	if ((rule->src.af && rule->src.af != rule->af) ||
	    (rule->dst.af && rule->dst.af != rule->af))
		bad(r, "an address is not of the rule's family");
	msg = pf_rule_check(rule, &part);
	if (msg)
		bad(r, "%s", msg);
	msg = pf_rule_unenforced(rule, &part);
	if (msg)
		bad(r, "%s: not enforced yet", msg);
	if (!pf_rule_ext_enforced(rule))
		bad(r, "a rule says what is not enforced yet");
}

static void get_table(struct reader *r, struct pf_block *b)
{
	const char *name = get_string(r, PF_TABLE_NAME_SIZE, &r->last_table, true);
	uint8_t flags = pf_get_u8(&r->c);
	uint32_t n = pf_get_u32(&r->c);
	struct pf_table_def *t;

	if (!name || n > PF_MODEL_ENTRIES_MOST || pf_block_find_table(b, name)) {
		bad(r, "a table has no name, too many entries, or comes twice");
		return;
	}
	t = pf_block_add_table(r->rs, b, name);
	if (!t) {
		r->nomem = true;
		return;
	}
	t->persist = flags & TABLE_PERSIST;
	t->constant = flags & TABLE_CONST;
	t->has_list = flags & TABLE_LIST;
	t->automatic = flags & TABLE_AUTOMATIC;
	t->counters = flags & TABLE_COUNTERS;
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++) {
		struct pf_table_entry *e = pf_table_def_add(t);

		if (!e) {
			r->nomem = true;
			return;
		}
		e->af = get_family(r, false);
		e->bits = pf_get_u8(&r->c);
		e->neg = get_enum(r, 1, "negation");
		get_address(r, e->af, e->bits, &e->ip);
	}
}

static void get_rules(struct reader *r, struct pf_rule_list *l)
{
	uint32_t n = pf_get_u32(&r->c);

	if (n > PF_MODEL_RULES_MOST - r->nrules)
		bad(r, "%u rules are too many (at most %u)", n, PF_MODEL_RULES_MOST);
	if (r->c.bad)
		return;
	r->nrules += n;
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++) {
		struct pf_rule *rule = pf_rule_list_add(l);

		if (rule)
			get_rule(r, rule);
		else
			r->nomem = true;
	}
}

static void get_block(struct reader *r, struct pf_block *b)
{
	uint32_t n = pf_get_u32(&r->c);

	if (r->depth == DEPTH_MOST)
		bad(r, "anchors are nested too deeply");
	r->depth++;
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++)
		get_table(r, b);
	if (!r->c.bad && !r->nomem)
		get_rules(r, &b->list[PF_LIST_FILTER]);
	r->depth--;
}

/* NOLINTEND(misc-no-recursion) */

static bool limiter_ok(const struct pf_ruleset *rs, const struct pf_limiter_def *d)
{
	size_t len = strlen(d->name);

	if (!d->id || !d->limit || !d->rate.limit != !d->rate.seconds ||
	    d->rate.limit > PF_RATE_LARGEST || d->rate.seconds > PF_TIMEOUT_LARGEST)
		return false;
	if (!len || len >= PF_LIMITER_NAME_SIZE)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)d->name[i] < 0x20 || d->name[i] == 0x7f)
			return false;
	if (d->source && (!d->entries || d->mask[0] > 32 || d->mask[1] > 128))
		return false;
	if (d->table && (!d->above || d->below > d->above || !pf_limiter_table_ok(rs, d->table)))
		return false;
	for (size_t i = 0; &rs->limiters[i] < d; i++)
		if (rs->limiters[i].source == d->source && rs->limiters[i].id == d->id)
			return false;
	return true;
}

static void get_limiter_def(struct reader *r)
{
	struct pf_limiter_def *d = pf_ruleset_add_limiter(r->rs);
	const char *last = NULL, *last_table = NULL;

	if (!d) {
		r->nomem = true;
		return;
	}
	d->source = get_enum(r, 1, "limiter");
	d->id = pf_get_u8(&r->c);
	d->name = get_string(r, PF_LIMITER_NAME_SIZE, &last, false);
	d->limit = pf_get_u32(&r->c);
	d->rate.limit = pf_get_u32(&r->c);
	d->rate.seconds = pf_get_u32(&r->c);
	if (d->source) {
		d->entries = pf_get_u32(&r->c);
		d->mask[0] = pf_get_u8(&r->c);
		d->mask[1] = pf_get_u8(&r->c);
	}
	if (d->source && get_enum(r, 1, "limiter's table")) {
		d->table = get_string(r, PF_TABLE_NAME_SIZE, &last_table, true);
		d->above = pf_get_u32(&r->c);
		d->below = pf_get_u32(&r->c);
	}
	if (!r->c.bad && (!d->name || !limiter_ok(r->rs, d)))
		bad(r, "a limiter is none, or comes twice");
}

static void get_options(struct reader *r)
{
	struct pf_options *o = &r->rs->options;

	o->block_return = get_enum(r, 1, "block policy");
	o->keep_counters = get_enum(r, 1, "keepcounters");
	o->timeout_set = pf_get_u32(&r->c);
	o->limit_set = pf_get_u32(&r->c);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++) {
		o->timeout[i] = pf_get_u32(&r->c);
		if (i != PF_TIMEOUT_ADAPTIVE_START && i != PF_TIMEOUT_ADAPTIVE_END &&
		    o->timeout[i] > PF_TIMEOUT_LARGEST)
			bad(r, "a timeout is out of range");
	}
	for (int i = 0; i < PF_LIMIT_MAX; i++)
		o->limit[i] = pf_get_u32(&r->c);
	if (!o->timeout[PF_TIMEOUT_INTERVAL] || !o->limit[PF_LIMIT_STATES] ||
	    o->limit[PF_LIMIT_STATES] > PF_STATES_LARGEST)
		bad(r, "the interval or the limit of states is out of range");
}

/* NOLINTBEGIN(misc-no-recursion): depth is bounded */

static int decode(struct reader *r, const void *data, size_t len, struct pf_ruleset **out);

static void get_load(struct reader *r)
{
	struct reader inner = {
		.err = r->err, .errsize = r->errsize, .loads = r->loads + 1, .nrules = r->nrules};
	char path[PF_ANCHOR_SIZE];
	struct pf_load *load;
	uint32_t len;
	int err;

	if (!pf_get_string(&r->c, path, sizeof(path)) || *path == '/' ||
	    pf_anchor_path_error(path, false))
		bad(r, "an anchor's name is not one");
	len = pf_get_u32(&r->c);
	if (r->loads == LOADS_MOST)
		bad(r, "anchors load files too deeply");
	if (r->c.bad || len > (size_t)(r->c.end - r->c.at)) {
		pf_cursor_fail(&r->c);
		return;
	}
	load = pf_ruleset_add_load(r->rs, path);
	err = load ? decode(&inner, r->c.at, len, &load->rs) : -ENOMEM;
	r->c.at += len;
	r->nrules = inner.nrules;
	r->nomem |= err == -ENOMEM;
	if (err && !r->nomem) /* said */
		pf_cursor_fail(&r->c);
}

static void get_all(struct reader *r)
{
	uint32_t n;

	get_options(r);
	n = pf_get_u32(&r->c);
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++) {
		const char *name = get_string(r, PF_IFNAME_SIZE, &r->last_ifname, true);

		if (!name)
			bad(r, "an interface has no name");
		else if (pf_ruleset_add_skip(r->rs, name))
			r->nomem = true;
	}
	n = pf_get_u32(&r->c);
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++)
		get_limiter_def(r);
	get_block(r, &r->rs->main);
	n = pf_get_u32(&r->c);
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++)
		get_load(r);
}

static int decode(struct reader *r, const void *data, size_t len, struct pf_ruleset **out)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	r->c = pf_cursor_of(data, len);
	r->rs = rs;
	snprintf(r->err, r->errsize, "the ruleset is truncated or malformed");
	if (!rs)
		return -ENOMEM;
	if (pf_get_u32(&r->c) != MODEL_MAGIC)
		return -EINVAL;
	if (pf_get_u32(&r->c) != PF_MODEL_VERSION) {
		if (r->c.bad)
			return -EINVAL;
		snprintf(r->err, r->errsize, "the ruleset is of another version of pf-linux");
		return -EPROTO;
	}
	get_all(r);
	if (r->nomem)
		return -ENOMEM;
	if (!pf_cursor_done(&r->c))
		return -EINVAL;
	*out = rs;
	rs = NULL;
	return 0;
}

/* NOLINTEND(misc-no-recursion) */

int pf_model_decode(const void *data, size_t len, struct pf_ruleset **out, char *err,
		    size_t errsize)
{
	struct reader r = {.err = err, .errsize = errsize};

	return decode(&r, data, len, out);
}
