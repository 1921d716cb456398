// SPDX-License-Identifier: BSD-2-Clause
/* The options of filter rules and anchors, behind the hosts: a table of words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "parser.h"

/* --- what the packet is asked --- */

static void opt_user(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_unenforced(p, loc, "user");
	p->stmt.user_loc = *loc;
	pf_parse_ids(p, false, &p->stmt.users);
}

static void opt_group(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_unenforced(p, loc, "group");
	p->stmt.user_loc = *loc;
	pf_parse_ids(p, true, &p->stmt.groups);
}

static int tcp_flags(struct pf_parser *p, const struct pf_loc *loc, const char *set,
		     const char *mask, const char *text)
{
	int f = pf_tcp_flags_parse(text);

	if (f < 0)
		pf_error(p, loc, "unknown TCP flag in %s/%s (they are F S R P A U E W)", set, mask);
	return f;
}

static void opt_flags(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc span = *loc;
	const char *set = "", *mask;
	int f, m;

	if (pf_accept_word(p, "any")) {
		span = pf_loc_span(loc, &p->last_loc);
		pf_seen(p, &span, PF_SEEN_FLAGS, "flags");
		return;
	}
	if (!pf_is(p, '/')) {
		set = pf_value(p, "TCP flags", true);
		if (!set)
			return;
	}
	if (!pf_expect(p, '/', "\"/\" and the mask of the flags"))
		return;
	span = pf_loc_span(loc, &p->tok.loc);
	mask = pf_value(p, "TCP flags", true);
	if (!mask)
		return;
	pf_seen(p, &span, PF_SEEN_FLAGS, "flags");
	p->stmt.flags_loc = span;
	f = tcp_flags(p, &span, set, mask, set);
	m = f < 0 ? -1 : tcp_flags(p, &span, set, mask, mask);
	if (f < 0 || m < 0)
		return;
	if (f & ~m) {
		pf_error(p, &span, "flags %s/%s can never match", set, mask);
		return;
	}
	p->stmt.rule.flags = (uint8_t)f;
	p->stmt.rule.flagset = (uint8_t)m;
}

static void icmp(struct pf_parser *p, const struct pf_loc *loc, bool v6)
{
	pf_seen(p, loc, PF_SEEN_ICMP, "icmp-type");
	p->stmt.icmp_loc = pf_loc_span(loc, &p->tok.loc);
	pf_parse_icmp(p, v6, &p->stmt.icmp);
}

static void opt_icmp_type(struct pf_parser *p, const struct pf_loc *loc)
{
	icmp(p, loc, false);
}

static void opt_icmp6_type(struct pf_parser *p, const struct pf_loc *loc)
{
	icmp(p, loc, true);
}

static void opt_tos(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_TOS, "tos");
	p->stmt.x.tos_given = pf_tos(p, &p->stmt.x.tos);
}

static void opt_prio(struct pf_parser *p, const struct pf_loc *loc)
{
	long long n;

	pf_seen(p, loc, PF_SEEN_PRIO, "prio");
	pf_unenforced(p, loc, "prio");
	if (pf_number(p, "prio", 0, 7, &n))
		p->stmt.x.prio = (uint8_t)(n + 1);
}

static void opt_fragment(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_FRAGMENT, "fragment");
	p->stmt.rule.fragment = true;
}

static void opt_allow_opts(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_ALLOW_OPTS, "allow-opts");
	p->stmt.rule.allow_opts = true;
}

static bool tag_name(struct pf_parser *p, const char **out)
{
	struct pf_loc loc = p->tok.loc;
	const char *text = pf_value_or_number(p, "a tag");

	if (!text)
		return false;
	if (strlen(text) >= PF_TAG_SIZE) {
		pf_error(p, &loc, "tag too long (at most %d characters)", PF_TAG_SIZE - 1);
		return false;
	}
	if (!*text || strpbrk(text, "\"\\")) {
		pf_error(p, &loc, "a tag cannot be empty, or hold quotes or backslashes");
		return false;
	}
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20) {
			pf_error(p, &loc, "a tag cannot hold control characters");
			return false;
		}
	}
	pf_label_lint(p, &loc, text, "tag");
	*out = text;
	return true;
}

