// SPDX-License-Identifier: BSD-2-Clause
#include "model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../grammar/check.h"

#define MODEL_MAGIC 0x70664d31 /* "pfM1" */

/* Bits of a rule's flags byte. */
enum {
	RULE_LOG = 1,
	RULE_QUICK = 2,
	RULE_IFNOT = 4,
	RULE_KEEP = 8,
	RULE_ALLOW_OPTS = 16,
	RULE_FRAGMENT = 32,
};

enum { TABLE_PERSIST = 1, TABLE_CONST = 2, TABLE_LIST = 4 };

/* --- writing --- */

static void put_host(struct pf_buf *b, const struct pf_rule_host *h)
{
	pf_put_u8(b, (uint8_t)h->type);
	pf_put_u8(b, h->neg);
	if (h->type == PF_HOST_PREFIX) {
		pf_put_u8(b, h->af);
		pf_put_u8(b, h->bits);
		pf_put(b, h->ip.b, sizeof(h->ip.b));
	} else if (h->type == PF_HOST_TABLE) {
		pf_put_string(b, h->table);
	}
}

static void put_port(struct pf_buf *b, const struct pf_rule_port *p)
{
	pf_put_u8(b, (uint8_t)p->op);
	pf_put_u16(b, p->lo);
	pf_put_u16(b, p->hi);
}

static uint8_t rule_flags(const struct pf_rule *r)
{
	return (uint8_t)((r->log ? RULE_LOG : 0) | (r->quick ? RULE_QUICK : 0) |
			 (r->ifnot ? RULE_IFNOT : 0) | (r->keep_state ? RULE_KEEP : 0) |
			 (r->allow_opts ? RULE_ALLOW_OPTS : 0) | (r->fragment ? RULE_FRAGMENT : 0));
}

static void put_rule(struct pf_buf *b, const struct pf_rule *r)
{
	pf_put_u32(b, r->line);
	pf_put_u8(b, r->action);
	pf_put_u8(b, r->dir);
	pf_put_u8(b, r->af);
	pf_put_u8(b, r->proto);
	pf_put_u8(b, r->block_kind);
	pf_put_u8(b, r->return_ttl);
	pf_put_u16(b, r->return_icmp);
	pf_put_u16(b, r->return_icmp6);
	pf_put_u8(b, r->flags);
	pf_put_u8(b, r->flagset);
	pf_put_u16(b, r->icmp_type);
	pf_put_u16(b, r->icmp_code);
	pf_put_u8(b, rule_flags(r));
	pf_put_string(b, r->ifname);
	pf_put_string(b, r->label);
	put_host(b, &r->src);
	put_host(b, &r->dst);
	put_port(b, &r->sport);
	put_port(b, &r->dport);
}

static void put_table(struct pf_buf *b, const struct pf_table_def *t)
{
	pf_put_string(b, t->name);
	pf_put_u8(b, (uint8_t)((t->persist ? TABLE_PERSIST : 0) | (t->constant ? TABLE_CONST : 0) |
			       (t->has_list ? TABLE_LIST : 0)));
	pf_put_u32(b, (uint32_t)t->nentries);
	for (size_t i = 0; i < t->nentries; i++) {
		const struct pf_table_entry *e = &t->entries[i];

		pf_put_u8(b, e->af);
		pf_put_u8(b, e->bits);
		pf_put_u8(b, e->neg);
		pf_put(b, e->ip.b, sizeof(e->ip.b));
	}
}

void pf_model_encode(const struct pf_ruleset *rs, struct pf_buf *b)
{
	pf_put_u32(b, MODEL_MAGIC);
	pf_put_u32(b, PF_MODEL_VERSION);
	pf_put_u8(b, rs->options.block_return);
	pf_put_u32(b, rs->options.timeout_set);
	pf_put_u32(b, rs->options.limit_set);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		pf_put_u32(b, rs->options.timeout[i]);
	for (int i = 0; i < PF_LIMIT_MAX; i++)
		pf_put_u32(b, rs->options.limit[i]);
	pf_put_u32(b, (uint32_t)rs->nskip);
	for (size_t i = 0; i < rs->nskip; i++)
		pf_put_string(b, rs->skip[i]);
	pf_put_u32(b, (uint32_t)rs->main.ntables);
	for (size_t i = 0; i < rs->main.ntables; i++)
		put_table(b, &rs->main.tables[i]);
	pf_put_u32(b, (uint32_t)pf_filter(rs)->n);
	for (size_t i = 0; i < pf_filter(rs)->n; i++)
		put_rule(b, &pf_filter(rs)->v[i]);
}

