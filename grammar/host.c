// SPDX-License-Identifier: BSD-2-Clause
/* Addresses as written in rules, tables and pools. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "check.h"
#include "parser.h"

#define HOST_NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
#define MODES	  (PF_HOST_NETWORK | PF_HOST_BROADCAST | PF_HOST_PEER)

static struct pf_node_host *add(struct pf_parser *p, const struct pf_loc *loc,
				enum pf_host_type type, pf_host_list *list)
{
	struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);

	if (!n)
		return NULL;
	n->loc = *loc;
	n->host.type = type;
	pf_list_add(list, n);
	return n;
}

static struct pf_node_host *add_prefix(struct pf_parser *p, const struct pf_loc *loc,
				       enum pf_family af, const struct pf_ip *ip, long long bits,
				       pf_host_list *list)
{
	struct pf_node_host *n = add(p, loc, PF_HOST_PREFIX, list);

	if (!n)
		return NULL;
	n->host.af = (uint8_t)af;
	n->host.ip = *ip;
	n->host.bits = (uint8_t)(bits < 0 ? pf_family_bits(af) : (unsigned int)bits);
	pf_ip_mask(&n->host.ip, n->host.bits);
	return n;
}

static bool bits_ok(struct pf_parser *p, const struct pf_loc *loc, enum pf_family af,
		    long long bits)
{
	if (bits <= (long long)pf_family_bits(af))
		return true;
	pf_error(p, loc, "prefix length %lld is out of range (0 to %u)", bits, pf_family_bits(af));
	return false;
}

/* --- interfaces --- */

struct if_ctx {
	struct pf_parser *p;
	const struct pf_loc *loc;
	unsigned int modifiers;
	long long bits;
	pf_host_list *list;
	const char *text;
	bool lo0; /* lo was called so */
};

static void add_ifaddr(void *ctx, const struct pf_ifaddr *a)
{
	const struct if_ctx *c = ctx;
	struct pf_node_host *n;
	unsigned int bits;
	struct pf_ip ip;

	/* a prefix length that is for the interface's other addresses */
	if (!pf_ifaddr_pick(a, c->modifiers, c->bits, &ip, &bits))
		return;
	n = add_prefix(c->p, c->loc, (enum pf_family)a->af, &ip, bits, c->list);
	if (!n)
		return;
	n->from_name = true;
	n->name = c->text;
	/* the address means something there only; see inet6(4) */
	if (a->linklocal)
		n->scope = strcmp(a->ifname, "lo") == 0 && c->lo0 ? "lo0" : a->ifname;
}

/* Whether or not it is there; false after an error. */
static bool modifiers_ok(struct pf_parser *p, const struct pf_loc *loc, const char *text,
			 unsigned int modifiers, long long bits)
{
	if (!pf_if_modifiers_ok(modifiers)) {
		pf_error(p, loc, "illegal combination of interface modifiers");
		return false;
	}
	if (modifiers & (PF_HOST_NETWORK | PF_HOST_BROADCAST) && bits >= 0) {
		pf_error(p, loc, "%s has its prefix length from the interface", text);
		return false;
	}
	return true;
}

/* True if the text names an interface, group or self: its addresses are in the list. */
static bool interface(struct pf_parser *p, const struct pf_loc *loc, const char *text,
		      long long bits, pf_host_list *list)
{
	struct if_ctx c = {p, loc, 0, bits, list, text, false};
	const unsigned int errors = p->result.errors;
	const void *before = list->last;
	const char *name;
	bool self;

	if (!pf_if_modifiers(p, text, &name, &c.modifiers))
		return false;
	self = strcmp(name, "self") == 0;
	if (p->opt->offline)
		return false;
	if (!self && (strlen(name) >= PF_IFNAME_SIZE || pf_if_lookup(p, name) == PF_IF_UNKNOWN))
		return false;
	if (!modifiers_ok(p, loc, text, c.modifiers, bits))
		return true;
	c.lo0 = strcmp(name, "lo0") == 0;
	pf_if_addrs(p, self ? NULL : name, c.modifiers, add_ifaddr, &c);
	if (list->last == before && p->result.errors == errors && bits > 32)
		pf_error(p, loc, "prefix length %lld is more than the addresses of %s have", bits,
			 text);
	else if (list->last == before && p->result.errors == errors)
		pf_error(p, loc, "interface %s has no such address", text);
	return true;
}