void pf_rule_tag(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_TAG, "tag");
	p->stmt.tag_loc = *loc;
	tag_name(p, &p->stmt.x.tag);
}

void pf_rule_tagged(struct pf_parser *p, bool neg)
{
	struct pf_loc loc = p->tok.loc;

	pf_seen(p, &loc, PF_SEEN_TAGGED, "tagged");
	p->stmt.tagged_loc = loc;
	p->stmt.x.tagged_not = neg;
	tag_name(p, &p->stmt.x.tagged);
}

static void opt_tagged(struct pf_parser *p, const struct pf_loc *loc)
{
	(void)loc;
	pf_rule_tagged(p, false);
}

static void received_on(struct pf_parser *p, const struct pf_loc *loc, bool neg)
{
	struct pf_node_if *n = pf_parse_interface(p);

	pf_seen(p, loc, PF_SEEN_RECEIVED, "received-on");
	if (n && !n->name)
		pf_error(p, &n->loc, "received-on takes an interface");
	if (!n || !n->name)
		return;
	p->stmt.x.received_on = n->name;
	p->stmt.x.received_not = neg || n->neg;
}

static void opt_received_on(struct pf_parser *p, const struct pf_loc *loc)
{
	received_on(p, loc, false);
}

static void opt_probability(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc at = p->tok.loc;
	const char *text = pf_value_or_number(p, "a probability");
	double share;
	char *end;

	pf_seen(p, loc, PF_SEEN_PROB, "probability");
	if (!text)
		return;
	share = strtod(text, &end);
	if (*end == '%') {
		share *= 0.01;
		end++;
	}
	if (*end || end == text || !(share >= 0 && share <= 1)) {
		pf_error(p, &at, "invalid probability: %s (0%% to 100%%, or 0 to 1)", text);
		return;
	}
	p->stmt.x.prob = (uint32_t)floor(share * UINT32_MAX + 0.5);
	if (!p->stmt.x.prob)
		p->stmt.x.prob = 1;
}

static void opt_max_pkt_rate(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_PKTRATE, "max-pkt-rate");
	if (!pf_rate(p, "max-pkt-rate", &p->stmt.x.max_pkt_rate))
		return;
	if (p->stmt.x.max_pkt_rate.limit > PF_PKT_RATE_MOST)
		pf_error(p, loc, "max-pkt-rate counts %u packets at the most", PF_PKT_RATE_MOST);
}

static void opt_max_pkt_size(struct pf_parser *p, const struct pf_loc *loc)
{
	long long n;

	pf_seen(p, loc, PF_SEEN_PKTSIZE, "max-pkt-size");
	pf_unenforced(p, loc, "max-pkt-size");
	if (pf_number(p, "max-pkt-size", 1, 65535, &n))
		p->stmt.x.max_pkt_size = (uint32_t)n;
}

static void limiter(struct pf_parser *p, struct pf_rule_limiter *out, char kind)
{
	struct pf_loc loc;
	const struct pf_named *def;
	long long id = 0;

	if (!pf_expect_word(p, "limiter"))
		return;
	loc = p->tok.loc;
	if (pf_accept_word(p, "id")) {
		if (!pf_number(p, "id", 1, 255, &id))
			return;
		out->name = "";
		for (def = p->named; def; def = def->next)
			if (def->kind == kind && def->id == id)
				out->name = def->name;
		/* an anchor's rules come without the main ruleset, which has them */
		if (!*out->name && !p->rs->in_anchor)
			pf_error(p, &loc, "limiter %lld is not defined", id);
	} else {
		out->name = pf_value(p, "a limiter's name", true);
		def = out->name ? pf_named_find(p, kind, out->name) : NULL;
		if (out->name && !def)
			pf_error(p, &loc, "limiter \"%s\" is not defined%s", out->name,
				 p->rs->in_anchor ? " here: name it by its id" : "");
		id = def ? def->id : 0;
	}
	out->id = (uint8_t)id;
	if (!pf_accept(p, '('))
		return;
	out->action_given = true;
	if (pf_accept_word(p, "block"))
		out->action = PF_LIMITER_BLOCK;
	else
		pf_expect_word(p, "no-match");
	pf_expect(p, ')', "\")\"");
}