/* --- reading --- */

struct reader {
	struct pf_cursor c;
	struct pf_ruleset *rs;
	char *err;
	size_t errsize;
	bool nomem;
	const char *last_ifname, *last_table, *last_label;
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
	if (last && *last && strcmp(*last, buf) == 0)
		return *last;
	{
		const char *s = pf_arena_strdup(&r->rs->arena, buf);

		if (!s)
			r->nomem = true;
		if (last)
			*last = s;
		return s;
	}
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

static void get_host(struct reader *r, struct pf_rule_host *h)
{
	h->type = (enum pf_host_type)get_enum(r, PF_HOST_TABLE, "address type");
	h->neg = get_enum(r, 1, "negation");
	if (h->type == PF_HOST_ANY && h->neg)
		bad(r, "any cannot be negated");
	if (h->type == PF_HOST_PREFIX) {
		h->af = get_family(r, false);
		h->bits = pf_get_u8(&r->c);
		get_address(r, h->af, h->bits, &h->ip);
		if (h->bits == 0 && !h->neg)
			bad(r, "a prefix of length 0 is any");
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

static void get_rule(struct reader *r, struct pf_rule *rule)
{
	enum pf_rule_part part;
	const char *msg;
	uint8_t flags;

	rule->line = pf_get_u32(&r->c);
	rule->action = get_enum(r, PF_RULE_ACTION_BLOCK, "action");
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
	if (r->c.bad)
		return;
	if ((rule->src.type == PF_HOST_PREFIX && rule->src.af != rule->af) ||
	    (rule->dst.type == PF_HOST_PREFIX && rule->dst.af != rule->af))
		bad(r, "an address is not of the rule's family");
	msg = pf_rule_check(rule, &part);
	if (msg)
		bad(r, "%s", msg);
}

static void get_table(struct reader *r)
{
	const char *name = get_string(r, PF_TABLE_NAME_SIZE, NULL, true);
	uint8_t flags = pf_get_u8(&r->c);
	uint32_t n = pf_get_u32(&r->c);
	struct pf_table_def *t;

	if (!name || n > PF_MODEL_ENTRIES_MOST || pf_ruleset_find_table(r->rs, name)) {
		bad(r, "a table has no name, too many entries, or comes twice");
		return;
	}
	t = pf_ruleset_add_table(r->rs, name);
	if (!t) {
		r->nomem = true;
		return;
	}
	t->persist = flags & TABLE_PERSIST;
	t->constant = flags & TABLE_CONST;
	t->has_list = flags & TABLE_LIST;
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

static void get_options(struct reader *r)
{
	struct pf_options *o = &r->rs->options;

	o->block_return = get_enum(r, 1, "block policy");
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

static void get_all(struct reader *r)
{
	uint32_t n;

	get_options(r);
	n = pf_get_u32(&r->c);
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++) {
		const char *name = get_string(r, PF_IFNAME_SIZE, NULL, true);

		if (!name)
			bad(r, "an interface has no name");
		else if (pf_ruleset_add_skip(r->rs, name))
			r->nomem = true;
	}
	n = pf_get_u32(&r->c);
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++)
		get_table(r);
	n = pf_get_u32(&r->c);
	if (n > PF_MODEL_RULES_MOST)
		bad(r, "%u rules are too many (at most %u)", n, PF_MODEL_RULES_MOST);
	for (uint32_t i = 0; i < n && !r->c.bad && !r->nomem; i++) {
		struct pf_rule *rule = pf_ruleset_add_rule(r->rs);

		if (rule)
			get_rule(r, rule);
		else
			r->nomem = true;
	}
}

int pf_model_decode(const void *data, size_t len, struct pf_ruleset **out, char *err,
		    size_t errsize)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct reader r = {.c = pf_cursor_of(data, len), .rs = rs, .err = err, .errsize = errsize};

	snprintf(err, errsize, "the ruleset is truncated or malformed");
	if (!rs)
		return -ENOMEM;
	if (pf_get_u32(&r.c) != MODEL_MAGIC)
		return -EINVAL;
	if (pf_get_u32(&r.c) != PF_MODEL_VERSION) {
		if (r.c.bad)
			return -EINVAL;
		snprintf(err, errsize, "the ruleset is of another version of pf-linux");
		return -EPROTO;
	}
	get_all(&r);
	if (r.nomem)
		return -ENOMEM;
	if (!pf_cursor_done(&r.c))
		return -EINVAL;
	*out = rs;
	rs = NULL;
	return 0;
}
