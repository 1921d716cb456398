// SPDX-License-Identifier: BSD-2-Clause
/* "set ...": the options of pf.conf(5). */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "names.h"
#include "parser.h"
#include "words.h"

static const char *word_of(struct pf_parser *p, const char *what, const char *const *words)
{
	const char *text = p->tok.text;

	for (size_t i = 0; (pf_is(p, TOK_WORD) || pf_is(p, TOK_STRING)) && words[i]; i++) {
		if (strcmp(words[i], text) == 0) {
			pf_next(p);
			return words[i];
		}
	}
	/* a choice of a few is named, of many it is not */
	if (*what != '"' && (pf_is(p, TOK_WORD) || pf_is(p, TOK_STRING)) &&
	    !pf_word_reserved(text)) {
		const char *meant = pf_suggest(text, words);

		pf_fatal(p, &p->tok.loc, "unknown %s %s%s%s%s", what, text,
			 meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
		return NULL;
	}
	pf_syntax(p, what, words);
	return NULL;
}

/* --- timeouts and limits --- */

static void timeout(struct pf_parser *p)
{
	const char *name = word_of(p, "timeout", pf_timeout_names);
	bool count;
	long long n;
	int id;

	if (!name)
		return;
	id = pf_timeout_by_name(name);
	count = id == PF_TIMEOUT_ADAPTIVE_START || id == PF_TIMEOUT_ADAPTIVE_END;
	if (!pf_number(p, name, id == PF_TIMEOUT_INTERVAL ? 1 : 0,
		       count ? INT32_MAX : (long long)PF_TIMEOUT_LARGEST, &n))
		return;
	p->rs->options.timeout[id] = (uint32_t)n;
	p->rs->options.timeout_set |= 1U << id;
	pf_echo(p, pf_stmt_printf(p, "set timeout %s %lld", name, n));
}

static void set_timeout(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_braces l = {0};

	(void)loc;
	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		timeout(p);
}

static void limit(struct pf_parser *p)
{
	const char *name = word_of(p, "limit", pf_limit_names);
	long long n;
	int id;

	if (!name)
		return;
	id = pf_limit_by_name(name);
	if (!pf_number(p, name, 1, id == PF_LIMIT_STATES ? PF_STATES_LARGEST : INT32_MAX, &n))
		return;
	p->rs->options.limit[id] = (uint32_t)n;
	p->rs->options.limit_set |= 1U << id;
	pf_echo(p, pf_stmt_printf(p, "set limit %s %lld", name, n));
}

static void set_limit(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_braces l = {0};

	(void)loc;
	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		limit(p);
}

static const struct optimization {
	const char *name;
	uint32_t first, opening, established, closing, finwait, closed, tsdiff;
} optimizations[] = {
	{"default", 120, 30, 86400, 900, 45, 90, 30},
	{"normal", 120, 30, 86400, 900, 45, 90, 30},
	{"satellite", 180, 35, 86400, 905, 50, 95, 60},
	{"high-latency", 180, 35, 86400, 905, 50, 95, 60},
	{"conservative", 3600, 900, 432000, 3600, 600, 180, 60},
	{"aggressive", 30, 5, 18000, 60, 30, 30, 10},
};

static void set_optimization(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {
		"default",	"normal",     "satellite", "high-latency",
		"conservative", "aggressive", NULL};
	const char *name = word_of(p, "optimization", words);
	uint32_t *t = p->rs->options.timeout;
	const struct optimization *o = optimizations;

	(void)loc;
	if (!name)
		return;
	while (strcmp(o->name, name) != 0)
		o++;
	t[PF_TIMEOUT_TCP_FIRST] = o->first;
	t[PF_TIMEOUT_TCP_OPENING] = o->opening;
	t[PF_TIMEOUT_TCP_ESTABLISHED] = o->established;
	t[PF_TIMEOUT_TCP_CLOSING] = o->closing;
	t[PF_TIMEOUT_TCP_FINWAIT] = o->finwait;
	t[PF_TIMEOUT_TCP_CLOSED] = o->closed;
	t[PF_TIMEOUT_TCP_TSDIFF] = o->tsdiff;
	pf_echo(p, pf_stmt_printf(p, "set optimization %s", name));
}

/* --- policies --- */

static void set_block_policy(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"drop", "return", NULL};
	const char *word = word_of(p, "\"drop\" or \"return\"", words);

	(void)loc;
	if (!word)
		return;
	p->rs->options.block_return = *word == 'r';
	pf_echo(p, pf_stmt_printf(p, "set block-policy %s", word));
}

/* FreeBSD: what happens to packets that a pass rule cannot make a state for */
static void set_fail_policy(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"drop", "return", NULL};
	const char *word = word_of(p, "\"drop\" or \"return\"", words);

	if (!word)
		return;
	if (*word == 'r')
		pf_unenforced(p, loc, "set fail-policy return");
	pf_echo(p, pf_stmt_printf(p, "set fail-policy %s", word));
}