static void opt_state_limiter(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_STATE_LIMITER, "state limiter");
	p->stmt.limiter_loc = *loc;
	limiter(p, &p->stmt.x.state_limiter, 's');
}

static void opt_source_limiter(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_SOURCE_LIMITER, "source limiter");
	p->stmt.limiter_loc = *loc;
	limiter(p, &p->stmt.x.source_limiter, 'r');
}

/* --- state --- */

static void state(struct pf_parser *p, const struct pf_loc *loc, enum pf_state_kind kind)
{
	struct pf_loc span = pf_loc_span(loc, &p->tok.loc);

	if (!pf_expect_word(p, "state"))
		return;
	pf_seen(p, &span, PF_SEEN_STATE, "state");
	p->stmt.state_loc = span;
	p->stmt.rule.keep_state = (uint8_t)kind;
	if (kind != PF_STATE_NO && pf_is(p, '('))
		pf_state_options(p, &p->stmt.state, true);
}

static void opt_no_state(struct pf_parser *p, const struct pf_loc *loc)
{
	state(p, loc, PF_STATE_NO);
}

static void opt_keep_state(struct pf_parser *p, const struct pf_loc *loc)
{
	state(p, loc, PF_STATE_KEEP);
}

static void opt_modulate_state(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_unenforced(p, loc, "modulate state");
	state(p, loc, PF_STATE_MODULATE);
}

static void opt_synproxy_state(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_unenforced(p, loc, "synproxy state");
	state(p, loc, PF_STATE_SYNPROXY);
}

static void opt_once(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_ONCE, "once");
	p->stmt.x.once = true;
}

/* --- names for people --- */

void pf_rule_label(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc at = p->tok.loc;
	const char *text = pf_value_or_number(p, "a label");

	if (!text)
		return;
	if (p->stmt.nlabels == PF_LABELS_MOST) {
		pf_error(p, loc, "a rule has at most %d labels", PF_LABELS_MOST);
		return;
	}
	p->stmt.label_loc = at;
	if (!*text)
		return;
	if (strlen(text) >= PF_LABEL_SIZE && !strchr(text, '$')) {
		pf_error(p, &at, "rule label is too long (at most %d characters)",
			 PF_LABEL_SIZE - 1);
		return;
	}
	for (const char *c = text; *c; c++) {
		if (*c == '"' || (unsigned char)*c < 0x20) {
			pf_error(p, &at, "a label cannot hold quotes or control characters");
			return;
		}
		/* it could not be written: it would take the closing quote's meaning away */
		if (*c == '\\' && !c[1]) {
			pf_error(p, &at, "a label cannot end in a backslash");
			return;
		}
	}
	pf_label_lint(p, &at, text, "label");
	if (!p->stmt.nlabels)
		p->stmt.rule.label = text;
	else
		p->stmt.x.labels[p->stmt.nlabels - 1] = text;
	p->stmt.nlabels++;
}

void pf_rule_ridentifier(struct pf_parser *p, const struct pf_loc *loc)
{
	long long n;

	pf_seen(p, loc, PF_SEEN_RIDENTIFIER, "ridentifier");
	pf_unenforced(p, loc, "ridentifier");
	if (pf_number(p, "ridentifier", 0, UINT32_MAX, &n))
		p->stmt.x.ridentifier = (uint32_t)n;
}

/* --- what is done --- */

static const char *queue_name(struct pf_parser *p)
{
	struct pf_loc loc = p->tok.loc;
	const char *name = pf_value_or_number(p, "a queue");

	if (name && !pf_named_find(p, 'q', name))
		pf_error(p, &loc, "queue %s is not defined", name);
	return name;
}

