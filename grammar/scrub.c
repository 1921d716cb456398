// SPDX-License-Identifier: BSD-2-Clause
/* scrub: the options of a rule, and the rules of the old dialect. */
#include <string.h>

#include "parser.h"

static void flag(struct pf_parser *p, const struct pf_loc *loc, bool *set, const char *name)
{
	if (*set)
		pf_error(p, loc, "%s is given twice", name);
	*set = true;
}

static void no_df(struct pf_parser *p, const struct pf_loc *loc)
{
	flag(p, loc, &p->stmt.x.scrub.no_df, "no-df");
}

static void random_id(struct pf_parser *p, const struct pf_loc *loc)
{
	flag(p, loc, &p->stmt.x.scrub.random_id, "random-id");
}

static void min_ttl(struct pf_parser *p, const struct pf_loc *loc)
{
	long long n;

	if (p->stmt.x.scrub.min_ttl)
		pf_error(p, loc, "min-ttl is given twice");
	if (pf_number(p, "min-ttl", 0, 255, &n))
		p->stmt.x.scrub.min_ttl = (uint8_t)n;
}

static void max_mss(struct pf_parser *p, const struct pf_loc *loc)
{
	long long n;

	if (p->stmt.x.scrub.max_mss)
		pf_error(p, loc, "max-mss is given twice");
	if (pf_number(p, "max-mss", 0, 65535, &n))
		p->stmt.x.scrub.max_mss = (uint16_t)n;
}

static void reassemble(struct pf_parser *p, const struct pf_loc *loc)
{
	if (pf_expect_word(p, "tcp"))
		flag(p, loc, &p->stmt.x.scrub.reassemble_tcp, "reassemble tcp");
}

static void set_tos(struct pf_parser *p, const struct pf_loc *loc)
{
	flag(p, loc, &p->stmt.x.scrub.set_tos_given, "set-tos");
	pf_tos(p, &p->stmt.x.scrub.set_tos);
}

static void fragment(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"reassemble", "no", NULL};

	pf_seen(p, loc, PF_SEEN_FRAGMENT, "fragment");
	if (pf_is_word(p, "crop") || pf_is_word(p, "drop-ovl")) {
		pf_fatal(p, &p->tok.loc,
			 "\"fragment %s\" has not been in pf since OpenBSD 5.0: fragments are "
			 "reassembled (\"fragment reassemble\")",
			 p->tok.text);
		return;
	}
	if (pf_accept_word(p, "no"))
		p->stmt.x.scrub.fragment_no_reassemble = true;
	if (!pf_accept_word(p, "reassemble"))
		pf_syntax(p, "\"reassemble\" or \"no reassemble\"", words);
}

static void tagged(struct pf_parser *p, const struct pf_loc *loc)
{
	(void)loc;
	pf_rule_tagged(p, false);
}

static const struct pf_handler options[] = {{"no-df", no_df},		{"random-id", random_id},
					    {"min-ttl", min_ttl},	{"max-mss", max_mss},
					    {"reassemble", reassemble}, {NULL, NULL}};

static const struct pf_handler old_options[] = {{"set-tos", set_tos},
						{"fragment", fragment},
						{"rtable", pf_rule_rtable},
						{"tagged", tagged},
						{NULL, NULL}};

void pf_scrub_option(struct pf_parser *p, bool old)
{
	if (pf_handle(p, options) || (old && pf_handle(p, old_options)))
		return;
	if (old && pf_accept(p, '!')) {
		if (pf_expect_word(p, "tagged"))
			pf_rule_tagged(p, true);
		return;
	}
	pf_syntax(p, "a scrub option", pf_handler_words(p, options, old ? old_options : NULL));
}

void pf_scrub_statement(struct pf_parser *p, const struct pf_loc *loc, bool no)
{
	struct pf_loc quick;

	pf_rule_begin(p, loc, no ? PF_RULE_ACTION_NO_SCRUB : PF_RULE_ACTION_SCRUB);
	pf_unenforced(p, loc, "scrub");
	p->stmt.old = true;
	pf_rule_direction(p);
	pf_rule_log(p);
	quick = p->tok.loc;
	if (pf_accept_word(p, "quick"))
		pf_error(p, &quick, "scrub rules do not support 'quick'");
	pf_rule_interface(p);
	pf_rule_family(p);
	pf_rule_proto(p);
	pf_rule_fromto(p);
	while (!pf_is(p, TOK_NEWLINE) && !pf_is(p, TOK_END) && !pf_is(p, TOK_STOP) &&
	       !(pf_is(p, '}') && p->anchor_depth)) {
		pf_scrub_option(p, true);
		pf_accept(p, ',');
	}
	if (p->recover)
		return;
	if (p->stmt.x.scrub.reassemble_tcp && p->stmt.rule.dir)
		pf_error(p, loc, "reassemble tcp rules cannot specify a direction");
	p->stmt.x.scrub_given = true;
	pf_expand_rule(p);
}