static void set_state_policy(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"floating", "if-bound", NULL};
	const char *word = word_of(p, "\"floating\" or \"if-bound\"", words);

	(void)loc;
	if (!word)
		return;
	p->rs->options.if_bound = *word == 'i';
	pf_echo(p, pf_stmt_printf(p, "set state-policy %s", word));
}

/* The rules that it applies to are printed with it: there is nothing to echo. */
static void set_state_defaults(struct pf_parser *p, const struct pf_loc *loc)
{
	if (p->state_defaults_given)
		pf_error(p, loc, "state-defaults are given twice");
	p->state_defaults_given = true;
	p->state_defaults_loc = *loc;
	/* the statement's memory is used again */
	p->state_defaults_loc.trace = NULL;
	memset(&p->state_defaults, 0, sizeof(p->state_defaults));
	pf_state_options(p, &p->state_defaults, false);
	/* it outlives the statement */
	p->state_defaults.opts.overload = pf_keep(p, p->state_defaults.opts.overload);
}

static void set_ruleset_optimization(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"none", "basic", "profile", NULL};
	const char *word = word_of(p, "ruleset-optimization", words);

	(void)loc;
	if (!word || p->opt->optimize != PF_OPTIMIZE_DEFAULT)
		return;
	p->rs->options.optimize = *word == 'n'	 ? PF_OPTIMIZE_NONE
				  : *word == 'b' ? PF_OPTIMIZE_BASIC
						 : PF_OPTIMIZE_PROFILE;
	pf_echo(p, pf_stmt_printf(p, "set ruleset-optimization %s", word));
}

static const char *yes_no(struct pf_parser *p)
{
	static const char *const words[] = {"yes", "no", NULL};

	return word_of(p, "\"yes\" or \"no\"", words);
}

static void set_require_order(struct pf_parser *p, const struct pf_loc *loc)
{
	const char *word = yes_no(p);

	(void)loc;
	if (word)
		pf_echo(p, pf_stmt_printf(p, "set require-order %s", word));
}

static void set_reassemble(struct pf_parser *p, const struct pf_loc *loc)
{
	const char *word = yes_no(p);
	bool no_df;

	if (!word)
		return;
	no_df = pf_accept_word(p, "no-df");
	if (*word == 'y')
		pf_unenforced(p, loc, "set reassemble yes");
	pf_echo(p, pf_stmt_printf(p, "set reassemble %s%s", word, no_df ? " no-df" : ""));
}

/* --- the rest --- */

static void set_skip(struct pf_parser *p, const struct pf_loc *loc)
{
	const char *text = "set skip on {";
	pf_if_list ifs = {0};

	(void)loc;
	if (!pf_expect_word(p, "on"))
		return;
	pf_parse_interfaces(p, &ifs);
	if (ifs.first && ifs.first == ifs.last && !ifs.first->neg && ifs.first->name &&
	    strcmp(ifs.first->name, "none") == 0) {
		pf_echo(p, "set skip on none");
		return;
	}
	for (struct pf_node_if *n = ifs.first; n && text && !p->recover; n = n->next) {
		char *quoted;

		if (n->name && strcmp(n->name, PF_IF_ANY) == 0) {
			pf_error(p, &n->loc,
				 "set skip on any would skip all: pfctl-linux -d disables pf");
			return;
		}
		if (n->neg || !n->name) {
			pf_error(p, &n->loc, "set skip on %s%s is not supported",
				 n->neg ? "! " : "", n->name ? n->name : "rdomain");
			return;
		}
		quoted = pf_stmt_alloc(p, 2 * strlen(n->name) + 1);
		if (!quoted || pf_ruleset_add_skip(p->rs, n->name)) {
			pf_error_nomem(p);
			return;
		}
		pf_word_quote(quoted, n->name);
		text = pf_stmt_printf(p, pf_word_plain(n->name) ? "%s %s" : "%s \"%s\"", text,
				      quoted);
	}
	if (text)
		pf_echo(p, pf_stmt_printf(p, "%s }", text));
}

static void set_loginterface(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc name_loc = p->tok.loc;
	const char *name = pf_value(p, "an interface or \"none\"", true);
	char quoted[2 * PF_IFNAME_SIZE];

	if (!name)
		return;
	if (strcmp(name, "none") != 0) {
		pf_unenforced(p, loc, "set loginterface");
		if (!pf_interface_name(p, &name_loc, name))
			return;
	}
	pf_word_quote(quoted, name);
	pf_echo(p, pf_stmt_printf(p,
				  pf_word_plain(name) ? "set loginterface %s"
						      : "set loginterface \"%s\"",
				  quoted));
}

