// SPDX-License-Identifier: BSD-2-Clause
/* pf.conf(5)'s restrictions on single rules, after their lists have been multiplied. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

static bool has_ports(const struct pf_rule *r)
{
	return r->sport.op != PF_PORT_ANY || r->dport.op != PF_PORT_ANY;
}

static bool tcp_udp(const struct pf_rule *r)
{
	return r->proto == PF_PROTO_TCP || r->proto == PF_PROTO_UDP;
}

static const char *fail(enum pf_rule_part *part, enum pf_rule_part what, const char *msg)
{
	*part = what;
	return msg;
}

/* Answers are unreachable ones, of both families where one may be needed. */
static bool return_ok(const struct pf_rule *r)
{
	bool needed = r->action == PF_RULE_ACTION_BLOCK &&
		      (r->block_kind == PF_BLOCK_RETURN || r->block_kind == PF_BLOCK_RETURN_ICMP);

	if (needed && (!r->return_icmp || !r->return_icmp6))
		return false;
	return (!r->return_icmp || r->return_icmp >> 8 == 3) &&
	       (!r->return_icmp6 || r->return_icmp6 >> 8 == 1);
}

static const char *check_basic(const struct pf_rule *r, enum pf_rule_part *part)
{
	bool icmp = r->proto == PF_PROTO_ICMP || r->proto == PF_PROTO_ICMP6;

	if (has_ports(r) && !tcp_udp(r) && r->proto != PF_PROTO_SCTP)
		return fail(part, PF_PART_PORT, "port only applies to tcp/udp/sctp");
	if ((r->icmp_type || r->icmp_code) && !icmp)
		return fail(part, PF_PART_ICMP, "icmp-type/code only applies to icmp");
	if ((r->icmp_type || r->icmp_code) && !r->af)
		return fail(part, PF_PART_ICMP, "must indicate address family with icmp-type/code");
	if (r->icmp_code && !r->icmp_type)
		return fail(part, PF_PART_ICMP, "icmp code without a type");
	if (r->proto == PF_PROTO_ICMP && r->af == PF_FAMILY_INET6)
		return fail(part, PF_PART_RULE, "proto icmp doesn't match address family inet6");
	if (r->proto == PF_PROTO_ICMP6 && r->af == PF_FAMILY_INET)
		return fail(part, PF_PART_RULE,
			    "proto ipv6-icmp doesn't match address family inet");
	if (r->flagset && r->proto && r->proto != PF_PROTO_TCP)
		return fail(part, PF_PART_RULE, "flags only apply to tcp");
	if (r->flags & ~r->flagset)
		return fail(part, PF_PART_RULE, "flags can never match");
	if (r->fragment && (has_ports(r) || r->flagset || r->icmp_type))
		return fail(part, PF_PART_RULE,
			    "fragments can be filtered only on IP header fields");
	return NULL;
}

static const char *check_action(const struct pf_rule *r, enum pf_rule_part *part)
{
	/* a match rule's holds for the pass rule that wins */
	if (r->allow_opts && r->action == PF_RULE_ACTION_BLOCK)
		return fail(part, PF_PART_RULE, "allow-opts can only be specified for pass rules");
	if (r->block_kind == PF_BLOCK_RETURN_RST && r->proto != PF_PROTO_TCP)
		return fail(part, PF_PART_BLOCK, "return-rst can only be applied to TCP rules");
	if (r->keep_state && r->action != PF_RULE_ACTION_PASS)
		return fail(part, PF_PART_STATE, "keep state is great, but only for pass rules");
	if (!return_ok(r))
		return fail(part, PF_PART_BLOCK, "a blocked packet is answered with unreachable");
	return NULL;
}

static const char *check_route(const struct pf_rule *r, enum pf_rule_part *part)
{
	const struct pf_rule_ext *x = r->x;

	if (!x->route_kind)
		return NULL;
	if (r->action == PF_RULE_ACTION_BLOCK)
		return fail(part, PF_PART_ROUTE,
			    "route-to, reply-to and dup-to are not supported on block rules");
	if (r->action == PF_RULE_ACTION_MATCH)
		return fail(part, PF_PART_ROUTE,
			    "route-to, reply-to and dup-to are not supported on match rules");
	if (!r->keep_state)
		return fail(part, PF_PART_ROUTE,
			    "route-to, reply-to and dup-to require keep state");
	if (x->route_kind != PF_DUP_TO && !r->dir)
		return fail(part, PF_PART_ROUTE,
			    "direction must be explicit with rules that specify routing");
	return NULL;
}

