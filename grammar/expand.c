// SPDX-License-Identifier: BSD-2-Clause
/*
 * From one filter rule with lists to the rules that it stands for: the lists
 * are multiplied in pf's order (interface outermost, then protocol, ICMP type,
 * source, destination, source port, destination port), combinations of
 * different families are left out, and each rule is checked.
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
};

/* OpenBSD answers with "port unreachable" when no code is given. */
#define RETURN_ICMP_DEFAULT  (3 << 8 | 3)
#define RETURN_ICMP6_DEFAULT (1 << 8 | 4)

/* Number of errors, all reported. */
static int check_rule(struct pf_parser *p, const struct pf_rule *r, const struct combination *c)
{
	const struct pf_stmt_rule *s = &p->stmt;
	const struct pf_loc *loc[] = {
		[PF_PART_RULE] = &s->loc,	 [PF_PART_ICMP] = &s->icmp_loc,
		[PF_PART_BLOCK] = &s->block_loc, [PF_PART_STATE] = &s->state_loc,
		[PF_PART_PORT] = &s->loc,
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
	if (!msg)
		return 0;
	pf_error(p, loc[part], "%s", msg);
	return 1;
}

/* --- labels --- */

struct label_ctx {
	char buf[4 * PF_LABEL_SIZE];
	size_t len;
	bool full;
};

static void label_put(struct label_ctx *l, const char *text)
{
	size_t n = strlen(text);

	if (n >= sizeof(l->buf) - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->buf + l->len, text, n + 1);
	l->len += n;
}

static void host_format(const struct pf_rule_host *h, char *buf, size_t size)
{
	char ip[PF_IP_STRLEN];

	switch (h->type) {
	case PF_HOST_TABLE:
		snprintf(buf, size, "%s<%s>", h->neg ? "! " : "", h->table);
		break;
	case PF_HOST_PREFIX:
		pf_ip_format((enum pf_family)h->af, &h->ip, h->bits, ip, sizeof(ip));
		snprintf(buf, size, "%s%s", h->neg ? "! " : "", ip);
		break;
	default:
		snprintf(buf, size, "%sany", h->neg ? "! " : "");
		break;
	}
}

static void port_format(const struct pf_rule_port *port, char *buf, size_t size)
{
	static const char *const unary[] = {
		[PF_PORT_NE] = "!=", [PF_PORT_LT] = "<",  [PF_PORT_LE] = "<=",
		[PF_PORT_GT] = ">",  [PF_PORT_GE] = ">=",
	};

	switch (port->op) {
	case PF_PORT_ANY:
		*buf = '\0';
		break;
	case PF_PORT_EQ:
		snprintf(buf, size, "%u", port->lo);
		break;
	case PF_PORT_RANGE:
		snprintf(buf, size, "%u:%u", port->lo, port->hi);
		break;
	case PF_PORT_INSIDE:
		snprintf(buf, size, "%u><%u", port->lo, port->hi);
		break;
	case PF_PORT_OUTSIDE:
		snprintf(buf, size, "%u<>%u", port->lo, port->hi);
		break;
	default:
		snprintf(buf, size, "%s%u", unary[port->op], port->lo);
		break;
	}
}

/* The value of one of pf.conf(5)'s label macros; false if it is none. */
static bool label_macro(const struct pf_rule *r, size_t nr, const char *name, size_t len, char *buf,
			size_t size)
{
#define IS(text) (len == sizeof(text) - 1 && memcmp(name, text, len) == 0)
	if (IS("nr")) {
		snprintf(buf, size, "%zu", nr);
	} else if (IS("if")) {
		snprintf(buf, size, "%s", r->ifname ? r->ifname : "any");
	} else if (IS("proto")) {
		const char *proto = r->proto ? pf_proto_name(r->proto) : "ip";

		if (proto)
			snprintf(buf, size, "%s", proto);
		else
			snprintf(buf, size, "%u", r->proto);
	} else if (IS("srcaddr")) {
		host_format(&r->src, buf, size);
	} else if (IS("dstaddr")) {
		host_format(&r->dst, buf, size);
	} else if (IS("srcport")) {
		port_format(&r->sport, buf, size);
	} else if (IS("dstport")) {
		port_format(&r->dport, buf, size);
	} else {
		return false;
	}
	return true;
#undef IS
}

static const char *label_expand(struct pf_parser *p, const struct pf_rule *r, size_t nr)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyz";
	struct label_ctx l = {.len = 0};
	const char *c = r->label;
	char value[128];

	while (*c && !l.full) {
		size_t plain = strcspn(c, "$"), len;

		if (plain) {
			const char *piece = pf_stmt_strndup(p, c, plain);

			if (piece)
				label_put(&l, piece);
			c += plain;
			continue;
		}
		/* the longest name that there is: "$nrx" is the number and an x */
		len = strspn(c + 1, word);
		while (len && !label_macro(r, nr, c + 1, len, value, sizeof(value)))
			len--;
		label_put(&l, len ? value : "$");
		c += 1 + len;
	}
	if (l.full || l.len >= PF_LABEL_SIZE) {
		pf_error(p, &p->stmt.label_loc, "rule label is too long (at most %d characters)",
			 PF_LABEL_SIZE - 1);
		return NULL;
	}
	return pf_arena_strdup(&p->rs->arena, l.len ? l.buf : "");
}

/* --- multiplying --- */

