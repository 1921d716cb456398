// SPDX-License-Identifier: BSD-2-Clause
/* "state limiter" and "source limiter": see pf.conf(5), STATEFUL FILTERING. */
#include <stdlib.h>
#include <string.h>

#include "parser.h"
#include "words.h"

#define STATES_MOST (1U << 24) /* OpenBSD's pfvar.h */

enum {
	GIVEN_ID = 1 << 0,
	GIVEN_LIMIT = 1 << 1,
	GIVEN_ENTRIES = 1 << 2,
	GIVEN_RATE = 1 << 3,
	GIVEN_INET = 1 << 4,
	GIVEN_INET6 = 1 << 5,
	GIVEN_TABLE = 1 << 6,
};

struct limiter {
	struct pf_loc loc, id_loc, table_loc; /* of the name, the number, the table */
	bool source;
	unsigned int given;
	const char *name;
	long long id, limit, entries, above, below;
	struct pf_rate rate;
	long long inet_mask, inet6_mask;
	const char *table;
};

static void once(struct pf_parser *p, struct limiter *l, unsigned int what, const char *word,
		 const struct pf_loc *loc)
{
	if (l->given & what)
		pf_error(p, loc, "%s is given twice", word);
	l->given |= what;
}

/* --- options --- */

static void opt_id(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc)
{
	once(p, l, GIVEN_ID, "id", loc);
	l->id_loc = p->tok.loc;
	pf_number(p, "id", 1, UINT8_MAX, &l->id);
}

/* FreeBSD had "limit entries states n" for what is "entries entries limit n" now. */
static void opt_limit(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc)
{
	struct pf_loc states;

	once(p, l, GIVEN_LIMIT, "limit", loc);
	pf_number(p, "limit", 1, l->source ? UINT32_MAX : STATES_MOST, &l->limit);
	states = p->tok.loc;
	if (!l->source || !pf_accept_word(p, "states"))
		return;
	once(p, l, GIVEN_ENTRIES, "the number of entries", &states);
	l->entries = l->limit;
	pf_number(p, "states", 1, UINT32_MAX, &l->limit);
}

static void opt_rate(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc)
{
	once(p, l, GIVEN_RATE, "rate", loc);
	pf_rate(p, "rate", &l->rate);
}

static void opt_entries(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc)
{
	once(p, l, GIVEN_ENTRIES, "the number of entries", loc);
	pf_number(p, "entries", 1, UINT32_MAX, &l->entries);
}

static void opt_inet(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc)
{
	once(p, l, GIVEN_INET, "inet mask", loc);
	if (pf_expect_word(p, "mask"))
		pf_number(p, "mask", 0, 32, &l->inet_mask);
}

static void opt_inet6(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc)
{
	once(p, l, GIVEN_INET6, "inet6 mask", loc);
	if (pf_expect_word(p, "mask"))
		pf_number(p, "mask", 0, 128, &l->inet6_mask);
}

static const char *table_name(struct pf_parser *p)
{
	const char *name = p->tok.text;

	if (pf_accept(p, TOK_TABLE))
		return name;
	if (!pf_expect(p, '<', "a table"))
		return NULL;
	name = pf_value_or_number(p, "a table's name");
	return pf_expect(p, '>', "\">\"") ? name : NULL;
}

static void opt_table(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc)
{
	struct pf_loc at = p->tok.loc;

	once(p, l, GIVEN_TABLE, "table", loc);
	l->table_loc = *loc;
	l->table = table_name(p);
	if (!l->table || !pf_table_name_ok(p, &at, l->table) || !pf_expect_word(p, "above"))
		return;
	pf_number(p, "above", 1, UINT32_MAX, &l->above);
	if (!pf_accept_word(p, "below"))
		return;
	at = p->tok.loc;
	if (pf_number(p, "below", 0, UINT32_MAX, &l->below) && l->above && l->below > l->above)
		pf_error(p, &at, "below %lld is more than above %lld", l->below, l->above);
}

/* The first ones are those of state limiters, too. */
static const struct {
	const char *word;
	void (*handle)(struct pf_parser *p, struct limiter *l, const struct pf_loc *loc);
} options[] = {
	{"id", opt_id},	    {"limit", opt_limit}, {"rate", opt_rate},	{"entries", opt_entries},
	{"inet", opt_inet}, {"inet6", opt_inet6}, {"table", opt_table},
};
#define NSTATE	3
#define NSOURCE (sizeof(options) / sizeof(options[0]))

static void option(struct pf_parser *p, struct limiter *l)
{
	const char *words[NSOURCE + 1] = {NULL};
	size_t n = l->source ? NSOURCE : NSTATE;
	struct pf_loc loc = p->tok.loc;

	for (size_t i = 0; i < n; i++) {
		words[i] = options[i].word;
		if (!pf_accept_word(p, words[i]))
			continue;
		options[i].handle(p, l, &loc);
		return;
	}
	pf_syntax(p, l->source ? "an option of a source limiter" : "an option of a state limiter",
		  words);
}

static bool ends(const struct pf_parser *p)
{
	return pf_is(p, TOK_NEWLINE) || pf_is(p, TOK_END) || pf_is(p, TOK_STOP) || pf_is(p, '}');
}