static const char *check_translation(const struct pf_rule *r, enum pf_rule_part *part)
{
	const struct pf_rule_ext *x = r->x;
	enum pf_rule_part which = x->nat ? PF_PART_NAT : PF_PART_RDR;

	if (!x->nat && !x->rdr)
		return NULL;
	if (x->af_to && r->action == PF_RULE_ACTION_MATCH)
		return fail(part, PF_PART_NAT, "af-to is not supported on match rules");
	if (x->af_to && x->af_to == r->af)
		return fail(part, PF_PART_NAT, "must indicate different address family with af-to");
	if (r->action == PF_RULE_ACTION_BLOCK)
		return fail(part, which, "nat-to and rdr-to are not supported on block rules");
	if (r->action != PF_RULE_ACTION_MATCH && !r->keep_state)
		return fail(part, which, "nat-to and rdr-to require keep state");
	if (!r->dir)
		return fail(part, which, "nat-to and rdr-to require a direction");
	return NULL;
}

static const char *check_divert(const struct pf_rule *r, enum pf_rule_part *part)
{
	const struct pf_divert *d = &r->x->divert;

	if (d->type && r->action == PF_RULE_ACTION_MATCH)
		return fail(part, PF_PART_DIVERT, "divert is not supported on match rules");
	if (d->type == PF_DIVERT_TO && d->af && r->dir == PF_RULE_OUT)
		return fail(part, PF_PART_DIVERT, "divert-to used with outgoing rule");
	if (d->type == PF_DIVERT_REPLY && r->dir == PF_RULE_IN)
		return fail(part, PF_PART_DIVERT, "divert-reply used with incoming rule");
	if (d->type == PF_DIVERT_TO && d->af && r->af && d->af != r->af)
		return fail(part, PF_PART_DIVERT, "divert-to address family mismatch");
	return NULL;
}

static const char *check_ext(const struct pf_rule *r, enum pf_rule_part *part)
{
	const struct pf_rule_ext *x = r->x;
	const char *msg;

	if (!x)
		return NULL;
	if (x->once && (r->action == PF_RULE_ACTION_MATCH || x->anchor))
		return fail(part, PF_PART_RULE, "'once' only applies to pass/block rules");
	if (x->os && r->proto && r->proto != PF_PROTO_TCP)
		return fail(part, PF_PART_OS, "os only applies to tcp");
	if (x->user.op && !tcp_udp(r))
		return fail(part, PF_PART_USER, "user only applies to tcp/udp");
	if (x->group.op && !tcp_udp(r))
		return fail(part, PF_PART_USER, "group only applies to tcp/udp");
	if (r->af == PF_FAMILY_INET6 && (x->scrub.no_df || x->scrub.random_id))
		return fail(part, PF_PART_SCRUB,
			    "address family inet6 does not support scrub options no-df, random-id");
	if ((x->state_limiter.id || x->source_limiter.id) &&
	    (r->action != PF_RULE_ACTION_PASS || !r->keep_state))
		return fail(part, PF_PART_LIMITER, "limiters are for pass rules that keep state");
	msg = check_route(r, part);
	if (!msg)
		msg = check_translation(r, part);
	if (!msg)
		msg = check_divert(r, part);
	return msg;
}

/* The old dialect's rules ask for less. */
static const char *check_rdr(const struct pf_rule *r, enum pf_rule_part *part)
{
	const struct pf_pool *target = pf_rule_ext_of(r)->target;

	if (tcp_udp(r) || r->proto == PF_PROTO_SCTP)
		return NULL;
	if (r->sport.op)
		return fail(part, PF_PART_PORT, "src port only applies to tcp/udp/sctp");
	if (r->dport.op)
		return fail(part, PF_PART_PORT, "dst port only applies to tcp/udp/sctp");
	if (target && target->port)
		return fail(part, PF_PART_RULE, "rpool port only applies to tcp/udp/sctp");
	return NULL;
}

