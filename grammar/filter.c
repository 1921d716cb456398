// SPDX-License-Identifier: BSD-2-Clause
/* Filter rules, and the parts at the head of every kind of rule. */
#include <string.h>

#include "names.h"
#include "parser.h"

void pf_rule_begin(struct pf_parser *p, const struct pf_loc *loc, enum pf_rule_action action)
{
	memset(&p->stmt, 0, sizeof(p->stmt));
	p->stmt.loc = *loc;
	p->stmt.rule.line = loc->line;
	p->stmt.rule.file = loc->file ? loc->file->index : 0;
	p->stmt.rule.action = (uint8_t)action;
}

/* --- how a packet is blocked --- */

/* type << 8 | code of the ICMP error that is returned; 0 after an error. */
static uint16_t return_code(struct pf_parser *p, bool v6)
{
	const unsigned int type = v6 ? 1 : 3; /* unreachable */
	struct pf_loc loc = p->tok.loc;
	const char *name;
	long long n;

	if (pf_is(p, TOK_NUMBER)) {
		if (!pf_number(p, "icmp code", 0, 255, &n))
			return 0;
	} else {
		name = pf_value(p, "an icmp code", true);
		if (!name)
			return 0;
		n = pf_icmp_code_by_name(type, name, v6 ? PF_FAMILY_INET6 : PF_FAMILY_INET);
		if (n < 0) {
			pf_error(p, &loc, "unknown icmp code %s", name);
			return 0;
		}
	}
	return (uint16_t)(type << 8 | (unsigned int)n);
}

static void return_rst(struct pf_parser *p)
{
	long long ttl;

	if (!pf_accept(p, '('))
		return;
	if (pf_expect_word(p, "ttl") && pf_number(p, "ttl", 0, 255, &ttl))
		p->stmt.rule.return_ttl = (uint8_t)ttl;
	pf_expect(p, ')', "\")\"");
}

static void return_icmp(struct pf_parser *p, bool v6)
{
	struct pf_rule *r = &p->stmt.rule;

	if (!pf_accept(p, '('))
		return;
	if (v6) {
		r->return_icmp6 = return_code(p, true);
	} else {
		r->return_icmp = return_code(p, false);
		if (pf_accept(p, ',') || (!pf_is(p, ')') && !pf_is(p, TOK_STOP)))
			r->return_icmp6 = return_code(p, true);
	}
	pf_expect(p, ')', "\")\"");
}

static void block_kind(struct pf_parser *p)
{
	struct pf_rule *r = &p->stmt.rule;

	p->stmt.block_loc = p->tok.loc;
	r->block_kind = p->rs->options.block_return ? PF_BLOCK_RETURN : PF_BLOCK_DROP;
	if (pf_accept_word(p, "drop")) {
		r->block_kind = PF_BLOCK_DROP;
	} else if (pf_accept_word(p, "return")) {
		r->block_kind = PF_BLOCK_RETURN;
	} else if (pf_accept_word(p, "return-rst")) {
		r->block_kind = PF_BLOCK_RETURN_RST;
		return_rst(p);
	} else if (pf_is_word(p, "return-icmp") || pf_is_word(p, "return-icmp6")) {
		bool v6 = pf_is_word(p, "return-icmp6");

		r->block_kind = PF_BLOCK_RETURN_ICMP;
		pf_next(p);
		return_icmp(p, v6);
	}
}

/* --- the head --- */

void pf_rule_direction(struct pf_parser *p)
{
	if (pf_accept_word(p, "in"))
		p->stmt.rule.dir = PF_RULE_IN;
	else if (pf_accept_word(p, "out"))
		p->stmt.rule.dir = PF_RULE_OUT;
}

static void log_to(struct pf_parser *p)
{
	struct pf_loc loc = p->tok.loc;
	const char *name = pf_value(p, "a pflog interface", true), *digits;
	long long n = 0;

	if (!name)
		return;
	if (strncmp(name, "pflog", 5) != 0) {
		pf_error(p, &loc, "%s: should be a pflog interface", name);
		return;
	}
	for (digits = name + 5; *digits >= '0' && *digits <= '9' && n < 1000; digits++)
		n = 10 * n + *digits - '0';
	if (*digits || !name[5] || n > 255) {
		pf_error(p, &loc, "%s: the number of a pflog interface is 0 to 255", name);
		return;
	}
	p->stmt.x.logif = (uint8_t)n;
}

static void log_options(struct pf_parser *p)
{
	static const char *const words[] = {"all", "matches", "user", "to", NULL};

	do {
		if (pf_accept_word(p, "all"))
			p->stmt.x.log_all = true;
		else if (pf_accept_word(p, "matches"))
			p->stmt.x.log_matches = true;
		else if (pf_accept_word(p, "user"))
			p->stmt.x.log_user = true;
		else if (pf_accept_word(p, "to"))
			log_to(p);
		else
			pf_syntax(p, "\"all\", \"matches\", \"user\" or \"to\"", words);
		pf_accept(p, ',');
	} while (!pf_is(p, ')') && !pf_is(p, TOK_STOP));
	pf_expect(p, ')', "\")\"");
}

