// SPDX-License-Identifier: BSD-2-Clause
/*
 * Address pools: what nat-to, rdr-to, af-to, route-to and kin and the old
 * dialect's "->" are followed by.
 */
#include <ctype.h>
#include <md5.h>
#include <string.h>

#include "check.h"
#include "parser.h"

/* --- reading --- */

static void gateway_interface(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	if (pf_interface_name(p, loc, name) && p->opt->enforce &&
	    pf_if_lookup(p, name) == PF_IF_GROUP)
		pf_unenforced(p, loc, "a group of interfaces as a way");
}

/* "(em0 192.0.2.1)": true if it was one; else nothing but '(' and a word have been read. */
static bool interface_and_host(struct pf_parser *p, const struct pf_loc *loc, const char *ifname,
			       pf_host_list *list)
{
	if (pf_is(p, ')'))
		return false;
	gateway_interface(p, loc, ifname);
	pf_parse_host(p, list);
	for (struct pf_node_host *n = list->first; n; n = n->next)
		n->ifname = ifname;
	pf_expect(p, ')', "\")\"");
	return true;
}

/* "192.0.2.1@em0" */
static bool host_at_interface(struct pf_parser *p, pf_host_list *list)
{
	const char *at = pf_is(p, TOK_WORD) ? strchr(p->tok.text, '@') : NULL, *host;
	struct pf_loc loc = p->tok.loc;

	if (!at || !at[1])
		return false;
	host = pf_stmt_strndup(p, p->tok.text, (size_t)(at - p->tok.text));
	if (!host)
		return true;
	gateway_interface(p, &loc, at + 1);
	pf_next(p);
	pf_host_add(p, &loc, host, -1, list);
	for (struct pf_node_host *n = list->first; n; n = n->next)
		n->ifname = at + 1;
	return true;
}

static void only_interface(struct pf_parser *p, pf_host_list *list)
{
	struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);
	struct pf_loc loc = p->tok.loc;
	const char *name = pf_value(p, "an interface", false);

	if (!n || !name)
		return;
	pf_interface_name(p, &loc, name);
	n->loc = loc;
	n->ifname = name;
	n->no_address = true;
	pf_list_add(list, n);
}

static void dynamic_host(struct pf_parser *p, const struct pf_loc *loc,
			 const struct pf_loc *name_loc, const char *name, pf_host_list *list)
{
	struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);
	unsigned int modifiers;
	long long bits = 128;

	if (!n || !pf_expect(p, ')', "\")\""))
		return;
	if (pf_accept(p, '/') && !pf_number(p, "prefix length", 0, 128, &bits))
		return;
	if (!pf_if_modifiers(p, name, &n->host.name, &modifiers)) {
		pf_error(p, loc, "interface %s has a bad modifier", name);
		return;
	}
	if (!isalpha((unsigned char)*name)) {
		pf_error(p, loc, "invalid interface name '%s'", name);
		return;
	}
	if (!pf_if_modifiers_ok(modifiers)) {
		pf_error(p, loc, "illegal combination of interface modifiers");
		return;
	}
	if (!pf_interface_name(p, name_loc, n->host.name))
		return;
	n->loc = *loc;
	n->host.type = PF_HOST_DYNAMIC;
	n->host.modifiers = (uint8_t)modifiers;
	n->host.bits = (uint8_t)bits;
	pf_list_add(list, n);
}

/* What the places of a pool are. */
enum pool_kind {
	POOL_NEW_ADDRESS, /* of translation */
	POOL_HOP,
	POOL_OLD_HOP, /* a name is an interface, as FreeBSD's route-to has it */
};