/* OpenBSD's filter_consistency(), with its words. */
const char *pf_rule_check(const struct pf_rule *r, enum pf_rule_part *part)
{
	const char *msg;

	switch (r->action) {
	case PF_RULE_ACTION_RDR:
	case PF_RULE_ACTION_NO_RDR:
		return check_rdr(r, part);
	case PF_RULE_ACTION_PASS:
	case PF_RULE_ACTION_BLOCK:
	case PF_RULE_ACTION_MATCH:
		msg = check_basic(r, part);
		if (!msg)
			msg = check_action(r, part);
		return msg ? msg : check_ext(r, part);
	case PF_RULE_ACTION_SCRUB:
	case PF_RULE_ACTION_NO_SCRUB:
		return check_basic(r, part);
	default:
		return NULL;
	}
}

/* --- what is not built yet --- */

static const char *pool_type_unenforced(const struct pf_pool *p)
{
	static const char *const types[] = {
		[PF_POOL_RANDOM] = "a random pool",
		[PF_POOL_SOURCE_HASH] = "a source-hash pool",
		[PF_POOL_ROUND_ROBIN] = "a round-robin pool",
		[PF_POOL_LEAST_STATES] = "a least-states pool",
	};
	const struct pf_rule_host *h = &p->hosts[0].host;

	if (p->type >= sizeof(types) / sizeof(types[0]))
		return "this type of pool";
	if (types[p->type])
		return types[p->type];
	if (!h->bits)
		return "a pool of all addresses";
	if (p->type == PF_POOL_NONE && h->bits < pf_family_bits((enum pf_family)h->af))
		return "a prefix as a pool, without bitmask";
	return NULL;
}

static const char *pool_unenforced(const struct pf_pool *p, uint8_t af)
{
	const struct pf_pool_host *h = p->hosts;

	if (p->nhosts != 1)
		return "a pool of several addresses";
	if (h->host.type == PF_HOST_TABLE)
		return "a table as a pool";
	if (h->host.type == PF_HOST_DYNAMIC)
		return "an interface in parentheses as a pool";
	if (h->no_address)
		return "an interface alone as a pool";
	if (h->host.type != PF_HOST_PREFIX || h->host.neg || h->host.af != af)
		return "this kind of pool";
	if (h->weight)
		return "the weight of an address";
	if (p->sticky)
		return "sticky-address";
	if (p->endpoint_independent)
		return "endpoint-independent";
	if (p->mape_offset || p->mape_psid_len || p->mape_psid)
		return "map-e-portset";
	if (p->prefer_ipv6_nexthop || p->key)
		return "this kind of pool";
	return pool_type_unenforced(p);
}

/* May an address of the prefix be one of 127/8 or ::1? */
static bool may_be_loopback(const struct pf_rule_host *h)
{
	struct pf_ip loopback = {{127}}, first = h->ip;
	uint8_t bits = h->bits < 8 ? h->bits : 8;

	if (h->af == PF_FAMILY_INET6) {
		loopback = (struct pf_ip){{[15] = 1}};
		bits = h->bits;
	}
	pf_ip_mask(&loopback, bits);
	pf_ip_mask(&first, bits);
	return pf_ip_equal(&loopback, &first);
}

static const char *translation_unenforced(const struct pf_rule *r, enum pf_rule_part *part)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	const char *what;

	if (!x->nat && !x->rdr)
		return NULL;
	*part = x->nat ? PF_PART_NAT : PF_PART_RDR;
	if (x->af_to)
		return "af-to";
	if (x->nat && x->rdr)
		return "nat-to and rdr-to in one rule";
	if (x->nat && r->dir != PF_RULE_OUT)
		return "nat-to on rules for incoming packets";
	if (x->rdr && r->dir != PF_RULE_IN)
		return "rdr-to on rules for outgoing packets";
	what = pool_unenforced(x->nat ? x->nat : x->rdr, r->af);
	if (!what && x->rdr && may_be_loopback(&x->rdr->hosts[0].host))
		return "rdr-to a loopback address";
	return what;
}

static const char *route_unenforced(const struct pf_rule *r, enum pf_rule_part *part)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	const char *what;

	if (!x->route_kind)
		return NULL;
	*part = PF_PART_ROUTE;
	if (x->route_kind == PF_DUP_TO)
		return "dup-to";
	what = pool_unenforced(x->route, r->af);
	if (!what && x->route->hosts[0].host.bits < pf_family_bits((enum pf_family)r->af))
		return "a prefix as a pool of next hops";
	return what;
}