void pf_rule_log(struct pf_parser *p)
{
	struct pf_loc loc = p->tok.loc;

	if (pf_accept_word(p, "log-all")) /* OpenBSD before 3.8 */
		p->stmt.x.log_all = true;
	else if (!pf_accept_word(p, "log"))
		return;
	p->stmt.log_loc = loc;
	p->stmt.rule.log = true;
	if (p->stmt.x.log_all || pf_is(p, '('))
		pf_unenforced(p, &loc, "log with options");
	if (pf_is(p, '(')) {
		pf_next(p);
		log_options(p);
	}
}

static void log_quick(struct pf_parser *p)
{
	pf_rule_log(p);
	if (pf_accept_word(p, "quick"))
		p->stmt.rule.quick = true;
	if (!p->stmt.rule.log)
		pf_rule_log(p);
}

void pf_rule_interface(struct pf_parser *p)
{
	if (pf_accept_word(p, "on"))
		pf_parse_interfaces(p, &p->stmt.ifs);
}

void pf_rule_family(struct pf_parser *p)
{
	if (pf_accept_word(p, "inet"))
		p->stmt.rule.af = PF_FAMILY_INET;
	else if (pf_accept_word(p, "inet6"))
		p->stmt.rule.af = PF_FAMILY_INET6;
}

void pf_rule_proto(struct pf_parser *p)
{
	if (pf_accept_word(p, "proto"))
		pf_parse_protocols(p, &p->stmt.protos);
}

static void peer(struct pf_parser *p, pf_host_list *hosts, pf_port_list *ports)
{
	if (!pf_is_word(p, "port"))
		pf_parse_hosts(p, hosts);
	if (pf_accept_word(p, "port"))
		pf_parse_ports(p, ports);
}

void pf_rule_fromto(struct pf_parser *p)
{
	if (pf_accept_word(p, "all"))
		return;
	if (pf_accept_word(p, "from"))
		peer(p, &p->stmt.src, &p->stmt.sport);
	p->stmt.os_loc = p->tok.loc;
	if (pf_accept_word(p, "os")) {
		pf_unenforced(p, &p->stmt.os_loc, "os");
		pf_parse_os(p, &p->stmt.os);
	}
	if (!pf_accept_word(p, "to"))
		return;
	peer(p, &p->stmt.dst, &p->stmt.dport);
	for (const struct pf_node_host *n = p->stmt.dst.first; n; n = n->next)
		if (n->host.type == PF_HOST_URPF)
			pf_error(p, &n->loc,
				 "\"urpf-failed\" is not permitted in a destination address");
}

/* FreeBSD has it in front of the family, OpenBSD among the options. */
static void old_route(struct pf_parser *p)
{
	static const struct {
		const char *word;
		enum pf_route_kind kind;
	} kinds[] = {{"route-to", PF_ROUTE_TO}, {"reply-to", PF_REPLY_TO}, {"dup-to", PF_DUP_TO}};
	struct pf_loc loc = p->tok.loc;

	if (pf_accept_word(p, "fastroute")) /* without a meaning since OpenBSD 3.5 */
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!pf_accept_word(p, kinds[i].word))
			continue;
		p->stmt.seen |= PF_SEEN_ROUTE;
		p->stmt.x.route_kind = (uint8_t)kinds[i].kind;
		p->stmt.route_loc = loc;
		pf_parse_route_old(p, &p->stmt.route);
		/* with addresses alone it is OpenBSD's, in a rule without family and hosts */
		for (const struct pf_node_host *n = p->stmt.route.hosts.first; n; n = n->next)
			p->stmt.x.route_old |= n->ifname != NULL;
		return;
	}
}

void pf_filter_statement(struct pf_parser *p, const struct pf_loc *loc, enum pf_rule_action action)
{
	pf_rule_begin(p, loc, action);
	if (action == PF_RULE_ACTION_BLOCK)
		block_kind(p);
	pf_rule_direction(p);
	log_quick(p);
	pf_rule_interface(p);
	old_route(p);
	pf_rule_family(p);
	pf_rule_proto(p);
	pf_rule_fromto(p);
	pf_rule_options(p);
	if (p->recover)
		return;
	p->stmt.loc.end_col = pf_loc_span(loc, &p->tok.loc).end_col;
	if (p->tok.loc.line == loc->line && p->tok.loc.col > 1 && p->tok.loc.file == loc->file)
		p->stmt.loc.end_col = p->tok.loc.col;
	if (pf_state_finish(p))
		pf_expand_rule(p);
}