void pf_rule_queue(struct pf_parser *p, const struct pf_loc *loc, bool set)
{
	pf_seen(p, loc, PF_SEEN_QUEUE, "queue");
	pf_unenforced(p, loc, "queue");
	p->stmt.x.set_queue = set;
	if (!pf_accept(p, '(')) {
		p->stmt.x.queue = queue_name(p);
		return;
	}
	p->stmt.x.queue = queue_name(p);
	pf_accept(p, ',');
	if (!pf_is(p, ')'))
		p->stmt.x.pqueue = queue_name(p);
	pf_expect(p, ')', "\")\"");
}

static void opt_queue(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_rule_queue(p, loc, false);
}

static void set_queue(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_rule_queue(p, loc, true);
}

static void set_prio(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_rule_ext *x = &p->stmt.x;
	bool pair = pf_accept(p, '(');
	long long a = 0, b = 0;

	pf_seen(p, loc, PF_SEEN_SETPRIO, "set prio");
	if (pf_number(p, "prio", 0, 7, &a))
		x->set_prio_given = true;
	b = a;
	if (pair) {
		pf_accept(p, ',');
		pf_number(p, "prio", 0, 7, &b);
		pf_expect(p, ')', "\")\"");
	}
	x->set_prio[0] = (uint8_t)a;
	x->set_prio[1] = (uint8_t)b;
}

static void set_tos(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_SETTOS, "set tos");
	p->stmt.x.set_tos_given = pf_tos(p, &p->stmt.x.set_tos);
}

static void set_delay(struct pf_parser *p, const struct pf_loc *loc)
{
	long long n;

	pf_seen(p, loc, PF_SEEN_DELAY, "set delay");
	if (!pf_number(p, "delay", 0, 65535, &n))
		return;
	p->stmt.x.set_delay = (uint16_t)n;
	p->stmt.x.set_delay_given = true;
}

static const struct pf_handler sets[] = {{"prio", set_prio},
					 {"queue", set_queue},
					 {"tos", set_tos},
					 {"delay", set_delay},
					 {NULL, NULL}};

static void opt_set(struct pf_parser *p, const struct pf_loc *loc)
{
	bool parens = pf_accept(p, '(');

	pf_unenforced(p, loc, "set in a rule");
	do {
		if (!pf_handle(p, sets))
			pf_syntax(p, "\"prio\", \"queue\", \"tos\" or \"delay\"",
				  pf_handler_words(p, sets, NULL));
		if (parens)
			pf_accept(p, ',');
	} while (parens && !pf_is(p, ')') && !pf_is(p, TOK_STOP));
	if (parens)
		pf_expect(p, ')', "\")\"");
}

void pf_rule_rtable(struct pf_parser *p, const struct pf_loc *loc)
{
	long long n;

	pf_seen(p, loc, PF_SEEN_RTABLE, "rtable");
	pf_unenforced(p, loc, "rtable");
	if (pf_number(p, "rtable", 0, 255, &n))
		p->stmt.x.rtable = (uint16_t)(n + 1);
}

void pf_rule_dummynet(struct pf_parser *p, const struct pf_loc *loc, bool queue)
{
	struct pf_rule_ext *x = &p->stmt.x;
	bool parens = pf_accept(p, '(');
	long long a = 0, b = 0;

	pf_seen(p, loc, PF_SEEN_DUMMYNET, "dnpipe or dnqueue");
	pf_unenforced(p, loc, queue ? "dnqueue" : "dnpipe");
	x->dn_given = true;
	x->dn_queue = queue;
	if (!pf_number(p, "number", parens ? 0 : 1, 65535, &a))
		return;
	if (parens) {
		if (pf_accept(p, ',') || !pf_is(p, ')')) {
			pf_number(p, "number", 0, 65535, &b);
			x->dn_pair = true;
		}
		pf_expect(p, ')', "\")\"");
	}
	x->dn[0] = (uint16_t)a;
	x->dn[1] = (uint16_t)b;
}

static void opt_dnpipe(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_rule_dummynet(p, loc, false);
}

static void opt_dnqueue(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_rule_dummynet(p, loc, true);
}

