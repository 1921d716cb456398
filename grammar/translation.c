// SPDX-License-Identifier: BSD-2-Clause
/*
 * The old dialect's translation rules: nat, rdr and binat, which are rulesets of
 * their own (pf.conf(5) of FreeBSD, TRANSLATION).
 */
#include <string.h>

#include "parser.h"

static bool is_no(const struct pf_parser *p)
{
	uint8_t a = p->stmt.rule.action;

	return a == PF_RULE_ACTION_NO_NAT || a == PF_RULE_ACTION_NO_RDR ||
	       a == PF_RULE_ACTION_NO_BINAT;
}

static bool is_binat(const struct pf_parser *p)
{
	return p->stmt.rule.action == PF_RULE_ACTION_BINAT ||
	       p->stmt.rule.action == PF_RULE_ACTION_NO_BINAT;
}

static void nat_pass(struct pf_parser *p, bool no)
{
	struct pf_loc loc = p->tok.loc;

	if (pf_accept_word(p, "pass")) {
		p->stmt.x.nat_pass = true;
		if (no)
			pf_error(p, &loc, "\"pass\" is not valid with \"no\"");
	}
	pf_rule_log(p);
}

static void options(struct pf_parser *p)
{
	for (;;) {
		struct pf_loc loc = p->tok.loc;

		if (pf_accept_word(p, "tag")) {
			pf_rule_tag(p, &loc);
		} else if (pf_accept_word(p, "tagged")) {
			pf_rule_tagged(p, false);
		} else if (pf_accept(p, '!')) {
			if (pf_expect_word(p, "tagged"))
				pf_rule_tagged(p, true);
		} else if (pf_accept_word(p, "rtable")) {
			pf_rule_rtable(p, &loc);
		} else {
			return;
		}
	}
}

static void target(struct pf_parser *p, bool no)
{
	struct pf_loc loc = p->tok.loc;
	static const char *const words[] = {"tag", "tagged", "rtable", "from", "to", "port", NULL};

	if (pf_accept(p, TOK_ARROW)) {
		if (no)
			pf_error(p, &loc, "translation rule with 'no' does not need '->'");
		pf_parse_pool(p, &p->stmt.target, true);
	} else if (!pf_is(p, TOK_NEWLINE) && !pf_is(p, TOK_END) &&
		   !(pf_is(p, '}') && p->anchor_depth)) {
		pf_syntax(p, no ? "end of line" : "\"->\"", words);
	} else if (!no) {
		pf_error(p, &p->stmt.loc, "translation rule requires '-> address'");
		p->recover = true;
	}
}

/* binat is from one address or network to another: no lists, no ports. */
static void check_binat(struct pf_parser *p)
{
	struct pf_stmt_rule *s = &p->stmt;
	const struct pf_node_host *src = s->src.first;
	const char *msg = NULL;

	if (s->ifs.first != s->ifs.last)
		msg = "binat takes one interface";
	else if (s->protos.first != s->protos.last)
		msg = "binat takes one protocol";
	else if (s->sport.first || s->dport.first)
		msg = "binat takes no ports";
	else if (!src && !is_no(p))
		msg = "binat needs a source address";
	else if (src && src->host.type == PF_HOST_TABLE)
		msg = "a table cannot be the source address of a binat rule";
	else if (src && src->host.neg)
		msg = "the source address of a binat rule cannot be negated";
	if (msg) {
		pf_error(p, src ? &src->loc : &s->loc, "%s", msg);
		p->recover = true;
	}
}

static void check_rdr(struct pf_parser *p)
{
	const struct pf_stmt_rule *s = &p->stmt;

	for (const struct pf_node_port *n = s->dport.first; n; n = n->next) {
		if (n->port.op == PF_PORT_EQ || n->port.op == PF_PORT_RANGE)
			continue;
		pf_error(p, &n->loc, "invalid port operator for rdr destination port");
		p->recover = true;
		return;
	}
}

void pf_translation_statement(struct pf_parser *p, const struct pf_loc *loc, bool no,
			      enum pf_rule_action action)
{
	pf_rule_begin(p, loc, action);
	pf_unenforced(p, loc, "translation of the old dialect (nat, rdr, binat)");
	p->stmt.old = true;
	nat_pass(p, no);
	pf_rule_interface(p);
	pf_rule_family(p);
	pf_rule_proto(p);
	pf_rule_fromto(p);
	options(p);
	target(p, is_no(p));
	if (p->recover)
		return;
	if (is_binat(p) && !p->stmt.bad_host)
		check_binat(p);
	else if (action == PF_RULE_ACTION_RDR || action == PF_RULE_ACTION_NO_RDR)
		check_rdr(p);
	if (!p->recover)
		pf_expand_rule(p);
}