/* Copies a string of the statement into the ruleset; the last copy is used again if it is equal. */
static const char *keep_string(struct pf_parser *p, const char *s, const char *last)
{
	const char *copy;

	if (!s)
		return NULL;
	if (last && strcmp(s, last) == 0)
		return last;
	copy = pf_arena_strdup(&p->rs->arena, s);
	if (!copy)
		pf_error_nomem(p);
	return copy;
}

static bool families_differ(uint8_t a, uint8_t b)
{
	return a && b && a != b;
}

/* The family of one combination, or -1 if its parts are of different ones. */
static int family_of(const struct pf_rule *r, const struct combination *c)
{
	uint8_t s = c->src ? c->src->host.af : 0, d = c->dst ? c->dst->host.af : 0;

	if (families_differ(r->af, s) || families_differ(r->af, d) || families_differ(s, d))
		return -1;
	return r->af ? r->af : s ? s : d;
}

static void defaults(struct pf_rule *r, unsigned int seen)
{
	if (r->action == PF_RULE_ACTION_PASS) {
		if (!(seen & PF_OPT_STATE))
			r->keep_state = true;
		if (!(seen & PF_OPT_FLAGS) && r->keep_state && !r->fragment) {
			r->flags = 0x02;   /* S */
			r->flagset = 0x12; /* SA */
		}
	} else if (r->block_kind == PF_BLOCK_RETURN || r->block_kind == PF_BLOCK_RETURN_ICMP) {
		if (!r->return_icmp)
			r->return_icmp = RETURN_ICMP_DEFAULT;
		if (!r->return_icmp6)
			r->return_icmp6 = RETURN_ICMP6_DEFAULT;
	}
	/* flags are TCP's alone; rules for any protocol keep them for it */
	if (r->proto && r->proto != PF_PROTO_TCP)
		r->flags = r->flagset = 0;
}

/* 0.0.0.0/0 and ::/0: the rule has the family now, the rest is any. */
static void any_of_family(struct pf_rule_host *h)
{
	if (h->type == PF_HOST_PREFIX && h->bits == 0 && !h->neg)
		h->type = PF_HOST_ANY;
}

/* 1 if a rule was added, 0 if the combination is none, -1 if it was an error. */
static int add_rule(struct pf_parser *p, const struct combination *c)
{
	struct pf_rule r = p->stmt.rule, *last, *slot;
	int af = family_of(&r, c);

	if (af < 0)
		return 0;
	r.af = (uint8_t)af;
	if (c->ifp) {
		r.ifname = c->ifp->name;
		r.ifnot = c->ifp->neg;
	}
	if (c->proto)
		r.proto = c->proto->proto;
	if (c->icmp) {
		r.icmp_type = c->icmp->type;
		r.icmp_code = c->icmp->code;
	}
	if (c->src)
		r.src = c->src->host;
	if (c->dst)
		r.dst = c->dst->host;
	any_of_family(&r.src);
	any_of_family(&r.dst);
	if (c->sport)
		r.sport = c->sport->port;
	if (c->dport)
		r.dport = c->dport->port;
	defaults(&r, p->stmt.seen);
	if (check_rule(p, &r, c))
		return -1;
	if (r.label) {
		r.label = label_expand(p, &r, p->rs->nrules);
		if (!r.label)
			return -1;
	}
	last = p->rs->nrules ? &p->rs->rules[p->rs->nrules - 1] : NULL;
	r.ifname = keep_string(p, r.ifname, last ? last->ifname : NULL);
	r.src.table = keep_string(p, r.src.table, last ? last->src.table : NULL);
	r.dst.table = keep_string(p, r.dst.table, last ? last->dst.table : NULL);
	if (p->nomem)
		return -1;
	if (p->rs->nrules >= PF_RULES_LARGEST) {
		pf_error(p, &p->stmt.loc, "more than %d rules, lists multiplied", PF_RULES_LARGEST);
		return -1;
	}
	slot = pf_ruleset_add_rule(p->rs);
	if (!slot || pf_ruleset_add_item(p->rs, PF_ITEM_RULE, NULL, p->rs->nrules - 1)) {
		pf_error_nomem(p);
		return -1;
	}
	*slot = r;
	return 1;
}

/* Flags are for tcp: one of the protocols must be it, or none be named. */
static bool flags_apply(struct pf_parser *p)
{
	const struct pf_stmt_rule *s = &p->stmt;

	if (!s->rule.flagset || !s->protos.first)
		return true;
	for (const struct pf_node_proto *n = s->protos.first; n; n = n->next)
		if (n->proto == PF_PROTO_TCP)
			return true;
	pf_error(p, &s->flags_loc, "flags only apply to tcp");
	return false;
}

/*
 * An odometer over the lists, the first the slowest; an empty list counts as
 * one turn.  Errors of a rule are the same for most of its combinations: one
 * rule that is wrong ends the statement.
 */
void pf_expand_rule(struct pf_parser *p)
{
	const struct pf_stmt_rule *s = &p->stmt;
	struct combination c;
	size_t added = 0;
	unsigned int before = p->nerrors;

	if (!flags_apply(p))
		return;
#define EACH(member, list) for ((member) = (list); !p->nomem; (member) = (member)->next) {
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
	int n = add_rule(p, &c);

	if (n < 0)
		return;
	added += (size_t)n;
	END(c.dport)
	END(c.sport)
	END(c.dst)
	END(c.src)
	END(c.icmp)
	END(c.proto)
	END(c.ifp)
#undef EACH
#undef END
	if (!added && !p->nomem && p->nerrors == before)
		pf_error(p, &s->loc, "rule expands to no valid combination");
}
