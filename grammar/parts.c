// SPDX-License-Identifier: BSD-2-Clause
/* Parts of rules that come in lists: interfaces, protocols, ports, users, ICMP types. */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "names.h"
#include "parser.h"

/* --- interfaces --- */

void pf_lint_interface(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	const char *meant;

	if (!p->opt->lint_interfaces || p->opt->offline || strcmp(name, "self") == 0 ||
	    pf_if_lookup(p, name) != PF_IF_UNKNOWN)
		return;
	meant = pf_if_suggest(p, name);
	pf_warn(p, loc, "there is no interface '%s'%s%s%s", name, meant ? "; did you mean '" : "",
		meant ? meant : "", meant ? "'?" : "");
}

bool pf_interface_name(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	if (strlen(name) >= PF_IFNAME_SIZE) {
		pf_error(p, loc, "interface name '%s' is too long (at most %d characters)", name,
			 PF_IFNAME_SIZE - 1);
		return false;
	}
	if (!pf_name_ok(name, PF_IFNAME_SIZE)) {
		pf_error(p, loc, "'%s' is no interface name", name);
		return false;
	}
	if (strcmp(name, PF_IF_ANY) == 0) {
		pf_error(p, loc, "an interface cannot be called '%s'", name);
		return false;
	}
	pf_lint_interface(p, loc, name);
	return true;
}

static void interface_name(struct pf_parser *p, struct pf_node_if *n)
{
	const char *name = pf_value(p, "an interface", false);

	if (!name)
		return;
	n->name = name;
	pf_interface_name(p, &n->loc, name);
}

struct pf_node_if *pf_parse_interface(struct pf_parser *p)
{
	struct pf_node_if *n = pf_stmt_new(p, struct pf_node_if);
	long long rdomain;

	if (!n)
		return NULL;
	n->rdomain = -1;
	n->neg = pf_accept(p, '!');
	n->loc = p->tok.loc;
	if (pf_accept_word(p, "any")) {
		n->name = PF_IF_ANY;
	} else if (pf_accept_word(p, "rdomain")) {
		pf_unenforced(p, &n->loc, "rdomain");
		if (pf_number(p, "rdomain", 0, 255, &rdomain))
			n->rdomain = (int)rdomain;
	} else {
		interface_name(p, n);
	}
	return n->name || n->rdomain >= 0 ? n : NULL;
}

void pf_parse_interfaces(struct pf_parser *p, pf_if_list *list)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);) {
		struct pf_node_if *n = pf_parse_interface(p);

		if (n)
			pf_list_add(list, n);
	}
}

/* --- protocols --- */

static void protocol(struct pf_parser *p, pf_proto_list *list)
{
	struct pf_node_proto *n = pf_stmt_new(p, struct pf_node_proto);
	struct pf_loc loc = p->tok.loc;
	long long number;

	if (!n)
		return;
	if (pf_is(p, TOK_NUMBER)) {
		if (!pf_number(p, "protocol", 0, 255, &number))
			return;
	} else {
		const char *name = pf_value(p, "a protocol", false);

		if (!name)
			return;
		number = pf_proto_by_name(name);
		if (number < 0) {
			const char *meant = pf_suggest(name, pf_proto_names);

			pf_error(p, &loc, "unknown protocol %s%s%s%s", name,
				 meant ? "; did you mean " : "", meant ? meant : "",
				 meant ? "?" : "");
			return;
		}
	}
	if (number == 0)
		pf_error(p, &loc, "proto 0 cannot be used");
	n->loc = loc;
	n->proto = (uint8_t)number;
	pf_list_add(list, n);
}

void pf_parse_protocols(struct pf_parser *p, pf_proto_list *list)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		protocol(p, list);
}

/* --- ports --- */

/* One end of a port range, or -1. */
static long port_of(struct pf_parser *p, const struct pf_loc *loc, const char *text)
{
	char *end;
	/* as a number anywhere: decimal, or hexadecimal with 0x */
	long n = strtol(text, &end, strncasecmp(text, "0x", 2) == 0 ? 16 : 10);

	if (*text && !*end) {
		if (!pf_in_range(p, loc, "port", n, 0, 65535))
			return -1;
		return n;
	}
	n = pf_service_by_name(text);
	if (n < 0)
		pf_error(p, loc, "unknown port %s", text);
	return n;
}

