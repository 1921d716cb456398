// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rules for Ethernet frames, of FreeBSD's pf.conf(5).  What they share with other
 * rules is read into p->stmt.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "parser.h"
#include "words.h"

#define MAC_BITS 48

struct node_mac {
	struct node_mac *next;
	struct pf_mac mac;
};

struct node_type {
	struct node_type *next;
	uint16_t type;
};

/* One statement, besides p->stmt. */
struct ether {
	PF_LIST(struct node_type) types;
	PF_LIST(struct node_mac) src, dst;
	const char *bridge_to;
	struct pf_anchor *anchor;
};

/* --- frame types --- */

static const struct {
	const char *name;
	uint16_t type;
} types[] = {
	{"ip", 0x0800},	  {"arp", 0x0806},   {"rarp", 0x8035}, {"vlan", 0x8100},  {"ip6", 0x86dd},
	{"ipv6", 0x86dd}, {"pppoe", 0x8864}, {"mpls", 0x8847}, {"eapol", 0x888e}, {"lldp", 0x88cc},
};
#define NTYPES (sizeof(types) / sizeof(types[0]))

static long long type_by_name(struct pf_parser *p)
{
	const char *names[NTYPES + 1] = {NULL};

	for (size_t i = 0; i < NTYPES; i++) {
		if (pf_accept_word(p, types[i].name))
			return types[i].type;
		names[i] = types[i].name;
	}
	pf_syntax(p, "a frame type (a number such as 0x0800, or its name)", names);
	return -1;
}

static void frame_type(struct pf_parser *p, struct ether *e)
{
	struct node_type *n = pf_stmt_new(p, struct node_type);
	long long type = -1;

	if (pf_is(p, TOK_WORD) && (*p->tok.text < '0' || *p->tok.text > '9'))
		type = type_by_name(p);
	else
		pf_number(p, "frame type", 1, UINT16_MAX, &type);
	if (!n || type < 0)
		return;
	n->type = (uint16_t)type;
	pf_list_add(&e->types, n);
}

/* --- MAC addresses --- */

/* Six pairs of hex digits; what is behind them, or NULL. */
static const char *six_pairs(const char *text, uint8_t out[6])
{
	for (int i = 0; i < 6; i++) {
		char *end;
		unsigned long n;

		if (!strchr("0123456789abcdefABCDEF", *text) || !*text)
			return NULL;
		n = strtoul(text, &end, 16);
		if (end - text > 2 || n > UINT8_MAX || (i < 5 && *end != ':'))
			return NULL;
		out[i] = (uint8_t)n;
		text = end + (i < 5);
	}
	return text;
}

static void mac_mask(uint8_t mask[6], long long bits)
{
	for (int i = 0; i < MAC_BITS; i++)
		if (i < bits)
			mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

/* "00:11:22:33:44:55", then "/24", or "&ff:ff:ff:00:00:00" in the same word */
static void mac(struct pf_parser *p, struct node_mac *n)
{
	struct pf_loc loc;
	const char *text, *rest;
	long long bits = MAC_BITS;

	n->mac.neg = pf_accept(p, '!');
	loc = p->tok.loc;
	text = pf_value(p, "a MAC address", false);
	if (!text)
		return;
	rest = six_pairs(text, n->mac.addr);
	if (!rest || (*rest && *rest != '&')) {
		pf_error(p, &loc, "'%s' is not a MAC address, such as 00:11:22:33:44:55", text);
		return;
	}
	n->mac.given = true;
	if (*rest == '&') {
		rest = six_pairs(rest + 1, n->mac.mask);
		if (!rest || *rest)
			pf_error(p, &loc, "the mask in '%s' is not six pairs of hex digits", text);
		return;
	}
	if (pf_accept(p, '/'))
		pf_number(p, "length of the mask", 0, MAC_BITS, &bits);
	mac_mask(n->mac.mask, bits);
}

static void mac_list(struct pf_parser *p, struct ether *e, bool dst)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);) {
		struct node_mac *n = pf_stmt_new(p, struct node_mac);

		if (!n)
			return;
		mac(p, n);
		if (dst)
			pf_list_add(&e->dst, n);
		else
			pf_list_add(&e->src, n);
	}
}

/* --- the head of a rule --- */

