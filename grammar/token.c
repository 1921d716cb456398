// SPDX-License-Identifier: BSD-2-Clause
/* What all statements use: tokens, values, numbers, lists, tables of handlers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"
#include "words.h"

bool pf_is_word(const struct pf_parser *p, const char *word)
{
	return p->tok.kind == TOK_WORD && strcmp(p->tok.text, word) == 0;
}

bool pf_accept(struct pf_parser *p, int kind)
{
	if (p->tok.kind != kind)
		return false;
	pf_next(p);
	return true;
}

bool pf_accept_word(struct pf_parser *p, const char *word)
{
	if (!pf_is_word(p, word))
		return false;
	pf_next(p);
	return true;
}

bool pf_expect(struct pf_parser *p, int kind, const char *what)
{
	if (pf_accept(p, kind))
		return true;
	pf_syntax(p, what, NULL);
	return false;
}

bool pf_expect_word(struct pf_parser *p, const char *word)
{
	const char *const words[] = {word, NULL};
	char what[64];

	if (pf_accept_word(p, word))
		return true;
	snprintf(what, sizeof(what), "\"%s\"", word);
	pf_syntax(p, what, words);
	return false;
}

const char *pf_value(struct pf_parser *p, const char *what, bool any_word)
{
	const char *text = p->tok.text;

	if (pf_is(p, TOK_STRING) || (pf_is(p, TOK_WORD) && (any_word || !pf_word_reserved(text)))) {
		pf_next(p);
		return text;
	}
	pf_syntax(p, what, NULL);
	return NULL;
}

const char *pf_value_or_number(struct pf_parser *p, const char *what)
{
	const char *text = p->tok.text;

	if (!pf_is(p, TOK_NUMBER))
		return pf_value(p, what, true);
	pf_next(p);
	return text;
}

bool pf_in_range(struct pf_parser *p, const struct pf_loc *loc, const char *what, long long n,
		 long long low, long long high)
{
	if (n >= low && n <= high)
		return true;
	pf_error(p, loc, "%s %lld is out of range (%lld to %lld)", what, n, low, high);
	return false;
}

/* Strings hold numbers, too: "10" out of a macro. */
static bool number_of(const struct pf_token *t, long long *out)
{
	const char *text = t->text;
	char *end;

	if (t->kind == TOK_NUMBER) {
		*out = t->number;
		return true;
	}
	if ((t->kind != TOK_WORD && t->kind != TOK_STRING) || !*text)
		return false;
	errno = 0;
	*out = strtoll(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	return !*end && !errno && *text != ' ' && *text != '+';
}

bool pf_number(struct pf_parser *p, const char *what, long long low, long long high, long long *out)
{
	struct pf_loc loc = p->tok.loc;
	char expected[80];
	long long n;

	if (!number_of(&p->tok, &n)) {
		snprintf(expected, sizeof(expected), "a number (%s)", what);
		pf_syntax(p, expected, NULL);
		return false;
	}
	pf_next(p);
	if (!pf_in_range(p, &loc, what, n, low, high))
		return false;
	*out = n;
	return true;
}

bool pf_rate(struct pf_parser *p, const char *what, struct pf_rate *out)
{
	long long limit = 0, seconds = 0;
	bool ok = pf_number(p, what, 1, UINT32_MAX, &limit);

	if (!pf_expect(p, '/', "\"/\""))
		return false;
	if (!pf_number(p, "seconds", 1, UINT32_MAX, &seconds) || !ok)
		return false;
	out->limit = (uint32_t)limit;
	out->seconds = (uint32_t)seconds;
	return true;
}

/* --- lists --- */

void pf_newlines(struct pf_parser *p)
{
	while (pf_accept(p, TOK_NEWLINE))
		;
}

static bool open_brace(struct pf_parser *p, struct pf_braces *l)
{
	if (!pf_is(p, '{'))
		return false;
	if (l->open == PF_LIST_DEPTH) {
		pf_fatal(p, &p->tok.loc, "lists are nested too deeply (at most %d)", PF_LIST_DEPTH);
		return false;
	}
	if (!l->open)
		l->loc = p->tok.loc;
	pf_next(p);
	l->open++;
	pf_newlines(p);
	return true;
}

void pf_list_begin(struct pf_parser *p, struct pf_braces *l)
{
	bool empty_ok = l->empty_ok;

	memset(l, 0, sizeof(*l));
	l->empty_ok = empty_ok;
	l->loc = p->tok.loc;
	l->one = !pf_is(p, '{');
}

/* On to an item; false when the outermost brace has been closed. */
static bool more_in_braces(struct pf_parser *p, struct pf_braces *l)
{
	bool comma = false;

	for (;;) {
		pf_newlines(p);
		if (pf_is(p, TOK_STOP) || pf_is(p, TOK_END)) {
			if (pf_is(p, TOK_END))
				pf_fatal(p, &l->loc, "list has no end");
			return false;
		}
		if (pf_is(p, '}') && !comma && (l->any || l->empty_ok)) {
			pf_next(p);
			if (--l->open == 0)
				return false;
			continue;
		}
		if (pf_is(p, ',') && l->any && !comma) {
			pf_next(p);
			comma = true;
			continue;
		}
		if (open_brace(p, l))
			continue;
		l->any = true;
		return true;
	}
}

bool pf_list_more(struct pf_parser *p, struct pf_braces *l)
{
	if (pf_is(p, TOK_STOP))
		return false;
	if (l->one) {
		bool first = !l->any;

		l->any = true;
		return first;
	}
	if (!l->any && !l->open && !open_brace(p, l))
		return false;
	return more_in_braces(p, l);
}

/* --- handlers --- */

bool pf_handle(struct pf_parser *p, const struct pf_handler *handlers)
{
	struct pf_loc loc = p->tok.loc;

	if (!pf_is(p, TOK_WORD))
		return false;
	for (; handlers->word; handlers++) {
		if (strcmp(handlers->word, p->tok.text) != 0)
			continue;
		pf_next(p);
		handlers->handle(p, &loc);
		return true;
	}
	return false;
}

const char *const *pf_handler_words(struct pf_parser *p, const struct pf_handler *a,
				    const struct pf_handler *b)
{
	const struct pf_handler *const both[] = {a, b};
	size_t n = 0;
	const char **words;

	for (size_t i = 0; i < 2; i++)
		for (const struct pf_handler *h = both[i]; h && h->word; h++)
			n++;
	words = pf_stmt_alloc(p, (n + 1) * sizeof(*words));
	if (!words)
		return NULL;
	n = 0;
	for (size_t i = 0; i < 2; i++)
		for (const struct pf_handler *h = both[i]; h && h->word; h++)
			words[n++] = h->word;
	return words;
}

bool pf_seen(struct pf_parser *p, const struct pf_loc *loc, unsigned int option, const char *name)
{
	bool twice = p->stmt.seen & option;

	if (twice)
		pf_error(p, loc, "%s is given twice", name);
	p->stmt.seen |= option;
	return !twice;
}