int pf_port_range(struct pf_parser *p, const struct pf_loc *loc, const char *text, bool star,
		  long *lo, long *hi)
{
	const char *colon = strchr(text, ':'), *first;

	if (!colon) {
		*lo = *hi = port_of(p, loc, text);
		return *lo < 0 ? -1 : 0;
	}
	first = pf_stmt_strndup(p, text, (size_t)(colon - text));
	if (!first)
		return -1;
	*lo = port_of(p, loc, first);
	if (star && strcmp(colon + 1, "*") == 0) {
		*hi = -1;
		return *lo < 0 ? -1 : 0;
	}
	*hi = *lo < 0 ? -1 : port_of(p, loc, colon + 1);
	if (*hi < 0)
		return -1;
	if (*lo > *hi) {
		pf_error(p, loc, "invalid port range: %s ends before it begins", text);
		return -1;
	}
	return 0;
}

long pf_parse_port(struct pf_parser *p)
{
	struct pf_loc loc = p->tok.loc;
	const char *text = pf_value_or_number(p, "a port");

	return text ? port_of(p, &loc, text) : -1;
}

/* A port, or with `range` lo:hi; its op is EQ, RANGE, or ANY after an error. */
static struct pf_rule_port port_word(struct pf_parser *p)
{
	struct pf_rule_port r = {.op = PF_PORT_ANY};
	struct pf_loc loc = p->tok.loc;
	const char *text;
	long lo = 0, hi = 0;

	if (pf_is(p, TOK_TABLE)) {
		pf_fatal(p, &loc, "a table (<%s>) cannot be used as a port", p->tok.text);
		return r;
	}
	text = pf_value_or_number(p, "a port");
	if (!text || pf_port_range(p, &loc, text, false, &lo, &hi))
		return r;
	r.op = strchr(text, ':') && lo != hi ? PF_PORT_RANGE : PF_PORT_EQ;
	r.lo = (uint16_t)lo;
	r.hi = (uint16_t)hi;
	return r;
}

static enum pf_port_op unary_op(struct pf_parser *p)
{
	static const struct {
		int kind;
		enum pf_port_op op;
	} ops[] = {{'=', PF_PORT_EQ},	 {TOK_NE, PF_PORT_NE}, {'<', PF_PORT_LT},
		   {TOK_LE, PF_PORT_LE}, {'>', PF_PORT_GT},    {TOK_GE, PF_PORT_GE}};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (pf_accept(p, ops[i].kind))
			return ops[i].op;
	return PF_PORT_ANY;
}

static enum pf_port_op binary_op(struct pf_parser *p)
{
	if (pf_accept(p, TOK_INSIDE))
		return PF_PORT_INSIDE;
	if (pf_accept(p, TOK_OUTSIDE))
		return PF_PORT_OUTSIDE;
	return PF_PORT_ANY;
}

static void check_binary(struct pf_parser *p, const struct pf_loc *loc, enum pf_port_op op,
			 uint32_t lo, uint32_t hi, const char *what)
{
	if (lo > hi)
		pf_error(p, loc, "invalid %s range: %u %s %u ends before it begins", what, lo,
			 op == PF_PORT_INSIDE ? "><" : "<>", hi);
	else if (op == PF_PORT_INSIDE && lo == hi)
		pf_error(p, loc, "invalid %s range: %u >< %u holds no %s", what, lo, hi, what);
}