static void bridge_to(struct pf_parser *p, struct ether *e)
{
	struct pf_node_if *n;

	if (!pf_accept_word(p, "bridge-to"))
		return;
	n = pf_parse_interface(p);
	if (n && (n->neg || !n->name || strcmp(n->name, PF_IF_ANY) == 0))
		pf_error(p, &n->loc, "bridge-to needs the name of an interface");
	else if (n)
		e->bridge_to = n->name;
}

static void frame(struct pf_parser *p, struct ether *e)
{
	struct pf_braces l = {0};

	if (pf_accept_word(p, "proto"))
		for (pf_list_begin(p, &l); pf_list_more(p, &l);)
			frame_type(p, e);
	if (pf_accept_word(p, "all"))
		return;
	if (pf_accept_word(p, "from"))
		mac_list(p, e, false);
	if (pf_accept_word(p, "to"))
		mac_list(p, e, true);
}

static void check_l3(struct pf_parser *p, const pf_host_list *list, const char *word)
{
	for (const struct pf_node_host *n = list->first; n; n = n->next) {
		enum pf_host_type t = n->host.type;

		if (t == PF_HOST_PREFIX || t == PF_HOST_TABLE || t == PF_HOST_NAME)
			continue;
		pf_error(p, &n->loc, "%s must be an address or table", word);
		return;
	}
}

static void l3(struct pf_parser *p)
{
	struct pf_stmt_rule *s = &p->stmt;
	struct pf_loc loc;

	if (!pf_accept_word(p, "l3"))
		return;
	loc = p->tok.loc;
	if (!pf_is_word(p, "all") && !pf_is_word(p, "from") && !pf_is_word(p, "to")) {
		pf_syntax(p, "\"all\", \"from\" or \"to\"", NULL);
		return;
	}
	pf_rule_fromto(p);
	if (s->sport.first || s->dport.first || s->os.first)
		pf_error(p, &loc, "ether rules know addresses, but no ports and no os");
	check_l3(p, &s->src, "from");
	check_l3(p, &s->dst, "to");
}

static void head(struct pf_parser *p, struct ether *e)
{
	pf_rule_direction(p);
	p->stmt.rule.quick = pf_accept_word(p, "quick");
	pf_rule_interface(p);
	for (const struct pf_node_if *n = p->stmt.ifs.first; n; n = n->next)
		if (!n->name)
			pf_error(p, &n->loc, "ether rules know no rdomain");
	if (!e->anchor)
		bridge_to(p, e);
	frame(p, e);
	l3(p);
}

/* --- options --- */

/* Queues come behind the ether rules in FreeBSD's order: they are looked up at the end. */
static void opt_queue(struct pf_parser *p, const struct pf_loc *loc)
{
	bool parens = pf_accept(p, '(');
	struct pf_loc at = p->tok.loc;
	const char *name = pf_value_or_number(p, "a queue");

	pf_seen(p, loc, PF_SEEN_QUEUE, "queue");
	if (!name)
		return;
	p->stmt.x.queue = name;
	pf_named_add(p, 'u', name, &at);
	if (parens)
		pf_expect(p, ')', "\")\"");
}

static void opt_tagged(struct pf_parser *p, const struct pf_loc *loc)
{
	(void)loc;
	pf_rule_tagged(p, false);
}

static void dummynet(struct pf_parser *p, const struct pf_loc *loc, bool queue)
{
	pf_rule_dummynet(p, loc, queue);
	if (p->stmt.x.dn_pair)
		pf_error(p, loc, "an ether rule has one %s", queue ? "dnqueue" : "dnpipe");
}

static void opt_dnpipe(struct pf_parser *p, const struct pf_loc *loc)
{
	dummynet(p, loc, false);
}

static void opt_dnqueue(struct pf_parser *p, const struct pf_loc *loc)
{
	dummynet(p, loc, true);
}

static const struct pf_handler options[] = {
	{"label", pf_rule_label}, {"ridentifier", pf_rule_ridentifier},
	{"queue", opt_queue},	  {"tag", pf_rule_tag},
	{"tagged", opt_tagged},	  {"dnpipe", opt_dnpipe},
	{"dnqueue", opt_dnqueue}, {NULL, NULL},
};