/* A hop's interface is that of its link-local address: "fe80::1%em0" is "(em0 fe80::1)". */
static void scope_hops(struct pf_parser *p, pf_host_list *list)
{
	pf_host_list rest = {0};

	for (struct pf_node_host *n = list->first, *next; n; n = next) {
		bool other = n->scope && n->ifname && strcmp(n->scope, n->ifname) != 0;

		next = n->next;
		n->next = NULL;
		if (other && !n->from_name)
			pf_error(p, &n->loc, "%s is not an address at %s", n->name, n->ifname);
		if (other)
			continue;
		if (n->scope)
			n->ifname = n->scope;
		pf_list_add(&rest, n);
	}
	*list = rest;
}

static void element(struct pf_parser *p, struct pf_stmt_pool *out, enum pool_kind kind)
{
	struct pf_loc loc = p->tok.loc;
	pf_host_list one = {0};
	enum pf_family af;
	struct pf_ip ip;
	long long weight;

	if (pf_is(p, '!')) {
		pf_fatal(p, &loc, "an address that is negated cannot be in a pool");
		return;
	}
	if (pf_accept(p, '(')) {
		struct pf_loc name_loc = p->tok.loc;
		const char *name = pf_value(p, "an interface", false);

		if (!name)
			return;
		if (!interface_and_host(p, &name_loc, name, &one))
			dynamic_host(p, &loc, &name_loc, name, &one);
	} else if (host_at_interface(p, &one)) {
		/* done there */
	} else if (kind == POOL_OLD_HOP && (pf_is(p, TOK_WORD) || pf_is(p, TOK_STRING)) &&
		   !pf_ip_parse(p->tok.text, &af, &ip) && !strchr(p->tok.text, '%')) {
		only_interface(p, &one);
	} else {
		pf_parse_host(p, &one);
	}
	if (kind == POOL_NEW_ADDRESS)
		pf_host_drop_scoped(p, &loc, &one);
	scope_hops(p, &one);
	if (pf_accept_word(p, "weight") && pf_number(p, "weight", 1, UINT16_MAX, &weight))
		for (struct pf_node_host *n = one.first; n; n = n->next)
			n->weight = (uint16_t)weight;
	pf_list_join(&out->hosts, &one);
}

static void elements(struct pf_parser *p, struct pf_stmt_pool *out, enum pool_kind kind)
{
	const unsigned int errors = p->result.errors;
	struct pf_braces l = {0};

	if (out->given)
		pf_error(p, &out->loc, "a pool of addresses is given twice");
	out->given = true;
	out->loc = p->tok.loc;
	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		element(p, out, kind);
	p->stmt.bad_host |= p->result.errors != errors;
}

static void port(struct pf_parser *p, struct pf_stmt_pool *out)
{
	long lo = 0, hi = 0;
	const char *text;

	out->port_loc = p->tok.loc;
	text = pf_value_or_number(p, "a port");
	if (!text || pf_port_range(p, &out->port_loc, text, true, &lo, &hi))
		return;
	if (lo == 0) {
		pf_error(p, &out->port_loc, "port 0 cannot be translated to");
		return;
	}
	out->pool.port = (uint16_t)lo;
	out->pool.port_hi = (uint16_t)(hi < 0 ? lo : hi);
	out->pool.port_range = strchr(text, ':');
	out->star = hi < 0;
}

/* --- options: they have no state but the pool at hand --- */

static void set_type(struct pf_parser *p, struct pf_stmt_pool *out, const struct pf_loc *loc,
		     enum pf_pool_type type)
{
	if (out->pool.type)
		pf_error(p, loc, "the type of a pool is given twice");
	out->pool.type = (uint8_t)type;
	out->type_loc = *loc;
}

/*
 * pf's kernel takes 128 bits: so many hexadecimal digits, or the MD5 of any other string.
 * It comes from libmd, which is BSD's own and which Debian's dpkg needs anyway; the kernel's
 * AF_ALG may not be there, and a policy (FIPS) may take MD5 out of libcrypto: but the hash
 * only spreads addresses, as it does elsewhere.
 */
