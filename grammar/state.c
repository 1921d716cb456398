// SPDX-License-Identifier: BSD-2-Clause
/* "keep state (...)" and "set state-defaults ...". */
#include <string.h>

#include "names.h"
#include "parser.h"

enum {
	GIVEN_MAX = 1,
	GIVEN_NODES = 2,
	GIVEN_STATES = 4,
	GIVEN_CONN = 8,
	GIVEN_RATE = 16,
	GIVEN_OVERLOAD = 32,
	GIVEN_SLOPPY = 64,
	GIVEN_PFLOW = 128,
	GIVEN_NO_SYNC = 256,
	GIVEN_RELATED = 512,
};

static void twice(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s,
		  unsigned int bit, const char *name)
{
	if (s->given & bit)
		pf_error(p, loc, "state option '%s' is given twice", name);
	s->given |= bit;
}

static void number(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s,
		   unsigned int bit, const char *name, uint32_t *out)
{
	long long n;

	twice(p, loc, s, bit, name);
	if (pf_number(p, name, 1, UINT32_MAX, &n))
		*out = (uint32_t)n;
}

static void opt_max(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	number(p, loc, s, GIVEN_MAX, "max", &s->opts.max);
}

static void opt_nodes(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	number(p, loc, s, GIVEN_NODES, "max-src-nodes", &s->opts.max_src_nodes);
}

static void opt_states(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	number(p, loc, s, GIVEN_STATES, "max-src-states", &s->opts.max_src_states);
}

static void opt_conn(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	number(p, loc, s, GIVEN_CONN, "max-src-conn", &s->opts.max_src_conn);
}

static void opt_rate(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	twice(p, loc, s, GIVEN_RATE, "max-src-conn-rate");
	if (pf_rate(p, "max-src-conn-rate", &s->opts.max_src_conn_rate) &&
	    pf_in_range(p, loc, "max-src-conn-rate", s->opts.max_src_conn_rate.limit, 1,
			PF_RATE_LARGEST))
		pf_in_range(p, loc, "seconds", s->opts.max_src_conn_rate.seconds, 1,
			    PF_TIMEOUT_LARGEST);
}

static void opt_overload(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	struct pf_loc at;
	const char *name = pf_parse_table_name(p, &at);

	twice(p, loc, s, GIVEN_OVERLOAD, "overload");
	if (!name)
		return;
	if (pf_table_name_ok(p, &at, name))
		s->opts.overload = name;
	if (!pf_accept_word(p, "flush"))
		return;
	s->opts.flush = true;
	s->opts.flush_global = pf_accept_word(p, "global");
}

static void opt_track(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	if (s->track_given)
		pf_error(p, loc, "state option 'source-track' is given twice");
	s->track_given = true;
	s->opts.source_track = PF_TRACK_GLOBAL;
	if (pf_accept_word(p, "rule"))
		s->opts.source_track = PF_TRACK_RULE;
	else if (pf_accept_word(p, "global"))
		s->track_global = true;
}

static void lock(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	if (s->lock_given)
		pf_error(p, loc, "if-bound or floating is given twice");
	s->lock_given = true;
}

static void opt_if_bound(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	lock(p, loc, s);
	s->opts.if_bound = true;
}

static void opt_floating(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	lock(p, loc, s);
}

static void opt_no_sync(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	twice(p, loc, s, GIVEN_NO_SYNC, "no-sync");
	s->opts.no_sync = true;
}

static void opt_sloppy(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	twice(p, loc, s, GIVEN_SLOPPY, "sloppy");
	s->opts.sloppy = true;
}

static void opt_pflow(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s)
{
	pf_unenforced(p, loc, "pflow");
	twice(p, loc, s, GIVEN_PFLOW, "pflow");
	s->opts.pflow = true;
}

static void opt_allow_related(struct pf_parser *p, const struct pf_loc *loc,
			      struct pf_stmt_state *s)
{
	pf_unenforced(p, loc, "allow-related");
	twice(p, loc, s, GIVEN_RELATED, "allow-related");
	s->opts.allow_related = true;
}

static const struct {
	const char *word;
	void (*handle)(struct pf_parser *p, const struct pf_loc *loc, struct pf_stmt_state *s);
} options[] = {
	{"allow-related", opt_allow_related},
	{"max", opt_max},
	{"max-src-nodes", opt_nodes},
	{"max-src-states", opt_states},
	{"max-src-conn", opt_conn},
	{"max-src-conn-rate", opt_rate},
	{"overload", opt_overload},
	{"source-track", opt_track},
	{"if-bound", opt_if_bound},
	{"floating", opt_floating},
	{"no-sync", opt_no_sync},
	{"sloppy", opt_sloppy},
	{"pflow", opt_pflow},
};

static void timeout(struct pf_parser *p, struct pf_stmt_state *s)
{
	struct pf_loc loc = p->tok.loc;
	const char *name = p->tok.text;
	int id = pf_timeout_by_name(name);
	long long n;

	pf_next(p);
	if (!strchr(name, '.')) {
		pf_error(p, &loc, "'%s' is no timeout of a state", name);
		return;
	}
	if (!pf_number(p, name, 0, PF_TIMEOUT_LARGEST, &n))
		return;
	if (s->timeouts_given & 1U << id)
		pf_error(p, &loc, "state timeout %s is given twice", name);
	s->timeouts_given |= 1U << id;
	s->opts.timeout[id] = (uint32_t)n;
}