const char *pf_rule_unenforced(const struct pf_rule *r, enum pf_rule_part *part)
{
	const char *what = translation_unenforced(r, part);

	return what ? what : route_unenforced(r, part);
}

/* As above, of state options. */
static bool state_enforced(const struct pf_state_opts *o)
{
	return !o->pflow && !o->allow_related;
}

bool pf_rule_is_labelled(const struct pf_rule *r)
{
	for (unsigned int i = 0; i < PF_LABELS_MOST; i++)
		if (pf_rule_label_at(r, i))
			return true;
	return false;
}

bool pf_rule_has_label(const struct pf_rule *r, const char *label)
{
	for (unsigned int i = 0; i < PF_LABELS_MOST; i++) {
		const char *l = pf_rule_label_at(r, i);

		if (l && strcmp(l, label) == 0)
			return true;
	}
	return false;
}

/* What is left when that which is built is taken away must be nothing. */
bool pf_rule_ext_enforced(const struct pf_rule *r)
{
	struct pf_rule_ext rest;
	enum pf_rule_part part;

	if (!r->x)
		return true;
	if (r->x->anchor && r->log) /* its rules log, it does not */
		return false;
	if (pf_rule_unenforced(r, &part))
		return false;
	if (r->x->state && !state_enforced(r->x->state))
		return false;
	memcpy(&rest, r->x, sizeof(rest)); /* with what lies between the members */
	rest.anchor = NULL;
	rest.received_on = NULL;
	rest.received_not = false;
	rest.tos_given = false;
	rest.tos = 0;
	rest.tagged = NULL;
	rest.tagged_not = false;
	rest.tag = NULL;
	memset(rest.labels, 0, sizeof(rest.labels));
	rest.prob = 0;
	rest.max_pkt_rate = (struct pf_rate){.limit = 0};
	rest.once = false;
	rest.nat = rest.rdr = rest.route = NULL;
	rest.route_kind = 0;
	rest.route_old = false;
	rest.state = NULL;
	memset(&rest.state_limiter, 0, sizeof(rest.state_limiter));
	memset(&rest.source_limiter, 0, sizeof(rest.source_limiter));
	return memcmp((const char *)&rest, (const char *)&pf_rule_ext_none, sizeof(rest)) == 0;
}

bool pf_name_ok(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	if (len == 0 || len == size)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= 0x20 || c == 0x7f || c == '\\' || c == '"' || c == '<' || c == '>')
			return false;
	}
	return true;
}

const char *pf_anchor_path_malformed(const char *path, bool star_ok)
{
	size_t len = strlen(path);
	const char *c = path;

	if (!len)
		return "an anchor's name must not be empty";
	if (len >= PF_ANCHOR_SIZE)
		return "the anchor's name is too long";
	if (strpbrk(path, "\"\\\n\t"))
		return "an anchor's name cannot hold quotes, backslashes or control characters";
	while (*c == '/')
		c++;
	while (*c) {
		size_t n = strcspn(c, "/");

		if (n >= PF_ANCHOR_NAME_SIZE)
			return "a part of the anchor's name is too long";
		if (n == 1 && *c == '*' && (!star_ok || c[1] || c == path))
			return "'*' stands at the end of a path, behind a '/'";
		if (!n)
			return "a part of the anchor's name is empty";
		c += n;
		if (*c == '/' && !*++c)
			return "the anchor's name ends in '/'";
	}
	return NULL;
}

const char *pf_anchor_path_error(const char *path, bool star_ok)
{
	if (*path == '_' || strstr(path, "/_"))
		return "anchor names that begin with '_' are reserved";
	return pf_anchor_path_malformed(path, star_ok);
}

char *pf_anchor_path_resolve(const char *from, const char *path)
{
	char *out = strdup(*path == '/' ? "" : from), *longer, *bar;

	while (out && *path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && strncmp(path, "..", 2) == 0) {
			bar = strrchr(out, '/');
			*(bar ? bar : out) = '\0';
		} else if (len) {
			if (asprintf(&longer, "%s%s%.*s", out, *out ? "/" : "", (int)len, path) < 0)
				longer = NULL;
			free(out);
			out = longer;
		}
		path += len;
		path += *path == '/';
	}
	return out;
}