static bool ends(const struct pf_parser *p)
{
	return pf_is(p, TOK_NEWLINE) || pf_is(p, TOK_END) || pf_is(p, TOK_STOP) ||
	       (pf_is(p, '}') && p->anchor_depth);
}

static void parse_options(struct pf_parser *p)
{
	while (!ends(p)) {
		if (pf_handle(p, options))
			continue;
		if (!pf_accept(p, '!'))
			pf_syntax(p, "an option of the ether rule",
				  pf_handler_words(p, options, NULL));
		else if (pf_accept_word(p, "tagged"))
			pf_rule_tagged(p, true);
		else
			pf_syntax(p, "\"tagged\"", NULL);
	}
}

/* --- expansion --- */

/* What all rules of the statement have; false after an error. */
static bool rule_of(struct pf_parser *p, const struct ether *e, struct pf_ether_rule *r)
{
	const struct pf_stmt_rule *s = &p->stmt;
	const char *labels[PF_LABELS_MOST] = {s->rule.label};

	memcpy(labels + 1, s->x.labels, sizeof(s->x.labels));
	*r = (struct pf_ether_rule){
		.line = s->rule.line,
		.file = s->rule.file,
		.action = s->rule.action,
		.dir = s->rule.dir,
		.quick = s->rule.quick,
		.bridge_to = pf_keep(p, e->bridge_to),
		.dn_given = s->x.dn_given,
		.dn_queue = s->x.dn_queue,
		.dn = s->x.dn[0],
		.queue = pf_keep(p, s->x.queue),
		.tag = pf_keep(p, s->x.tag),
		.tagged = pf_keep(p, s->x.tagged),
		.tagged_not = s->x.tagged_not,
		.ridentifier = s->x.ridentifier,
		.anchor = e->anchor,
	};
	for (int i = 0; i < PF_LABELS_MOST; i++) {
		if (labels[i] && strlen(labels[i]) >= PF_LABEL_SIZE) {
			pf_error(p, &s->label_loc, "label is too long (at most %d characters)",
				 PF_LABEL_SIZE - 1);
			return false;
		}
		r->labels[i] = pf_keep(p, labels[i]);
	}
	return !p->nomem;
}

/* What rules point to is the ruleset's: once for all of them. */
static void keep_names(struct pf_parser *p, const pf_host_list *list)
{
	for (struct pf_node_host *n = list->first; n; n = n->next) {
		if (n->host.type == PF_HOST_TABLE)
			n->host.table = pf_keep(p, n->host.table);
		else if (n->host.type == PF_HOST_NAME)
			n->host.name = pf_keep(p, n->host.name);
	}
}

/* A family of addresses is asked for by the type of their frames. */
static uint16_t type_of_family(uint8_t af)
{
	return af == PF_FAMILY_INET ? 0x0800 : af == PF_FAMILY_INET6 ? 0x86dd : 0;
}

static bool add_rule(struct pf_parser *p, const struct pf_ether_rule *r)
{
	struct pf_ether_rule *n;

	if (p->block->nether >= PF_RULES_LARGEST) {
		pf_fatal(p, &p->stmt.loc, "too many ether rules (at most %d)", PF_RULES_LARGEST);
		return false;
	}
	n = pf_block_add_ether(p->block);
	if (!n) {
		pf_error_nomem(p);
		return false;
	}
	*n = *r;
	return true;
}

/* The addresses of l3; the number of rules that came of them. */
static size_t expand_hosts(struct pf_parser *p, struct pf_ether_rule *r)
{
	const struct pf_node_host *src = p->stmt.src.first, *dst;
	const struct pf_rule_host any = {0};
	const uint16_t type = r->proto;
	size_t n = 0;

	do {
		dst = p->stmt.dst.first;
		do {
			uint8_t a = src ? src->host.af : 0, b = dst ? dst->host.af : 0;

			if (!a || !b || a == b) {
				r->af = a ? a : b;
				r->proto = type ? type : type_of_family(r->af);
				r->l3_src = src ? src->host : any;
				r->l3_dst = dst ? dst->host : any;
				n++;
				if (!add_rule(p, r))
					return n;
			}
			dst = dst ? dst->next : NULL;
		} while (dst);
		src = src ? src->next : NULL;
	} while (src);
	return n;
}

