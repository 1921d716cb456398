// SPDX-License-Identifier: BSD-2-Clause
/*
 * antispoof: for each interface, what comes from its networks but not in on it,
 * and what comes from its own addresses, is blocked.  The loopback interface's
 * own addresses are left alone.
 */
#include <string.h>

#include "parser.h"

struct addr_ctx {
	struct pf_parser *p;
	const struct pf_loc *loc;
	bool network;
	pf_host_list *list;
};

static void add_addr(void *ctx, const struct pf_ifaddr *a)
{
	const struct addr_ctx *c = ctx;
	struct pf_node_host *n = pf_stmt_new(c->p, struct pf_node_host);

	if (!n)
		return;
	n->loc = *c->loc;
	n->host.type = PF_HOST_PREFIX;
	n->host.af = a->af;
	n->host.ip = c->network ? a->net : a->ip;
	n->host.bits = c->network ? a->bits : (uint8_t)pf_family_bits((enum pf_family)a->af);
	pf_ip_mask(&n->host.ip, n->host.bits);
	if (a->linklocal)
		n->scope = a->ifname;
	pf_list_add(c->list, n);
}

static void add_dynamic(struct pf_parser *p, const struct pf_node_if *i, bool network,
			pf_host_list *list)
{
	struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);

	if (!n)
		return;
	n->loc = i->loc;
	n->host.type = PF_HOST_DYNAMIC;
	n->host.name = i->name;
	n->host.bits = 128;
	n->host.modifiers = network ? PF_HOST_NETWORK : 0;
	pf_list_add(list, n);
}

/* Offline nothing is known of the interface: it stands for its addresses. */
static void add_unknown(struct pf_parser *p, const struct pf_node_if *i, bool network,
			pf_host_list *list)
{
	struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);

	if (!n)
		return;
	n->loc = i->loc;
	n->host.type = PF_HOST_NAME;
	n->host.name = network ? pf_stmt_printf(p, "%s:network", i->name) : i->name;
	pf_list_add(list, n);
}

static void addresses(struct pf_parser *p, const struct pf_node_if *i, bool network,
		      pf_host_list *list)
{
	struct addr_ctx c = {p, &i->loc, network, list};

	if (i->dynamic)
		add_dynamic(p, i, network, list);
	else if (p->opt->offline)
		add_unknown(p, i, network, list);
	else
		pf_if_addrs(p, i->name, network ? PF_HOST_NETWORK : 0, add_addr, &c);
}

/* Of an address family that the statement does not ask for: none is no error here. */
static bool of_family(const pf_host_list *list, uint8_t af)
{
	for (const struct pf_node_host *n = list->first; n; n = n->next)
		if (!af || !n->host.af || n->host.af == af)
			return true;
	return false;
}

static void for_interface(struct pf_parser *p, const struct pf_node_if *i)
{
	const struct pf_stmt_rule saved = p->stmt;
	struct pf_node_if *not_on = pf_stmt_new(p, struct pf_node_if);

	if (!not_on)
		return;
	*not_on = *i;
	not_on->next = NULL;
	not_on->neg = true;
	addresses(p, i, true, &p->stmt.src);
	p->stmt.ifs = (pf_if_list){not_on, not_on};
	if (of_family(&p->stmt.src, p->stmt.rule.af))
		pf_expand_rule(p);
	p->stmt = saved;
	if (pf_if_loopback(p, i->name))
		return;
	addresses(p, i, false, &p->stmt.src);
	if (of_family(&p->stmt.src, p->stmt.rule.af))
		pf_expand_rule(p);
	p->stmt = saved;
}

static void interface(struct pf_parser *p, pf_if_list *list)
{
	struct pf_loc loc = p->tok.loc;
	bool parens = pf_accept(p, '(');
	struct pf_node_if *n = pf_parse_interface(p);

	if (parens)
		pf_expect(p, ')', "\")\"");
	if (!n)
		return;
	if (n->neg || !n->name || strcmp(n->name, PF_IF_ANY) == 0) {
		pf_error(p, &loc, "antispoof is for interfaces by their names");
		return;
	}
	if (parens)
		pf_unenforced(p, &loc, "an interface in parentheses");
	n->dynamic = parens;
	if (strpbrk(n->name, ":*")) {
		pf_error(p, &n->loc, "'%s' is no interface name", n->name);
		return;
	}
	if (!parens && !p->opt->offline && pf_if_lookup(p, n->name) == PF_IF_UNKNOWN) {
		const char *meant = pf_if_suggest(p, n->name);

		pf_error(p, &n->loc,
			 "there is no interface '%s' now%s%s%s (its addresses can be followed: "
			 "antispoof for (%s))",
			 n->name, meant ? "; did you mean '" : "", meant ? meant : "",
			 meant ? "'?" : "", n->name);
		return;
	}
	pf_list_add(list, n);
}

static void options(struct pf_parser *p)
{
	static const struct pf_handler handlers[] = {{"label", pf_rule_label},
						     {"rtable", pf_rule_rtable},
						     {"ridentifier", pf_rule_ridentifier},
						     {NULL, NULL}};

	while (pf_handle(p, handlers))
		;
	if (!pf_is(p, TOK_NEWLINE) && !pf_is(p, TOK_END) && !(pf_is(p, '}') && p->anchor_depth))
		pf_syntax(p, NULL, pf_handler_words(p, handlers, NULL));
}

void pf_antispoof_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_braces l = {0};
	pf_if_list ifs = {0};

	pf_rule_begin(p, loc, PF_RULE_ACTION_BLOCK);
	p->stmt.rule.dir = PF_RULE_IN;
	pf_rule_log(p);
	if (pf_accept_word(p, "quick"))
		p->stmt.rule.quick = true;
	if (!p->stmt.rule.log)
		pf_rule_log(p);
	if (!pf_expect_word(p, "for"))
		return;
	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		interface(p, &ifs);
	pf_rule_family(p);
	options(p);
	for (const struct pf_node_if *i = ifs.first; i && !p->recover; i = i->next)
		for_interface(p, i);
}