static void one(struct pf_parser *p, struct pf_stmt_state *s)
{
	const size_t n = sizeof(options) / sizeof(options[0]);
	struct pf_loc loc = p->tok.loc;
	const char **words;

	for (size_t i = 0; i < n; i++) {
		if (!pf_accept_word(p, options[i].word))
			continue;
		options[i].handle(p, &loc, s);
		return;
	}
	if (pf_is(p, TOK_WORD) && pf_timeout_by_name(p->tok.text) >= 0) {
		timeout(p, s);
		return;
	}
	words = pf_stmt_alloc(p, (n + PF_TIMEOUT_MAX + 1) * sizeof(*words));
	if (!words)
		return;
	for (size_t i = 0; i < n; i++)
		words[i] = options[i].word;
	memcpy(words + n, pf_timeout_names, PF_TIMEOUT_MAX * sizeof(*words));
	pf_syntax(p, "a state option", words);
}

void pf_state_options(struct pf_parser *p, struct pf_stmt_state *out, bool parens)
{
	struct pf_loc loc = p->tok.loc;

	if (parens && !pf_expect(p, '(', "\"(\""))
		return;
	do {
		one(p, out);
		pf_accept(p, ',');
	} while (!pf_is(p, TOK_STOP) && !pf_is(p, TOK_END) && !pf_is(p, TOK_NEWLINE) &&
		 !pf_is(p, ')'));
	if (parens && pf_is(p, TOK_NEWLINE))
		pf_fatal(p, &loc, "the state options have no end");
	else if (parens)
		pf_expect(p, ')', "\")\"");
}

/* --- what it comes to --- */

/* pf(4) tracks by rule whatever is counted by rule. */
static void source_track(struct pf_stmt_state *s)
{
	struct pf_state_opts *o = &s->opts;

	if (o->max_src_nodes || o->max_src_conn || o->max_src_conn_rate.limit)
		o->source_track = PF_TRACK_RULE;
	else if (o->max_src_states && !o->source_track)
		o->source_track = PF_TRACK_GLOBAL;
	if (o->source_track && o->timeout[PF_TIMEOUT_SRC_TRACK] < o->max_src_conn_rate.seconds)
		o->timeout[PF_TIMEOUT_SRC_TRACK] = o->max_src_conn_rate.seconds;
}

static bool check(struct pf_parser *p, const struct pf_stmt_state *s, const struct pf_loc *loc)
{
	const struct pf_state_opts *o = &s->opts;
	uint8_t kind = p->stmt.rule.keep_state;
	const char *msg = NULL;

	if (s->track_global && o->max_src_nodes)
		msg = "'max-src-nodes' is incompatible with 'source-track global'";
	else if (s->track_global && o->max_src_conn)
		msg = "'max-src-conn' is incompatible with 'source-track global'";
	else if (s->track_global && o->max_src_conn_rate.limit)
		msg = "'max-src-conn-rate' is incompatible with 'source-track global'";
	else if (o->overload && !o->max_src_conn && !o->max_src_conn_rate.limit)
		msg = "'overload' requires 'max-src-conn' or 'max-src-conn-rate'";
	else if (o->sloppy && (kind == PF_STATE_MODULATE || kind == PF_STATE_SYNPROXY))
		msg = "sloppy state matching cannot be used with synproxy state or modulate state";
	if (!msg)
		return true;
	pf_error(p, loc, "%s", msg);
	return false;
}

static bool any_option(const struct pf_state_opts *o)
{
	static const struct pf_state_opts none;

	/* The padding is zero: the statement is cleared before it is filled in. */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*) */
	return memcmp(o, &none, sizeof(none)) != 0;
}

/* A pass rule keeps state, with the defaults for that, unless it says otherwise. */
bool pf_state_finish(struct pf_parser *p)
{
	struct pf_stmt_rule *r = &p->stmt;
	struct pf_stmt_state *s = &r->state;
	const uint32_t adaptive = 1U << PF_TIMEOUT_ADAPTIVE_START | 1U << PF_TIMEOUT_ADAPTIVE_END;
	struct pf_loc *loc = &r->state_loc;
	struct pf_state_opts *copy;
	uint64_t tenth;

	if (r->rule.action == PF_RULE_ACTION_PASS && !(r->seen & PF_SEEN_STATE)) {
		r->rule.keep_state = PF_STATE_KEEP;
		*s = p->state_defaults;
		loc = &r->loc;
	}
	if (!r->rule.keep_state)
		return true;
	if (!check(p, s, loc))
		return false;
	source_track(s);
	/* in tens, as pfctl(8) has them; below ten the global ones hold */
	tenth = s->opts.max / 10;
	if (tenth && !(s->timeouts_given & adaptive))
		pf_timeouts_adapt(s->opts.timeout, s->opts.max, tenth * 6, tenth * 12);
	if (!s->lock_given)
		s->opts.if_bound = p->rs->options.if_bound;
	if (!any_option(&s->opts))
		return true;
	copy = pf_arena_alloc(&p->rs->arena, sizeof(*copy));
	if (!copy) {
		pf_error_nomem(p);
		return false;
	}
	*copy = s->opts;
	copy->overload = pf_keep(p, copy->overload);
	r->x.state = copy;
	return true;
}