/* --- the whole --- */

static void check_name(struct pf_parser *p, const struct limiter *l)
{
	const char *c = l->name;

	while ((unsigned char)*c >= 0x20 && *c != 0x7f)
		c++;
	if (strlen(l->name) >= PF_LIMITER_NAME_SIZE)
		pf_error(p, &l->loc, "limiter name '%s' is too long (at most %d characters)",
			 l->name, PF_LIMITER_NAME_SIZE - 1);
	else if (*c || c == l->name)
		pf_error(p, &l->loc, "a limiter's name has characters, but no control characters");
}

static bool complete(struct pf_parser *p, const struct limiter *l)
{
	const struct {
		unsigned int bit;
		const char *name;
	} required[] = {{GIVEN_ID, "id"},
			{l->source ? GIVEN_ENTRIES : 0U, "number of entries"},
			{GIVEN_LIMIT, "limit"}};

	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
		if ((l->given & required[i].bit) == required[i].bit)
			continue;
		pf_error(p, &l->loc, "%s limiter '%s' has no %s", l->source ? "source" : "state",
			 l->name, required[i].name);
		return false;
	}
	return true;
}

static bool unique(struct pf_parser *p, const struct limiter *l)
{
	const char kind = l->source ? 'r' : 's';

	if (pf_named_find(p, kind, l->name)) {
		pf_error(p, &l->loc, "%s limiter '%s' is already defined",
			 l->source ? "source" : "state", l->name);
		return false;
	}
	for (const struct pf_named *n = p->named; n; n = n->next) {
		if (n->kind != kind || n->id != l->id)
			continue;
		pf_error(p, &l->id_loc, "id %lld is that of limiter '%s'", l->id, n->name);
		return false;
	}
	return true;
}

static void print(FILE *f, const struct limiter *l)
{
	fprintf(f, "%s limiter ", l->source ? "source" : "state");
	pf_word_print(f, l->name);
	fprintf(f, " id %lld", l->id);
	if (l->source)
		fprintf(f, " entries %lld", l->entries);
	fprintf(f, " limit %lld", l->limit);
	if (l->rate.limit)
		fprintf(f, " rate %u/%u", l->rate.limit, l->rate.seconds);
	if (l->table) {
		fputs(" table ", f);
		pf_table_name_print(f, l->table);
		fprintf(f, " above %lld", l->above);
		if (l->below)
			fprintf(f, " below %lld", l->below);
	}
	if (l->given & GIVEN_INET && l->inet_mask < 32)
		fprintf(f, " inet mask %lld", l->inet_mask);
	if (l->given & GIVEN_INET6 && l->inet6_mask < 128)
		fprintf(f, " inet6 mask %lld", l->inet6_mask);
}

static void echo(struct pf_parser *p, const struct limiter *l)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f)
		print(f, l);
	if (f && fclose(f) == 0)
		pf_echo(p, text);
	else
		pf_error_nomem(p);
	free(text);
}

/* To be enforced; what -v shows is the echo. */
static void define(struct pf_parser *p, const struct limiter *l)
{
	struct pf_limiter_def *d = pf_ruleset_add_limiter(p->rs);

	if (!d) {
		pf_error_nomem(p);
		return;
	}
	d->name = pf_keep(p, l->name);
	d->source = l->source;
	d->id = (uint8_t)l->id;
	d->mask[0] = (uint8_t)(l->given & GIVEN_INET ? l->inet_mask : 32);
	d->mask[1] = (uint8_t)(l->given & GIVEN_INET6 ? l->inet6_mask : 128);
	d->entries = (uint32_t)l->entries;
	d->limit = (uint32_t)l->limit;
	d->rate = l->rate;
	d->table = l->table ? pf_keep(p, l->table) : NULL;
	d->above = (uint32_t)l->above;
	d->below = (uint32_t)l->below;
	/* packets look for each length where ranges do not have it yet */
	if (d->table && !pf_limiter_table_ok(p->rs, d->table))
		pf_unenforced(p, &l->table_loc,
			      "a table of source limiters with more than 4 different masks");
}

void pf_limiter_statement(struct pf_parser *p, const struct pf_loc *loc, bool source)
{
	struct limiter l = {.loc = p->tok.loc, .source = source};
	struct pf_named *n;
	unsigned int errors;
	bool comma = false;

	errors = p->result.errors;
	if (p->rs->in_anchor)
		pf_error(p, loc, "limiters are defined in the main ruleset");
	l.name = pf_value(p, "the name of the limiter", false);
	if (!l.name)
		return;
	check_name(p, &l);
	while (!ends(p) || comma) {
		option(p, &l);
		comma = pf_accept(p, ',');
	}
	if (p->result.errors == errors && complete(p, &l) && unique(p, &l)) {
		echo(p, &l);
		define(p, &l);
	}
	/* also a wrong one: rules that refer to it are not to blame */
	n = pf_named_add(p, source ? 'r' : 's', l.name, &l.loc);
	if (n && !n->id)
		n->id = (uint8_t)l.id;
}
