// SPDX-License-Identifier: BSD-2-Clause
/* Actions of the grammar: the parts of a filter rule. */
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "check.h"
#include "names.h"

/* A construct that the language knows and this version does not build. */
void pf_act_unbuilt(struct pf_parser *p, const struct pf_loc *loc, const char *what)
{
	pf_error(p, loc, "%s is not supported yet", what);
	p->recover = true;
}

bool pf_act_in_range(struct pf_parser *p, const struct pf_loc *loc, const char *what, long long n,
		     long long low, long long high)
{
	if (n >= low && n <= high)
		return true;
	pf_error(p, loc, "%s %lld is out of range (%lld to %lld)", what, n, low, high);
	return false;
}

void pf_act_rule_begin(struct pf_parser *p, const struct pf_loc *loc)
{
	memset(&p->stmt, 0, sizeof(p->stmt));
	p->stmt.loc = *loc;
	p->stmt.rule.line = loc->line;
}

void pf_act_seen(struct pf_parser *p, const struct pf_loc *loc, unsigned int option,
		 const char *name)
{
	if (p->stmt.seen & option)
		pf_error(p, loc, "%s is given twice", name);
	p->stmt.seen |= option;
}

pf_if_list pf_act_interface(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	struct pf_node_if *n = pf_stmt_new(p, struct pf_node_if);

	if (!n)
		return (pf_if_list){0};
	if (strlen(name) >= PF_IFNAME_SIZE)
		pf_error(p, loc, "interface name '%s' is too long (at most %d characters)", name,
			 PF_IFNAME_SIZE - 1);
	else if (!pf_name_ok(name, PF_IFNAME_SIZE))
		pf_error(p, loc, "'%s' is no interface name", name);
	n->loc = *loc;
	n->name = name;
	return (pf_if_list)pf_list_one(n);
}

pf_proto_list pf_act_protocol(struct pf_parser *p, const struct pf_loc *loc, const char *name,
			      long long number)
{
	struct pf_node_proto *n = pf_stmt_new(p, struct pf_node_proto);

	if (!n)
		return (pf_proto_list){0};
	if (name) {
		number = pf_proto_by_name(name);
		if (number < 0)
			pf_error(p, loc, "unknown protocol %s", name);
	} else {
		pf_act_in_range(p, loc, "protocol", number, 0, 255);
	}
	if (number == 0)
		pf_error(p, loc, "proto 0 cannot be used");
	n->proto = (uint8_t)number;
	return (pf_proto_list)pf_list_one(n);
}

/* One end of a port range, or -1. */
static long port_of(struct pf_parser *p, const struct pf_loc *loc, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text && !*end) {
		if (n < 0 || n > 65535) {
			pf_act_in_range(p, loc, "port", n, 0, 65535);
			return -1;
		}
		return n;
	}
	n = pf_service_by_name(text);
	if (n < 0)
		pf_error(p, loc, "unknown port %s", text);
	return n;
}

/* "ssh", "80:443" */
struct pf_rule_port pf_act_port_word(struct pf_parser *p, const struct pf_loc *loc,
				     const char *text)
{
	struct pf_rule_port r = {.op = PF_PORT_EQ};
	const char *colon = strchr(text, ':');
	long lo, hi;

	if (!colon) {
		lo = hi = port_of(p, loc, text);
	} else {
		const char *first = pf_stmt_strndup(p, text, (size_t)(colon - text));

		r.op = PF_PORT_RANGE;
		lo = first ? port_of(p, loc, first) : -1;
		hi = port_of(p, loc, colon + 1);
		if (lo > hi && hi >= 0)
			pf_error(p, loc, "port range %s ends before it begins", text);
	}
	if (lo == hi)
		r.op = PF_PORT_EQ;
	r.lo = (uint16_t)lo;
	r.hi = (uint16_t)hi;
	return r;
}

pf_port_list pf_act_port(struct pf_parser *p, const struct pf_loc *loc, enum pf_port_op op,
			 struct pf_rule_port a, struct pf_rule_port b)
{
	struct pf_node_port *n = pf_stmt_new(p, struct pf_node_port);

	if (!n)
		return (pf_port_list){0};
	if (op != PF_PORT_RANGE && (a.op == PF_PORT_RANGE || b.op == PF_PORT_RANGE))
		pf_error(p, loc, "':' cannot be used with another port operator");
	n->loc = *loc;
	n->port.op = op;
	n->port.lo = a.lo;
	n->port.hi = op == PF_PORT_RANGE ? a.hi : b.lo;
	if ((op == PF_PORT_INSIDE || op == PF_PORT_OUTSIDE) && n->port.lo > n->port.hi)
		pf_error(p, loc, "port range %u %s %u ends before it begins", n->port.lo,
			 op == PF_PORT_INSIDE ? "><" : "<>", n->port.hi);
	else if (op == PF_PORT_INSIDE && n->port.lo == n->port.hi)
		pf_error(p, loc, "port range %u >< %u holds no port", n->port.lo, n->port.hi);
	return (pf_port_list)pf_list_one(n);
}