static void port(struct pf_parser *p, pf_port_list *list)
{
	struct pf_node_port *n = pf_stmt_new(p, struct pf_node_port);
	struct pf_loc loc = p->tok.loc;
	enum pf_port_op op = unary_op(p), binary;
	struct pf_rule_port a, b;

	if (!n)
		return;
	a = port_word(p);
	n->loc = loc = pf_loc_span(&loc, &p->last_loc);
	n->port = a;
	if (op != PF_PORT_ANY) {
		if (a.op == PF_PORT_RANGE)
			pf_error(p, &loc, "':' cannot be used with another port operator");
		n->port.op = op;
		n->port.hi = a.lo;
	} else if ((binary = binary_op(p)) != PF_PORT_ANY) {
		b = port_word(p);
		if (p->recover || a.op == PF_PORT_ANY || b.op == PF_PORT_ANY)
			return;
		n->loc = loc = pf_loc_span(&loc, &p->last_loc);
		if (a.op == PF_PORT_RANGE || b.op == PF_PORT_RANGE)
			pf_error(p, &loc, "':' cannot be used with another port operator");
		n->port = (struct pf_rule_port){.op = binary, .lo = a.lo, .hi = b.lo};
		check_binary(p, &loc, binary, a.lo, b.lo, "port");
	}
	if (a.op != PF_PORT_ANY)
		pf_list_add(list, n);
}

void pf_parse_ports(struct pf_parser *p, pf_port_list *list)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		port(p, list);
}

/* --- users and groups --- */

static bool id_of(struct pf_parser *p, bool group, uint32_t *out)
{
	struct pf_loc loc = p->tok.loc;
	const char *text;
	long long n;

	if (pf_is(p, TOK_NUMBER)) {
		if (!pf_number(p, group ? "group" : "user", 0, UINT32_MAX - 1, &n))
			return false;
		*out = (uint32_t)n;
		return true;
	}
	text = pf_value(p, group ? "a group" : "a user", true);
	if (!text)
		return false;
	*out = PF_ID_UNKNOWN;
	if (strcmp(text, "unknown") == 0)
		return true;
	if (group) {
		const struct group *g = getgrnam(text);

		*out = g ? g->gr_gid : PF_ID_UNKNOWN;
	} else {
		const struct passwd *u = getpwnam(text);

		*out = u ? u->pw_uid : PF_ID_UNKNOWN;
	}
	if (*out == PF_ID_UNKNOWN && p->opt->offline) {
		pf_warn(p, &loc, "unknown %s %s", group ? "group" : "user", text);
		return true;
	}
	if (*out == PF_ID_UNKNOWN)
		pf_error(p, &loc, "unknown %s %s", group ? "group" : "user", text);
	return *out != PF_ID_UNKNOWN;
}

static void id(struct pf_parser *p, bool group, pf_id_list *list)
{
	struct pf_node_id *n = pf_stmt_new(p, struct pf_node_id);
	struct pf_loc loc = p->tok.loc;
	enum pf_port_op op = unary_op(p), binary;
	uint32_t lo = 0, hi = 0;

	if (!n || !id_of(p, group, &lo))
		return;
	n->loc = loc;
	binary = op == PF_PORT_ANY ? binary_op(p) : PF_PORT_ANY;
	if (binary != PF_PORT_ANY) {
		if (!id_of(p, group, &hi))
			return;
		op = binary;
		check_binary(p, &loc, op, lo, hi, group ? "group" : "user");
	} else if (op == PF_PORT_ANY) {
		op = PF_PORT_EQ;
	}
	if ((lo == PF_ID_UNKNOWN || hi == PF_ID_UNKNOWN) && op != PF_PORT_EQ && op != PF_PORT_NE)
		pf_error(p, &loc, "%s unknown requires operator = or !=", group ? "group" : "user");
	n->id = (struct pf_rule_id){.op = op, .lo = lo, .hi = hi};
	pf_list_add(list, n);
}

void pf_parse_ids(struct pf_parser *p, bool group, pf_id_list *list)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		id(p, group, list);
}

/* --- ICMP types --- */