static const char *key_of(struct pf_parser *p, const char *text)
{
	char hex[MD5_DIGEST_STRING_LENGTH];

	if (strncmp(text, "0x", 2) == 0)
		snprintf(hex, sizeof(hex), "%s", text + 2);
	else
		MD5Data((const uint8_t *)text, strlen(text), hex);
	for (char *c = hex; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return pf_stmt_printf(p, "0x%s", hex);
}

static void hash_key(struct pf_parser *p, struct pf_stmt_pool *out)
{
	static const char *const not_keys[] = {"sticky-address",       "static-port",
					       "endpoint-independent", "map-e-portset",
					       "prefer-ipv6-nexthop",  NULL};
	struct pf_loc loc = p->tok.loc;
	const char *text = p->tok.text;

	if (pf_is(p, TOK_STRING) || (pf_is(p, TOK_WORD) && strncmp(text, "0x", 2) == 0)) {
		pf_next(p);
	} else {
		for (size_t i = 0; pf_is(p, TOK_WORD) && not_keys[i]; i++)
			if (strcmp(not_keys[i], text) == 0)
				return;
		/* a bare word is a key only if it is no option of the rule */
		if (!pf_is(p, TOK_WORD) || !(text = pf_value(p, "a key", false)))
			return;
	}
	if (strncmp(text, "0x", 2) == 0 &&
	    (strlen(text) != 34 || text[2 + strspn(text + 2, "0123456789abcdefABCDEF")]))
		pf_error(p, &loc, "hex key must be 128 bits (32 hex digits) long");
	else
		out->pool.key = key_of(p, text);
}

static void mape(struct pf_parser *p, struct pf_stmt_pool *out, const struct pf_loc *loc)
{
	long long offset, len, psid;

	out->mape_loc = *loc;
	if (!pf_number(p, "MAP-E PSID offset", 1, 15, &offset) || !pf_expect(p, '/', "\"/\"") ||
	    !pf_number(p, "MAP-E PSID length", 1, 15, &len) || !pf_expect(p, '/', "\"/\"") ||
	    !pf_number(p, "MAP-E PSID", 0, 65535, &psid))
		return;
	if (out->pool.mape_offset)
		pf_error(p, loc, "map-e-portset is given twice");
	else if (offset + len > 16)
		pf_error(p, loc, "invalid MAP-E PSID length");
	else if (out->pool.type)
		pf_error(p, loc, "map-e-portset cannot be used with address pools");
	out->pool.mape_offset = (uint8_t)offset;
	out->pool.mape_psid_len = (uint8_t)len;
	out->pool.mape_psid = (uint16_t)psid;
}

static bool flag_option(struct pf_parser *p, struct pf_stmt_pool *out, const struct pf_loc *loc)
{
	const struct {
		const char *word;
		bool *flag;
	} flags[] = {
		{"sticky-address", &out->pool.sticky},
		{"static-port", &out->pool.static_port},
		{"endpoint-independent", &out->pool.endpoint_independent},
		{"prefer-ipv6-nexthop", &out->pool.prefer_ipv6_nexthop},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!pf_accept_word(p, flags[i].word))
			continue;
		if (*flags[i].flag)
			pf_error(p, loc, "%s is given twice", flags[i].word);
		*flags[i].flag = true;
		if (flags[i].flag == &out->pool.static_port)
			out->static_loc = *loc;
		return true;
	}
	return false;
}

static bool type_option(struct pf_parser *p, struct pf_stmt_pool *out, const struct pf_loc *loc)
{
	static const struct {
		const char *word;
		enum pf_pool_type type;
	} types[] = {{"bitmask", PF_POOL_BITMASK},
		     {"random", PF_POOL_RANDOM},
		     {"source-hash", PF_POOL_SOURCE_HASH},
		     {"round-robin", PF_POOL_ROUND_ROBIN},
		     {"least-states", PF_POOL_LEAST_STATES}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!pf_accept_word(p, types[i].word))
			continue;
		set_type(p, out, loc, types[i].type);
		if (types[i].type == PF_POOL_SOURCE_HASH)
			hash_key(p, out);
		return true;
	}
	return false;
}