static size_t expand_macs(struct pf_parser *p, const struct ether *e, struct pf_ether_rule *r)
{
	const struct node_mac *src = e->src.first, *dst;
	const struct pf_mac none = {0};
	size_t n = 0;

	do {
		r->src = src ? src->mac : none;
		dst = e->dst.first;
		do {
			r->dst = dst ? dst->mac : none;
			n += expand_hosts(p, r);
			dst = dst ? dst->next : NULL;
		} while (dst && !pf_is(p, TOK_STOP));
		src = src ? src->next : NULL;
	} while (src && !pf_is(p, TOK_STOP));
	return n;
}

/* In pfctl's order: interfaces, types, sources, destinations, addresses. */
static void expand(struct pf_parser *p, const struct ether *e)
{
	const struct pf_node_if *i = p->stmt.ifs.first;
	const struct node_type *t;
	struct pf_ether_rule r;
	size_t n = 0;

	keep_names(p, &p->stmt.src);
	keep_names(p, &p->stmt.dst);
	if (!rule_of(p, e, &r))
		return;
	do {
		r.ifname = i ? pf_keep(p, i->name) : NULL;
		r.ifnot = i && i->neg;
		t = e->types.first;
		do {
			r.proto = t ? t->type : 0;
			n += expand_macs(p, e, &r);
			t = t ? t->next : NULL;
		} while (t && !pf_is(p, TOK_STOP));
		i = i ? i->next : NULL;
	} while (i && !pf_is(p, TOK_STOP));
	if (!n)
		pf_error(p, &p->stmt.loc, "no addresses of one family: the rule never matches");
}

/* --- anchors --- */

static bool exists_already(const struct pf_block *b, const char *name)
{
	for (size_t i = 0; i < b->nether; i++) {
		const struct pf_anchor *a = b->ether[i].anchor;

		if (a && a->block && a->path && strcmp(a->path, name) == 0)
			return true;
	}
	return false;
}

/* "anchor" has been passed. */
static void anchor(struct pf_parser *p, const struct pf_loc *loc)
{
	struct ether e = {.anchor = pf_arena_alloc(&p->rs->arena, sizeof(*e.anchor))};
	struct pf_loc name_loc = p->tok.loc;
	const char *name = NULL, *why;

	if (!e.anchor) {
		pf_error_nomem(p);
		return;
	}
	if (pf_is(p, TOK_STRING) ||
	    (pf_is(p, TOK_WORD) && !pf_word_reserved(p->tok.text) && !pf_is_word(p, "l3")))
		name = pf_value(p, "an anchor's name", false);
	head(p, &e);
	if (p->recover)
		return;
	why = name ? pf_anchor_path_error(name, true) : NULL;
	if (name && !why && pf_is(p, '{') && strpbrk(name, "/*"))
		why = "anchor paths with '/' cannot be used for rules in braces";
	if (name && !why && pf_is(p, '{') && exists_already(p->block, name))
		why = "an anchor of this name with rules in braces already exists";
	if (why) {
		pf_fatal(p, &name_loc, "%s", why);
		return;
	}
	e.anchor->path = pf_keep(p, name);
	if (pf_is(p, '{')) {
		e.anchor->block = pf_parse_braces(p, loc, true);
		if (!e.anchor->block)
			return;
	} else if (!ends(p)) {
		pf_syntax(p, "\"{\" or the end of the line", NULL);
		return;
	} else if (!name) {
		pf_error(p, loc, "an anchor without rules in braces must have a name");
		return;
	}
	expand(p, &e);
}

/* --- the statement --- */

void pf_ether_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"pass", "block", "anchor", NULL};
	struct ether e = {0};

	pf_rule_begin(p, loc, PF_RULE_ACTION_PASS);
	pf_unenforced(p, loc, "ether");
	if (pf_accept_word(p, "anchor")) {
		anchor(p, loc);
		return;
	}
	if (pf_accept_word(p, "block")) {
		p->stmt.rule.action = PF_RULE_ACTION_BLOCK;
		pf_accept_word(p, "drop");
	} else if (!pf_accept_word(p, "pass")) {
		pf_syntax(p, "\"pass\", \"block\" or \"anchor\"", words);
		return;
	}
	head(p, &e);
	parse_options(p);
	if (!p->recover)
		expand(p, &e);
}
/* NOLINTEND(misc-no-recursion) */