/* --- names --- */

/* "name:0": the first address of each family */
static bool first_address(const char *text)
{
	size_t len = strlen(text);

	return len > 2 && strcmp(text + len - 2, ":0") == 0;
}

/* Every address of a name, each with the bits that were given. */
static void resolve(struct pf_parser *p, const struct pf_loc *loc, const char *text, long long bits,
		    pf_host_list *list)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *res = NULL;
	bool first_only = first_address(text), got[2] = {false, false};
	const void *before = list->last;
	const char *name = first_only ? pf_stmt_strndup(p, text, strlen(text) - 2) : text;
	const char *meant;
	int err;

	if (!name)
		return;
	err = p->opt->no_dns ? EAI_NONAME : getaddrinfo(name, NULL, &hints, &res);
	if (err) {
		meant = pf_if_suggest(p, name);
		pf_error(p, loc, "could not resolve \"%s\": %s%s%s%s", name,
			 p->opt->no_dns ? "names are not looked up" : gai_strerror(err),
			 meant ? "; did you mean the interface " : "", meant ? meant : "",
			 meant ? "?" : "");
		return;
	}
	for (struct addrinfo *a = res; a; a = a->ai_next) {
		enum pf_family af = a->ai_family == AF_INET ? PF_FAMILY_INET : PF_FAMILY_INET6;
		struct pf_node_host *n;
		struct pf_ip ip = {0};

		if (a->ai_family == AF_INET)
			memcpy(ip.b,
			       &((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr,
			       4);
		else if (a->ai_family == AF_INET6)
			memcpy(ip.b,
			       &((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr,
			       16);
		else
			continue;
		if ((first_only && got[a->ai_family == AF_INET6]) ||
		    bits > (long long)pf_family_bits(af))
			continue;
		got[a->ai_family == AF_INET6] = true;
		n = add_prefix(p, loc, af, &ip, bits, list);
		if (!n)
			break;
		n->from_name = true;
		n->name = text;
	}
	freeaddrinfo(res);
	/* for none of them */
	if (list->last == before && !p->nomem)
		bits_ok(p, loc, bits > 128 ? PF_FAMILY_INET6 : PF_FAMILY_INET, bits);
}

/* Offline: an interface or a host. */
static void unknown_name(struct pf_parser *p, const struct pf_loc *loc, const char *text,
			 unsigned int modifiers, long long bits, pf_host_list *list)
{
	struct pf_node_host *n;

	if (!modifiers_ok(p, loc, text, modifiers, bits))
		return;
	n = add(p, loc, PF_HOST_NAME, list);
	if (!n)
		return;
	n->name = text;
	n->host.name = bits < 0 ? text : pf_stmt_printf(p, "%s/%lld", text, bits);
	n->from_name = true;
	pf_warn(p, loc, "\"%s\" is not looked up", text);
}

/* "fe80::1%em0": the address, and where it is one. */
static bool scoped(struct pf_parser *p, const struct pf_loc *loc, const char *text, long long bits,
		   pf_host_list *list)
{
	const char *percent = strchr(text, '%'), *addr;
	enum pf_family af = PF_FAMILY_INET;
	struct pf_node_host *n;
	struct pf_ip ip;

	if (!percent)
		return false;
	addr = pf_stmt_strndup(p, text, (size_t)(percent - text));
	if (!addr)
		return true;
	if (!pf_ip_parse(addr, &af, &ip) || af != PF_FAMILY_INET6 || !percent[1] ||
	    strlen(percent + 1) >= PF_IFNAME_SIZE || !pf_name_ok(percent + 1, PF_IFNAME_SIZE)) {
		pf_error(p, loc, "%s is not an address", text);
		return true;
	}
	if (strcmp(percent + 1, PF_IF_ANY) == 0 ||
	    (!p->opt->offline && pf_if_lookup(p, percent + 1) == PF_IF_GROUP)) {
		pf_error(p, loc, "%s: an address is one of an interface, not of a group", text);
		return true;
	}
	/* fe80::/10, and multicast */
	if (ip.b[0] != 0xff && !(ip.b[0] == 0xfe && (ip.b[1] & 0xc0) == 0x80)) {
		pf_error(p, loc, "%s: only link-local addresses have an interface", text);
		return true;
	}
	if (!bits_ok(p, loc, af, bits))
		return true;
	pf_lint_interface(p, loc, percent + 1);
	n = add_prefix(p, loc, af, &ip, bits, list);
	if (!n)
		return true;
	n->scope = percent + 1;
	n->name = text;
	return true;
}

static void no_address(struct pf_parser *p, const struct pf_loc *loc, const char *text)
{
	const char *meant = NULL, *name;
	unsigned int modifiers;

	/* not of an address that is cut short */
	if (pf_if_modifiers(p, text, &name, &modifiers) && modifiers & MODES && !p->opt->offline)
		meant = pf_if_suggest(p, name);
	pf_error(p, loc, "%s is not an address%s%s%s", text,
		 meant ? "; did you mean the interface " : "", meant ? meant : "",
		 meant ? "?" : "");
}

static void host_add(struct pf_parser *p, const struct pf_loc *loc, const char *text,
		     long long bits, pf_host_list *list)
{
	enum pf_family af = PF_FAMILY_INET;
	size_t len = strlen(text);
	unsigned int modifiers;
	struct in_addr old;
	const char *name;
	struct pf_ip ip;

	if (pf_ip_parse(text, &af, &ip) || (bits >= 0 && pf_ip_parse_short(text, &ip))) {
		if (bits_ok(p, loc, af, bits))
			add_prefix(p, loc, af, &ip, bits, list);
		return;
	}
	if (scoped(p, loc, text, bits, list) || interface(p, loc, text, bits, list))
		return;
	if (p->opt->offline && pf_if_modifiers(p, text, &name, &modifiers) && *name &&
	    !(modifiers & MODES && strlen(name) >= PF_IFNAME_SIZE) &&
	    strspn(name, HOST_NAME) == strlen(name) &&
	    strspn(name, "0123456789.") != strlen(name)) {
		unknown_name(p, loc, text, modifiers, bits, list);
		return;
	}
	/* what getaddrinfo(3) would take for an address in inet_aton(3)'s notation */
	if (inet_aton(text, &old) || strspn(text, "0123456789.") == len ||
	    strspn(text, HOST_NAME) != (first_address(text) ? len - 2 : len)) {
		no_address(p, loc, text);
		return;
	}
	resolve(p, loc, text, bits, list);
}

void pf_host_add(struct pf_parser *p, const struct pf_loc *loc, const char *text, long long bits,
		 pf_host_list *list)
{
	const unsigned int errors = p->result.errors;

	host_add(p, loc, text, bits, list);
	p->stmt.bad_host |= p->result.errors != errors;
}

void pf_host_drop_scoped(struct pf_parser *p, const struct pf_loc *loc, pf_host_list *list)
{
	const struct pf_node_host *first = list->first;
	pf_host_list rest = {0};

	for (struct pf_node_host *n = list->first, *next; n; n = next) {
		next = n->next;
		n->next = NULL;
		if (!n->scope || !n->from_name)
			pf_list_add(&rest, n);
	}
	*list = rest;
	if (!first || rest.first)
		return;
	pf_error(p, loc, "%s has link-local addresses only, which cannot be used here",
		 first->name);
	p->stmt.bad_host = true;
}

/* --- the grammar's host --- */

bool pf_table_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	if (pf_name_ok(name, PF_TABLE_NAME_SIZE))
		return true;
	if (strlen(name) >= PF_TABLE_NAME_SIZE)
		pf_error(p, loc, "table name '%s' is too long (at most %d characters)", name,
			 PF_TABLE_NAME_SIZE - 1);
	else
		pf_error(p, loc, "'%s' is no table name", name);
	return false;
}

const char *pf_parse_table_name(struct pf_parser *p, struct pf_loc *loc)
{
	const char *name = p->tok.text;

	*loc = p->tok.loc;
	if (pf_accept(p, TOK_TABLE)) {
		/* a place in a macro's use stays as it is */
		if (!loc->trace) {
			loc->col++;
			loc->end_col--;
		}
		return name;
	}
	if (!pf_expect(p, '<', "a table (<name>)"))
		return NULL;
	*loc = p->tok.loc;
	name = pf_value_or_number(p, "a table's name");
	return name && pf_expect(p, '>', "\">\"") ? name : NULL;
}

static void table(struct pf_parser *p, pf_host_list *list)
{
	struct pf_loc loc = p->tok.loc, name_loc;
	const char *name = pf_parse_table_name(p, &name_loc);
	struct pf_node_host *n;

	if (!name || !pf_table_name_ok(p, &name_loc, name))
		return;
	n = add(p, &loc, PF_HOST_TABLE, list);
	if (n)
		n->host.table = name;
}

/* "/n", or -1. */
static long long prefix(struct pf_parser *p)
{
	long long bits;

	if (!pf_accept(p, '/'))
		return -1;
	return pf_number(p, "prefix length", 0, 128, &bits) ? bits : -2;
}

/* (em0:network)/24: the opening parenthesis and the name have been read */
static void dynamic(struct pf_parser *p, const struct pf_loc *loc, const struct pf_loc *name_loc,
		    const char *text, pf_host_list *list)
{
	struct pf_node_host *n;
	const char *name;
	unsigned int modifiers;
	long long bits;

	if (!pf_expect(p, ')', "\")\""))
		return;
	bits = prefix(p);
	if (bits == -2)
		return;
	if (!isalpha((unsigned char)*text)) {
		pf_error(p, loc, "invalid interface name '%s'", text);
		return;
	}
	if (!pf_if_modifiers(p, text, &name, &modifiers)) {
		pf_error(p, loc, "interface %s has a bad modifier", text);
		return;
	}
	if (!pf_name_ok(name, PF_IFNAME_SIZE) || strcmp(name, PF_IF_ANY) == 0) {
		pf_error(p, loc, "'%s' is no interface name, or too long", name);
		return;
	}
	if (!pf_if_modifiers_ok(modifiers)) {
		pf_error(p, loc, "illegal combination of interface modifiers");
		return;
	}
	pf_lint_interface(p, name_loc, name);
	pf_unenforced(p, loc, "an interface in parentheses as an address");
	n = add(p, loc, PF_HOST_DYNAMIC, list);
	if (!n)
		return;
	n->host.name = name;
	n->host.modifiers = (uint8_t)modifiers;
	n->host.bits = (uint8_t)(bits < 0 ? 128 : bits);
}

static void range(struct pf_parser *p, const struct pf_loc *loc, const char *first,
		  const char *last, pf_host_list *list)
{
	enum pf_family a = PF_FAMILY_INET, b = PF_FAMILY_INET6;
	struct pf_ip lo, *hi = pf_stmt_new(p, struct pf_ip);
	struct pf_node_host *n;

	if (!last || !hi)
		return;
	if (!pf_ip_parse(first, &a, &lo) || !pf_ip_parse(last, &b, hi) || a != b) {
		pf_error(p, loc, "invalid address range: %s - %s", first, last);
		return;
	}
	if (memcmp(lo.b, hi->b, sizeof(lo.b)) > 0) {
		pf_error(p, loc, "address range %s - %s ends before it begins", first, last);
		return;
	}
	n = add(p, loc, PF_HOST_RANGE, list);
	if (!n)
		return;
	n->host.af = (uint8_t)a;
	n->host.ip = lo;
	n->host.hi = hi;
}

/* "192.0.2.1-192.0.2.9" is one word: true if it was such a range. */
static bool joined_range(struct pf_parser *p, const struct pf_loc *loc, const char *text,
			 pf_host_list *list)
{
	const char *dash = strchr(text, '-'), *first;
	enum pf_family af;
	struct pf_ip ip;

	if (!dash || !pf_ip_parse(dash + 1, &af, &ip))
		return false;
	first = pf_stmt_strndup(p, text, (size_t)(dash - text));
	if (!first || !pf_ip_parse(first, &af, &ip))
		return false;
	range(p, loc, first, dash + 1, list);
	return true;
}

static void route_label(struct pf_parser *p, const struct pf_loc *loc, pf_host_list *list)
{
	const char *label = pf_value(p, "a route label", true);
	struct pf_node_host *n;

	if (!label)
		return;
	if (strlen(label) >= PF_RTLABEL_SIZE || strchr(label, '"'))
		pf_error(p, loc, "route label is too long (at most %d characters) or has quotes",
			 PF_RTLABEL_SIZE - 1);
	pf_unenforced(p, loc, "a route label");
	n = add(p, loc, PF_HOST_RTLABEL, list);
	if (n)
		n->host.name = label;
}

static void plain(struct pf_parser *p, pf_host_list *list)
{
	struct pf_loc loc = p->tok.loc, end;
	const char *text;
	long long bits = -1;

	if (pf_is(p, TOK_NUMBER)) {
		/* 10/8 */
		text = p->tok.text;
		pf_next(p);
		if (!pf_is(p, '/')) {
			pf_syntax(p, "\"/\" and a prefix length", NULL);
			return;
		}
	} else {
		text = pf_value(p, "an address", false);
		if (!text || joined_range(p, &loc, text, list))
			return;
	}
	end = p->tok.loc;
	if (pf_is(p, '/')) {
		pf_next(p);
		end = p->tok.loc;
		if (!pf_is(p, TOK_NUMBER)) {
			pf_syntax(p, "a prefix length", NULL);
			return;
		}
		bits = p->tok.number;
		pf_next(p);
		loc = pf_loc_span(&loc, &end);
		if (bits < 0 || bits > 128) {
			pf_in_range(p, &loc, "prefix length", bits, 0,
				    strchr(text, ':') ? 128 : 32);
			return;
		}
	} else if (pf_accept(p, '-')) {
		range(p, &loc, text, pf_value(p, "an address", false), list);
		return;
	}
	pf_host_add(p, &loc, text, bits, list);
}

static void unnegated(struct pf_parser *p, pf_host_list *list)
{
	struct pf_loc loc = p->tok.loc;

	if (pf_is(p, TOK_TABLE) || pf_is(p, '<')) {
		table(p, list);
	} else if (pf_accept(p, '(')) {
		struct pf_loc name_loc = p->tok.loc;
		const char *name = pf_value(p, "an interface", false);

		if (name)
			dynamic(p, &loc, &name_loc, name, list);
	} else if (pf_accept_word(p, "no-route")) {
		pf_unenforced(p, &loc, "no-route");
		add(p, &loc, PF_HOST_NO_ROUTE, list);
	} else if (pf_accept_word(p, "urpf-failed")) {
		pf_unenforced(p, &loc, "urpf-failed");
		add(p, &loc, PF_HOST_URPF, list);
	} else if (pf_accept_word(p, "route")) {
		route_label(p, &loc, list);
	} else {
		plain(p, list);
	}
}

void pf_parse_host(struct pf_parser *p, pf_host_list *list)
{
	const unsigned int errors = p->result.errors;
	pf_host_list one = {0};
	bool neg = pf_accept(p, '!');

	unnegated(p, &one);
	p->stmt.bad_host |= p->result.errors != errors;
	for (struct pf_node_host *n = one.first; neg && n; n = n->next)
		n->host.neg = true;
	pf_list_join(list, &one);
}

void pf_parse_hosts(struct pf_parser *p, pf_host_list *list)
{
	struct pf_braces l = {0};
	bool any = false;

	for (pf_list_begin(p, &l); pf_list_more(p, &l);) {
		if (pf_accept_word(p, "any"))
			any = true;
		else
			pf_parse_host(p, list);
	}
	/* with `any' among them the others say nothing */
	if (any)
		*list = (pf_host_list){0};
}