static void options(struct pf_parser *p, struct pf_stmt_pool *out)
{
	for (;;) {
		struct pf_loc loc = p->tok.loc;

		if (flag_option(p, out, &loc) || type_option(p, out, &loc))
			continue;
		if (!pf_accept_word(p, "map-e-portset"))
			return;
		mape(p, out, &loc);
	}
}

void pf_parse_pool(struct pf_parser *p, struct pf_stmt_pool *out, bool with_port)
{
	elements(p, out, with_port ? POOL_NEW_ADDRESS : POOL_HOP);
	if (with_port && pf_accept_word(p, "port"))
		port(p, out);
	options(p, out);
}

void pf_parse_route_old(struct pf_parser *p, struct pf_stmt_pool *out)
{
	elements(p, out, POOL_OLD_HOP);
	options(p, out);
}

/* --- the pool of one rule --- */

/* May it stand for more than one address?  (em0:0) is one, unless it is a group's. */
static bool several(const struct pf_rule_host *h)
{
	size_t len;

	if (h->type != PF_HOST_DYNAMIC)
		return false;
	len = strlen(h->name);
	return !(h->modifiers & PF_HOST_NOALIAS) || !len || h->name[len - 1] < '0' ||
	       h->name[len - 1] > '9';
}

static bool host_ok(struct pf_parser *p, const struct pf_stmt_pool *sp,
		    const struct pf_node_host *n, bool routing)
{
	const struct pf_pool *pool = &sp->pool;

	if (n->ifname && !routing) {
		pf_error(p, &n->loc, "an interface with the address is for routing only");
		return false;
	}
	switch (n->host.type) {
	case PF_HOST_TABLE:
		if (pool->type != PF_POOL_BITMASK)
			return true;
		pf_error(p, &sp->type_loc, "tables are not supported by pool type");
		return false;
	case PF_HOST_DYNAMIC:
		if (pool->type != PF_POOL_BITMASK || !several(&n->host))
			return true;
		pf_error(p, &sp->type_loc, "interface (%s) is not supported by pool type",
			 n->host.name);
		return false;
	case PF_HOST_PREFIX:
	case PF_HOST_NAME:
		return true;
	case PF_HOST_ANY:
		if (n->no_address)
			return true;
		break;
	default:
		break;
	}
	pf_error(p, &n->loc, "this kind of address cannot be %s",
		 routing ? "routed to" : "translated to");
	return false;
}

/* How many of the pool's addresses the family has; -1 after an error. */
static int count_hosts(struct pf_parser *p, const struct pf_stmt_pool *sp, uint8_t af, bool routing)
{
	uint8_t first = 0;
	int n = 0;

	for (const struct pf_node_host *h = sp->hosts.first; h; h = h->next) {
		if (!host_ok(p, sp, h, routing))
			return -1;
		if (af && h->host.af && h->host.af != af && !sp->pool.prefer_ipv6_nexthop)
			continue;
		if (!af && h->host.af && first && first != h->host.af) {
			pf_error(p, &sp->loc,
				 "%s spec contains addresses with different address families",
				 routing ? "routing" : "translation");
			return -1;
		}
		first = h->host.af ? h->host.af : first;
		n++;
	}
	if (!n)
		pf_error(p, &sp->loc,
			 "af mismatch in %s spec: it has no address of the rule's family",
			 routing ? "routing" : "translation");
	return n ? n : -1;
}

/* Options that only translation, or only routing has. */
static bool options_belong(struct pf_parser *p, const struct pf_stmt_pool *sp, bool routing)
{
	const struct pf_pool *pool = &sp->pool;

	if (routing && (pool->static_port || pool->mape_offset || pool->endpoint_independent))
		pf_error(p, &sp->loc, "options of nat-to are not for routing");
	else if (!routing && pool->prefer_ipv6_nexthop)
		pf_error(p, &sp->loc, "prefer-ipv6-nexthop is for routing only");
	else
		return true;
	return false;
}