/* OpenBSD has syslog's levels, FreeBSD names of its own: see pfctl(8), -x. */
static const struct {
	const char *name;
	int level;
} levels[] = {
	{"emerg", LOG_EMERG},	{"alert", LOG_ALERT}, {"crit", LOG_CRIT},
	{"err", LOG_ERR},	{"error", LOG_ERR},   {"warning", LOG_WARNING},
	{"notice", LOG_NOTICE}, {"info", LOG_INFO},   {"debug", LOG_DEBUG},
	{"none", LOG_EMERG},	{"urgent", LOG_ERR},  {"misc", LOG_NOTICE},
	{"loud", LOG_DEBUG},
};

static void set_debug(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"emerg",   "alert",	 "crit", "err",	  "error",
					    "warning", "notice", "info", "debug", "none",
					    "urgent",  "misc",	 "loud", NULL};
	const char *word = word_of(p, "debug level", words);

	(void)loc;
	for (size_t i = 0; word && i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(levels[i].name, word) != 0)
			continue;
		p->rs->options.debug_given = true;
		p->rs->options.debug = (uint8_t)levels[i].level;
		pf_echo(p, pf_stmt_printf(p, "set debug %s", word));
	}
}

static void set_fingerprints(struct pf_parser *p, const struct pf_loc *loc)
{
	const char *name = pf_value(p, "a file's name", true);
	char *quoted = name ? pf_stmt_alloc(p, 2 * strlen(name) + 1) : NULL;

	/* the file is read when a rule asks for an operating system */
	(void)loc;
	if (!quoted)
		return;
	pf_word_quote(quoted, name);
	pf_echo(p, pf_stmt_printf(p, "set fingerprints \"%s\"", quoted));
}

static void set_hostid(struct pf_parser *p, const struct pf_loc *loc)
{
	long long id;

	(void)loc;
	if (pf_number(p, "hostid", 1, UINT32_MAX, &id))
		pf_echo(p, pf_stmt_printf(p, "set hostid 0x%08llx", id));
}

static void set_keepcounters(struct pf_parser *p, const struct pf_loc *loc)
{
	(void)loc;
	p->rs->options.keep_counters = true;
	pf_echo(p, "set keepcounters");
}

/* "25%" */
static bool percent(struct pf_parser *p, double *out)
{
	struct pf_loc loc = p->tok.loc;
	const char *text = pf_value(p, "a percentage", true);
	char *end;

	if (!text)
		return false;
	*out = strtod(text, &end);
	if (strcmp(end, "%") == 0 && *out > 0 && *out <= 100)
		return true;
	pf_error(p, &loc, "'%s' is no percentage (0%% to 100%%)", text);
	return false;
}

static void syncookie_marks(struct pf_parser *p, const struct pf_loc *loc)
{
	double start = 0, end = 0;

	while (!pf_is(p, ')') && !pf_is(p, TOK_STOP)) {
		if (pf_accept_word(p, "start"))
			percent(p, &start);
		else if (pf_accept_word(p, "end"))
			percent(p, &end);
		else
			pf_syntax(p, "\"start\" or \"end\"", NULL);
		pf_accept(p, ',');
	}
	if (!pf_expect(p, ')', "\")\""))
		return;
	if (!start || !end)
		pf_error(p, loc, "syncookies adaptive needs both start and end");
	else if (end >= start)
		pf_error(p, loc, "syncookies: start must be above end");
	pf_echo(p, pf_stmt_printf(p, "set syncookies adaptive (start %g%%, end %g%%)", start, end));
}

static void set_syncookies(struct pf_parser *p, const struct pf_loc *loc)
{
	static const char *const words[] = {"never", "always", "adaptive", NULL};
	const char *word = word_of(p, "\"never\", \"always\" or \"adaptive\"", words);

	if (!word)
		return;
	if (*word != 'n')
		pf_unenforced(p, loc, "set syncookies");
	if (word[1] == 'd' && pf_accept(p, '('))
		syncookie_marks(p, loc);
	else
		pf_echo(p, pf_stmt_printf(p, "set syncookies %s", word));
}

static const struct pf_handler options[] = {
	{"timeout", set_timeout},
	{"limit", set_limit},
	{"optimization", set_optimization},
	{"ruleset-optimization", set_ruleset_optimization},
	{"block-policy", set_block_policy},
	{"fail-policy", set_fail_policy},
	{"state-policy", set_state_policy},
	{"state-defaults", set_state_defaults},
	{"require-order", set_require_order},
	{"reassemble", set_reassemble},
	{"skip", set_skip},
	{"loginterface", set_loginterface},
	{"debug", set_debug},
	{"fingerprints", set_fingerprints},
	{"hostid", set_hostid},
	{"keepcounters", set_keepcounters},
	{"syncookies", set_syncookies},
	{NULL, NULL},
};

void pf_set_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	(void)loc;
	if (!pf_handle(p, options))
		pf_syntax(p, "an option", pf_handler_words(p, options, NULL));
}