pf_icmp_list pf_act_icmp(struct pf_parser *p, const struct pf_loc *loc, int v6, const char *name,
			 long long number)
{
	enum pf_family af = v6 ? PF_FAMILY_INET6 : PF_FAMILY_INET;
	struct pf_node_icmp *n = pf_stmt_new(p, struct pf_node_icmp);

	if (!n)
		return (pf_icmp_list){0};
	if (name) {
		number = pf_icmp_type_by_name(name, af);
		if (number < 0)
			pf_error(p, loc, "unknown %s %s", v6 ? "icmp6-type" : "icmp-type", name);
	} else {
		pf_act_in_range(p, loc, v6 ? "icmp6-type" : "icmp-type", number, 0, 255);
	}
	n->loc = *loc;
	n->type = (uint16_t)(number + 1);
	n->proto = v6 ? PF_PROTO_ICMP6 : PF_PROTO_ICMP;
	return (pf_icmp_list)pf_list_one(n);
}

void pf_act_icmp_code(struct pf_parser *p, const struct pf_loc *loc, pf_icmp_list *list,
		      const char *name, long long number)
{
	struct pf_node_icmp *n = list->first;
	enum pf_family af;

	if (!n)
		return;
	af = n->proto == PF_PROTO_ICMP6 ? PF_FAMILY_INET6 : PF_FAMILY_INET;
	if (name) {
		number = pf_icmp_code_by_name(n->type - 1U, name, af);
		if (number < 0)
			pf_error(p, loc, "unknown code %s of this type", name);
	} else {
		pf_act_in_range(p, loc, "code", number, 0, 255);
	}
	n->code = (uint16_t)(number + 1);
}

uint16_t pf_act_return_code(struct pf_parser *p, const struct pf_loc *loc, int v6, const char *name,
			    long long number)
{
	const unsigned int type = v6 ? 1 : 3; /* unreachable */

	if (name) {
		number = pf_icmp_code_by_name(type, name, v6 ? PF_FAMILY_INET6 : PF_FAMILY_INET);
		if (number < 0) {
			pf_error(p, loc, "unknown icmp code %s", name);
			return 0;
		}
	} else if (!pf_act_in_range(p, loc, "icmp code", number, 0, 255)) {
		return 0;
	}
	return (uint16_t)(type << 8 | (unsigned int)number);
}

static bool is_any(const pf_host_list *list)
{
	return list->first && list->first->host.type == PF_HOST_ANY;
}

/* With `any' among them the others say nothing. */
pf_host_list pf_act_join(pf_host_list a, pf_host_list b)
{
	if (is_any(&a))
		return a;
	if (is_any(&b))
		return b;
	pf_list_join(a, b);
	return a;
}

void pf_act_negate(pf_host_list *list)
{
	for (struct pf_node_host *n = list->first; n; n = n->next)
		n->host.neg = !n->host.neg;
}

void pf_act_flags(struct pf_parser *p, const struct pf_loc *loc, const char *set, const char *mask)
{
	int f = pf_tcp_flags_parse(set), m = pf_tcp_flags_parse(mask);

	pf_act_seen(p, loc, PF_OPT_FLAGS, "flags");
	p->stmt.flags_loc = *loc;
	if (f < 0 || m < 0) {
		pf_error(p, loc, "unknown TCP flag in %s/%s (they are F S R P A U E W)", set, mask);
		return;
	}
	if (f & ~m) {
		pf_error(p, loc, "flags %s/%s can never match", set, mask);
		return;
	}
	p->stmt.rule.flags = (uint8_t)f;
	p->stmt.rule.flagset = (uint8_t)m;
}

void pf_act_label(struct pf_parser *p, const struct pf_loc *loc, const char *text)
{
	pf_act_seen(p, loc, PF_OPT_LABEL, "label");
	p->stmt.label_loc = *loc;
	p->stmt.rule.label = *text ? text : NULL;
	for (const char *c = text; *c; c++) {
		if (*c == '"' || (unsigned char)*c < 0x20) {
			pf_error(p, loc, "a label cannot hold quotes or control characters");
			return;
		}
		/* it could not be written: it would take the closing quote's meaning away */
		if (*c == '\\' && !c[1]) {
			pf_error(p, loc, "a label cannot end in a backslash");
			return;
		}
	}
}