static bool icmp_type(struct pf_parser *p, bool v6, long long *out)
{
	const char *what = v6 ? "icmp6-type" : "icmp-type";
	struct pf_loc loc = p->tok.loc;
	const char *name;

	if (pf_is(p, TOK_NUMBER))
		return pf_number(p, what, 0, 255, out);
	/* a type may have a keyword's name */
	name = pf_value(p, v6 ? "an icmp6-type" : "an icmp-type", pf_is_word(p, "skip"));
	if (!name)
		return false;
	*out = pf_icmp_type_by_name(name, v6 ? PF_FAMILY_INET6 : PF_FAMILY_INET);
	if (*out < 0)
		pf_error(p, &loc, "unknown %s %s", what, name);
	return *out >= 0;
}

static bool icmp_code(struct pf_parser *p, bool v6, long long type, long long *out)
{
	struct pf_loc loc = p->tok.loc;
	const char *name;

	if (pf_is(p, TOK_NUMBER))
		return pf_number(p, "code", 0, 255, out);
	name = pf_value(p, "a code", true);
	if (!name)
		return false;
	*out = pf_icmp_code_by_name((unsigned int)type, name,
				    v6 ? PF_FAMILY_INET6 : PF_FAMILY_INET);
	if (*out < 0)
		pf_error(p, &loc, "unknown code %s of this type", name);
	return *out >= 0;
}

void pf_parse_icmp(struct pf_parser *p, bool v6, pf_icmp_list *list)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);) {
		struct pf_node_icmp *n = pf_stmt_new(p, struct pf_node_icmp);
		long long type, code;

		if (!n)
			return;
		n->loc = p->tok.loc;
		if (!icmp_type(p, v6, &type))
			continue;
		n->type = (uint16_t)(type + 1);
		n->proto = v6 ? PF_PROTO_ICMP6 : PF_PROTO_ICMP;
		if (pf_accept_word(p, "code") && icmp_code(p, v6, type, &code))
			n->code = (uint16_t)(code + 1);
		pf_list_add(list, n);
	}
}

/* --- operating systems --- */

void pf_parse_os(struct pf_parser *p, pf_os_list *list)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);) {
		struct pf_node_os *n = pf_stmt_new(p, struct pf_node_os);
		struct pf_loc loc = p->tok.loc;
		const char *name = pf_value(p, "an operating system", true);

		if (!n || !name)
			return;
		if (strlen(name) >= PF_OS_NAME_SIZE)
			pf_error(p, &loc, "name of an operating system is too long (at most %d)",
				 PF_OS_NAME_SIZE - 1);
		n->loc = loc;
		n->name = name;
		pf_list_add(list, n);
	}
}

/* --- type of service --- */

static const struct {
	const char *name;
	uint8_t tos;
} tos_names[] = {
	/* RFC 1349, and DSCP in the upper six bits: RFC 2474, 2597, 3246, 5865 */
	{"lowdelay", 0x10},   {"throughput", 0x08}, {"reliability", 0x04}, {"mincost", 0x02},
	{"af11", 0x28},	      {"af12", 0x30},	    {"af13", 0x38},	   {"af21", 0x48},
	{"af22", 0x50},	      {"af23", 0x58},	    {"af31", 0x68},	   {"af32", 0x70},
	{"af33", 0x78},	      {"af41", 0x88},	    {"af42", 0x90},	   {"af43", 0x98},
	{"cs0", 0x00},	      {"cs1", 0x20},	    {"cs2", 0x40},	   {"cs3", 0x60},
	{"cs4", 0x80},	      {"cs5", 0xa0},	    {"cs6", 0xc0},	   {"cs7", 0xe0},
	{"ef", 0xb8},	      {"va", 0xb0},	    {"critical", 0xa0},	   {"inetcontrol", 0xc0},
	{"netcontrol", 0xe0},
};

bool pf_tos(struct pf_parser *p, uint8_t *out)
{
	long long n;

	for (size_t i = 0; pf_is(p, TOK_WORD) && i < sizeof(tos_names) / sizeof(tos_names[0]);
	     i++) {
		if (strcasecmp(tos_names[i].name, p->tok.text) != 0)
			continue;
		*out = tos_names[i].tos;
		pf_next(p);
		return true;
	}
	if (!pf_number(p, "tos", 0, 255, &n))
		return false;
	*out = (uint8_t)n;
	return true;
}