static void divert_begin(struct pf_parser *p, const struct pf_loc *loc, enum pf_divert_type type)
{
	if (p->stmt.seen & PF_SEEN_DIVERT)
		pf_error(p, loc, "more than one divert option");
	p->stmt.seen |= PF_SEEN_DIVERT;
	pf_unenforced(p, loc, "divert");
	p->stmt.divert_loc = *loc;
	p->stmt.x.divert.type = (uint8_t)type;
}

static void divert_port(struct pf_parser *p)
{
	struct pf_loc loc = p->tok.loc;
	long port = pf_parse_port(p);

	if (port == 0)
		pf_error(p, &loc, "invalid divert port: 0");
	p->stmt.x.divert.port = (uint16_t)(port > 0 ? port : 0);
}

/* OpenBSD: an address and a port; FreeBSD: the number of a divert(4) socket */
static void opt_divert_to(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc at = p->tok.loc;
	const char *host;

	divert_begin(p, loc, PF_DIVERT_TO);
	if (pf_is(p, TOK_NUMBER)) {
		divert_port(p);
		return;
	}
	host = pf_value(p, "an address", false);
	if (!host)
		return;
	pf_host_add(p, &at, host, -1, &p->stmt.divert_hosts);
	pf_host_drop_scoped(p, &at, &p->stmt.divert_hosts);
	if (p->stmt.divert_hosts.first && p->stmt.divert_hosts.first->scope)
		pf_error(p, &at, "divert-to takes an address without an interface");
	if (pf_expect_word(p, "port"))
		divert_port(p);
}

static void opt_divert_reply(struct pf_parser *p, const struct pf_loc *loc)
{
	divert_begin(p, loc, PF_DIVERT_REPLY);
}

static void opt_divert_packet(struct pf_parser *p, const struct pf_loc *loc)
{
	divert_begin(p, loc, PF_DIVERT_PACKET);
	if (pf_expect_word(p, "port"))
		divert_port(p);
}

static void opt_scrub(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_SCRUB, "scrub");
	pf_unenforced(p, loc, "scrub");
	p->stmt.scrub_loc = *loc;
	p->stmt.x.scrub_given = true;
	if (!pf_expect(p, '(', "\"(\""))
		return;
	do {
		pf_scrub_option(p, false);
		pf_accept(p, ',');
	} while (!pf_is(p, ')') && !pf_is(p, TOK_STOP));
	pf_expect(p, ')', "\")\"");
}

/* --- translation and routing --- */

static void opt_nat_to(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_NAT, "nat-to, binat-to or af-to");
	p->stmt.nat_loc = *loc;
	pf_parse_pool(p, &p->stmt.nat, true);
}

static void opt_rdr_to(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_RDR, "rdr-to");
	p->stmt.rdr_loc = *loc;
	pf_parse_pool(p, &p->stmt.rdr, true);
}

static void opt_binat_to(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_NAT, "nat-to, binat-to or af-to");
	p->stmt.nat_loc = *loc;
	p->stmt.binat = true;
	pf_parse_pool(p, &p->stmt.nat, true);
}

static void opt_af_to(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_seen(p, loc, PF_SEEN_NAT, "nat-to, binat-to or af-to");
	pf_unenforced(p, loc, "af-to");
	p->stmt.nat_loc = *loc;
	if (pf_accept_word(p, "inet"))
		p->stmt.x.af_to = PF_FAMILY_INET;
	else if (pf_accept_word(p, "inet6"))
		p->stmt.x.af_to = PF_FAMILY_INET6;
	else
		pf_syntax(p, "\"inet\" or \"inet6\"", NULL);
	if (!pf_expect_word(p, "from"))
		return;
	pf_parse_pool(p, &p->stmt.nat, true);
	p->stmt.rdr_loc = p->tok.loc;
	if (pf_accept_word(p, "to"))
		pf_parse_pool(p, &p->stmt.rdr, true);
}