static bool options_ok(struct pf_parser *p, const struct pf_stmt_pool *sp, bool rdr)
{
	const struct pf_pool *pool = &sp->pool;

	if (pool->static_port && rdr)
		pf_error(p, &sp->static_loc,
			 "the 'static-port' option is only valid with nat rules");
	else if (pool->static_port && pool->port)
		pf_error(p, &sp->static_loc,
			 "the 'static-port' option can't be used when specifying a port range");
	else if (pool->mape_offset && rdr)
		pf_error(p, &sp->mape_loc,
			 "the 'map-e-portset' option is only valid with nat rules");
	else if (pool->mape_offset && pool->static_port)
		pf_error(p, &sp->mape_loc,
			 "the 'map-e-portset' option can't be used 'static-port'");
	else if (pool->mape_offset && pool->port)
		pf_error(p, &sp->mape_loc,
			 "the 'map-e-portset' option can't be used when specifying a port range");
	else
		return true;
	return false;
}

/* "port 1024:*" has as many ports as the rule's destination. */
static bool fill_star(struct pf_parser *p, const struct pf_stmt_pool *sp, struct pf_pool *pool,
		      bool rdr, const struct pf_rule_port *dport)
{
	long hi = pool->port;

	if (!sp->star)
		return true;
	if (rdr && dport && dport->op == PF_PORT_RANGE)
		hi += dport->hi - dport->lo;
	if (hi > 65535) {
		pf_error(p, &sp->port_loc, "the ports from %u on are too few", pool->port);
		return false;
	}
	pool->port_hi = (uint16_t)hi;
	return true;
}

static bool copy_hosts(struct pf_parser *p, const struct pf_stmt_pool *sp, uint8_t af,
		       struct pf_pool *pool, unsigned int n)
{
	struct pf_pool_host *v = pf_arena_alloc(&p->rs->arena, n * sizeof(*v));

	if (!v) {
		pf_error_nomem(p);
		return false;
	}
	pool->hosts = v;
	for (const struct pf_node_host *h = sp->hosts.first; h; h = h->next) {
		if (af && h->host.af && h->host.af != af && !pool->prefer_ipv6_nexthop)
			continue;
		v->host = h->host;
		if (h->host.type != PF_HOST_PREFIX)
			v->host.name = pf_keep(p, h->host.name);
		v->ifname = pf_keep(p, h->ifname);
		v->no_address = h->no_address;
		v->weight = h->weight;
		pool->nhosts++;
		v++;
	}
	return !p->nomem;
}

const struct pf_pool *pf_pool_make(struct pf_parser *p, const struct pf_stmt_pool *sp, uint8_t af,
				   bool rdr, bool routing, const struct pf_rule_port *dport)
{
	int n = count_hosts(p, sp, af, routing);
	const struct pf_rule_host *first;
	struct pf_pool *pool;

	if (n < 0 || !options_belong(p, sp, routing) || (!routing && !options_ok(p, sp, rdr)))
		return NULL;
	pool = pf_arena_alloc(&p->rs->arena, sizeof(*pool));
	if (!pool) {
		pf_error_nomem(p);
		return NULL;
	}
	*pool = sp->pool;
	pool->key = pf_keep(p, pool->key);
	if (!copy_hosts(p, sp, af, pool, (unsigned int)n) || !fill_star(p, sp, pool, rdr, dport))
		return NULL;
	/* nat's own, which are the default */
	if (!rdr && !routing && pool->port == 50001 && pool->port_hi == 65535)
		pool->port = pool->port_hi = 0;
	first = &pool->hosts[0].host;
	if (n > 1 && pool->type == PF_POOL_BITMASK) {
		pf_error(p, &sp->type_loc,
			 "pool type is not valid for multiple translation or routing addresses");
		return NULL;
	}
	if (!pool->type && (n > 1 || first->type == PF_HOST_TABLE || several(first)))
		pool->type = PF_POOL_ROUND_ROBIN;
	return pool;
}