static void route(struct pf_parser *p, const struct pf_loc *loc, enum pf_route_kind kind)
{
	if (p->stmt.seen & PF_SEEN_ROUTE)
		pf_error(p, loc, "only one of route-to, reply-to and dup-to can be given");
	p->stmt.seen |= PF_SEEN_ROUTE;
	p->stmt.route_loc = *loc;
	p->stmt.x.route_kind = (uint8_t)kind;
	pf_parse_pool(p, &p->stmt.route, false);
}

static void opt_route_to(struct pf_parser *p, const struct pf_loc *loc)
{
	route(p, loc, PF_ROUTE_TO);
}

static void opt_reply_to(struct pf_parser *p, const struct pf_loc *loc)
{
	route(p, loc, PF_REPLY_TO);
}

static void opt_dup_to(struct pf_parser *p, const struct pf_loc *loc)
{
	route(p, loc, PF_DUP_TO);
}

static const struct pf_handler options[] = {
	{"flags", opt_flags},
	{"keep", opt_keep_state},
	{"no", opt_no_state},
	{"modulate", opt_modulate_state},
	{"synproxy", opt_synproxy_state},
	{"label", pf_rule_label},
	{"tag", pf_rule_tag},
	{"tagged", opt_tagged},
	{"icmp-type", opt_icmp_type},
	{"icmp6-type", opt_icmp6_type},
	{"user", opt_user},
	{"group", opt_group},
	{"tos", opt_tos},
	{"prio", opt_prio},
	{"fragment", opt_fragment},
	{"allow-opts", opt_allow_opts},
	{"received-on", opt_received_on},
	{"probability", opt_probability},
	{"max-pkt-rate", opt_max_pkt_rate},
	{"max-pkt-size", opt_max_pkt_size},
	{"state", opt_state_limiter},
	{"source", opt_source_limiter},
	{"once", opt_once},
	{"ridentifier", pf_rule_ridentifier},
	{"queue", opt_queue},
	{"set", opt_set},
	{"rtable", pf_rule_rtable},
	{"dnpipe", opt_dnpipe},
	{"dnqueue", opt_dnqueue},
	{"divert-to", opt_divert_to},
	{"divert-reply", opt_divert_reply},
	{"divert-packet", opt_divert_packet},
	{"scrub", opt_scrub},
	{"nat-to", opt_nat_to},
	{"rdr-to", opt_rdr_to},
	{"binat-to", opt_binat_to},
	{"af-to", opt_af_to},
	{"route-to", opt_route_to},
	{"reply-to", opt_reply_to},
	{"dup-to", opt_dup_to},
	{NULL, NULL},
};

/* "! tagged x", "! received-on em0" */
static bool negated(struct pf_parser *p)
{
	struct pf_loc loc;

	if (!pf_accept(p, '!'))
		return false;
	loc = p->tok.loc;
	if (pf_accept_word(p, "tagged"))
		pf_rule_tagged(p, true);
	else if (pf_accept_word(p, "received-on"))
		received_on(p, &loc, true);
	else
		pf_syntax(p, "\"tagged\" or \"received-on\"", NULL);
	return true;
}

/* What stands in front of the options: only for guesses. */
static const struct pf_handler head[] = {
	{"in", NULL},	{"out", NULL},	 {"log", NULL},	  {"quick", NULL}, {"on", NULL},
	{"inet", NULL}, {"inet6", NULL}, {"proto", NULL}, {"all", NULL},   {"from", NULL},
	{"to", NULL},	{"port", NULL},	 {"os", NULL},	  {NULL, NULL}};

void pf_rule_options(struct pf_parser *p)
{
	bool comma = false;

	for (;;) {
		if (pf_handle(p, options) || negated(p)) {
			comma = pf_accept(p, ',');
			continue;
		}
		if (comma)
			break;
		if (pf_is(p, TOK_NEWLINE) || pf_is(p, TOK_END) || pf_is(p, TOK_STOP) ||
		    pf_is(p, '{') || (pf_is(p, '}') && p->anchor_depth))
			return;
		break;
	}
	pf_syntax(p, NULL, pf_handler_words(p, options, head));
}
