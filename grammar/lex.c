// SPDX-License-Identifier: BSD-2-Clause
/*
 * The lexer of pf.conf.  What is a word and what a number follows OpenBSD's
 * pfctl: a word may hold any punctuation but ( ) { } < > ! = / # , and quotes.
 *
 * Macros are expanded here: "$name" is replaced by the macro's text, which is
 * then read as if it stood there; so "$if:network" is one word.  Tokens out of a
 * macro have the place where the outermost "$name" stands.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

#define WORD_MOST 8095 /* as in pf */

enum { C_BLANK = 1, C_FIRST = 2, C_REST = 4, C_DIGIT = 8 };

static uint8_t classes[256];

static void classes_init(void)
{
	if (classes[' '])
		return;
	for (int c = 0x21; c < 0x7f; c++) {
		if (isalnum(c) || c == ':' || c == '_')
			classes[c] |= C_FIRST;
		if (!strchr("(){}<>!=/#,\"'\\", c))
			classes[c] |= C_REST;
		if (c >= '0' && c <= '9')
			classes[c] |= C_DIGIT;
	}
	classes['\t'] = classes['\r'] = classes['\f'] = classes[' '] = C_BLANK;
}

static bool is(int c, int class)
{
	return c >= 0 && classes[c & 0xff] & class;
}

/* --- the stack of sources --- */

bool pf_lex_push(struct pf_parser *p, const struct pf_file *file)
{
	struct pf_source *s = calloc(1, sizeof(*s));

	classes_init();
	if (!s) {
		pf_error_nomem(p);
		return false;
	}
	s->file = file;
	s->text = file->text;
	s->len = file->len;
	s->line = 1;
	s->below = p->src;
	p->src = s;
	return true;
}

static void pop(struct pf_parser *p)
{
	struct pf_source *s = p->src;

	p->src = s->below;
	if (s->trace)
		p->depth--;
	else if (p->src)
		p->include_depth--;
	free(s);
}

void pf_lex_end(struct pf_parser *p)
{
	while (p->src)
		pop(p);
}

/* The next character of this source, -1 at its end. */
static inline int look(const struct pf_source *s)
{
	return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static int look2(const struct pf_source *s)
{
	return s->at + 1 < s->len ? (unsigned char)s->text[s->at + 1] : -1;
}

static void new_line(struct pf_source *s)
{
	s->line++;
	s->line_at = s->at;
}

/* From where `s` stands, or where the macro is used. */
static struct pf_loc loc_here(const struct pf_source *s)
{
	struct pf_loc l;

	if (s->trace) {
		l = s->use;
		l.trace = s->trace;
		return l;
	}
	return (struct pf_loc){
		.file = s->file,
		.line = s->line,
		.line_at = s->line_at,
		.col = (uint32_t)(s->at - s->line_at) + 1,
		.end_col = (uint32_t)(s->at - s->line_at) + 2,
	};
}

static void loc_end(struct pf_loc *l, const struct pf_source *s)
{
	if (!s->trace && s->line == l->line && s->file == l->file)
		l->end_col = (uint32_t)(s->at - s->line_at) + 1;
}

/* What is skipped behind an error has been complained about. */
#define lex_error(p, ...)                           \
	do {                                        \
		if (!(p)->recover)                  \
			pf_error((p), __VA_ARGS__); \
		(p)->recover = true;                \
	} while (0)

/* --- blanks and comments --- */

/* A backslash at the end of a line: true if there was one. */
static bool continuation(struct pf_source *s)
{
	size_t at = s->at + 1;

	while (at < s->len && (s->text[at] == ' ' || s->text[at] == '\t' || s->text[at] == '\r'))
		at++;
	if (at >= s->len || s->text[at] != '\n')
		return false;
	s->at = at + 1;
	new_line(s);
	return true;
}

static void comment(struct pf_source *s)
{
	while (s->at < s->len && s->text[s->at] != '\n') {
		/* a comment goes on behind a backslash at its end, as in pf */
		if (s->text[s->at] == '\\' && look2(s) == '\n') {
			s->at += 2;
			new_line(s);
		} else {
			s->at++;
		}
	}
}

static void blanks(struct pf_source *s)
{
	for (;;) {
		int c = look(s);

		if (is(c, C_BLANK))
			s->at++;
		else if (c == '#')
			comment(s);
		else if (c != '\\' || !continuation(s))
			return;
	}
}

/* --- macros --- */

/* The source goes on inside the macro; false after an error. */
static bool macro(struct pf_parser *p)
{
	struct pf_source *s = p->src, *m;
	struct pf_loc loc = loc_here(s);
	struct pf_trace *trace;
	struct pf_macro *found;
	const char *name;
	size_t from = ++s->at, len;

	while (isalnum(look(s)) || look(s) == '_')
		s->at++;
	loc_end(&loc, s);
	name = pf_stmt_strndup(p, s->text + from, s->at - from);
	if (!name)
		return false;
	if (!*name) {
		lex_error(p, &loc, "'$' without a macro's name");
		return false;
	}
	found = pf_macro_find(p, name);
	if (!found) {
		const char *meant = pf_macro_suggest(p, name);

		lex_error(p, &loc, "macro '%s' is not defined%s%s%s", name,
			  meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
		return false;
	}
	found->used = true;
	len = strlen(found->value);
	p->expanded += len + 1;
	if (p->depth >= PF_EXPAND_DEPTH || p->expanded > PF_EXPAND_LARGEST) {
		lex_error(p, &loc, "macro '%s' expands without an end", name);
		return false;
	}
	m = calloc(1, sizeof(*m));
	trace = pf_stmt_new(p, struct pf_trace);
	if (!m || !trace) {
		free(m);
		pf_error_nomem(p);
		return false;
	}
	*trace = (struct pf_trace){s->trace, found->name, found->file, found->line};
	m->file = s->file;
	m->text = found->value;
	m->len = len;
	m->trace = trace;
	m->use = loc;
	m->use.trace = NULL;
	m->below = s;
	p->src = m;
	p->depth++;
	return true;
}

/* --- strings --- */

/* One character of a string, or what a backslash makes of it; false at its end. */
static bool string_char(struct pf_parser *p, struct pf_source *s, char quote)
{
	char c = s->text[s->at++];

	if (c == quote)
		return false;
	if (c == '\n') {
		new_line(s);
		return true;
	}
	if (c == '\\' && s->at < s->len) {
		char next = s->text[s->at];

		if (next == '\n') {
			s->at++;
			new_line(s);
			return true;
		}
		/* an escaped quote of the other kind keeps its backslash, as in pf */
		if (next == quote || next == ' ' || next == '\t') {
			s->at++;
			c = next;
		} else if (next == '"' || next == '\'') {
			pf_text_add(p, &p->string, &c, 1);
			s->at++;
			c = next;
		}
	}
	pf_text_add(p, &p->string, &c, 1);
	return true;
}

/* Characters of a string that mean themselves, at once. */
static void string_run(struct pf_parser *p, struct pf_source *s, char quote)
{
	const char stops[] = {quote, '\\', '\n', '\0'};
	size_t n = 0, left = s->len - s->at;
	const char *from = s->text + s->at;

	while (n < left && !memchr(stops, from[n], sizeof(stops)))
		n++;
	pf_text_add(p, &p->string, from, n);
	s->at += n;
}

static int string(struct pf_parser *p, struct pf_token *t)
{
	struct pf_source *s = p->src;
	char quote = s->text[s->at++];
	const char *bad = NULL;
	struct pf_loc bad_loc = t->loc;

	p->string.len = 0;
	for (;;) {
		string_run(p, s, quote);
		if (p->nomem)
			return TOK_STOP;
		if (s->at >= s->len) {
			lex_error(p, &t->loc, "string has no end");
			return TOK_STOP;
		}
		if (!s->text[s->at] && !bad) {
			bad = "NUL byte in a string";
			bad_loc = loc_here(s);
		}
		if (p->string.len > PF_STRING_LARGEST) {
			if (!bad)
				bad = "string is too long";
			p->string.len = 0;
		}
		if (!string_char(p, s, quote))
			break;
	}
	/* it has been read to its end, lest its closing quote begin another one */
	if (bad) {
		lex_error(p, &bad_loc, "%s", bad);
		return TOK_STOP;
	}
	loc_end(&t->loc, s);
	t->text = pf_stmt_strndup(p, p->string.text ? p->string.text : "", p->string.len);
	return t->text ? TOK_STRING : TOK_STOP;
}

/* --- words and numbers --- */

static int classify(struct pf_parser *p, struct pf_token *t, size_t len)
{
	const char *c = t->text;

	if (len > WORD_MOST) {
		lex_error(p, &t->loc, "word is too long");
		return TOK_STOP;
	}
	if (*c == '-')
		c++;
	if (!*c || c[strspn(c, "0123456789")])
		return TOK_WORD;
	errno = 0;
	t->number = strtoll(t->text, NULL, 10);
	if (errno) {
		lex_error(p, &t->loc, "number %s is too large", t->text);
		return TOK_STOP;
	}
	return TOK_NUMBER;
}

/* The word goes on behind the end of a macro. */
static int long_word(struct pf_parser *p, struct pf_token *t, size_t from)
{
	p->string.len = 0;
	for (;;) {
		struct pf_source *s = p->src;

		while (is(look(s), C_REST))
			s->at++;
		pf_text_add(p, &p->string, s->text + from, s->at - from);
		if (p->nomem)
			return TOK_STOP;
		if (s->at < s->len || !s->trace || !is(look(s->below), C_REST) ||
		    look(s->below) == '$') {
			loc_end(&t->loc, s);
			t->text = pf_stmt_strndup(p, p->string.text, p->string.len);
			return t->text ? classify(p, t, p->string.len) : TOK_STOP;
		}
		pop(p);
		from = p->src->at;
	}
}

static int word(struct pf_parser *p, struct pf_token *t)
{
	struct pf_source *s = p->src;
	size_t from = s->at;

	s->at++;
	while (is(look(s), C_REST))
		s->at++;
	if (s->at == s->len && s->trace) {
		s->at = from + 1;
		return long_word(p, t, from);
	}
	loc_end(&t->loc, s);
	t->text = pf_stmt_strndup(p, s->text + from, s->at - from);
	return t->text ? classify(p, t, s->at - from) : TOK_STOP;
}

/* "<name>" as one token, so that keywords and numbers can be names. */
static bool table(struct pf_parser *p, struct pf_token *t)
{
	struct pf_source *s = p->src;
	size_t at = s->at + 1;

	if (at >= s->len || !is((unsigned char)s->text[at], C_FIRST))
		return false;
	while (at < s->len && is((unsigned char)s->text[at], C_REST))
		at++;
	if (at >= s->len || s->text[at] != '>')
		return false;
	t->text = pf_stmt_strndup(p, s->text + s->at + 1, at - s->at - 1);
	s->at = at + 1;
	loc_end(&t->loc, s);
	return true;
}

/* --- tokens --- */

static int operator(struct pf_parser *p, struct pf_token *t)
{
	static const struct {
		char text[3];
		int kind;
	} pairs[] = {{"->", TOK_ARROW}, {"<>", TOK_OUTSIDE}, {"><", TOK_INSIDE},
		     {"<=", TOK_LE},	{">=", TOK_GE},	     {"!=", TOK_NE}};
	struct pf_source *s = p->src;
	int c = look(s), next = look2(s);

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (c != pairs[i].text[0] || next != pairs[i].text[1])
			continue;
		s->at += 2;
		loc_end(&t->loc, s);
		return pairs[i].kind;
	}
	s->at++;
	if (c && c < 0x7f && strchr("-(){}<>!=/,", c))
		return c;
	if (c == 0)
		lex_error(p, &t->loc, "NUL byte");
	else if (c >= 0x20 && c < 0x7f)
		lex_error(p, &t->loc, "unexpected character '%c'", c);
	else
		lex_error(p, &t->loc, "unexpected byte 0x%02x", c);
	return TOK_STOP;
}

/* At the end of a source: true if there is a token, a newline or the end. */
static bool source_end(struct pf_parser *p, struct pf_token *t)
{
	struct pf_source *s = p->src;

	if (s->trace) {
		pop(p);
		return false;
	}
	t->loc = loc_here(s);
	/* the last line may lack its newline */
	if (!s->ended) {
		s->ended = true;
		t->kind = TOK_NEWLINE;
		return true;
	}
	if (s->below) {
		pop(p);
		return false;
	}
	t->kind = TOK_END;
	return true;
}

/* A dash and a number; "-10.0.0.1" is a dash and an address. */
static bool negative(const struct pf_source *s)
{
	size_t at = s->at + 1;

	while (at < s->len && is((unsigned char)s->text[at], C_DIGIT))
		at++;
	if (at == s->at + 1)
		return false;
	if (at < s->len)
		return !is((unsigned char)s->text[at], C_REST);
	/* the word may go on behind a macro's end */
	return !s->trace || !is(look(s->below), C_REST);
}

static void lex(struct pf_parser *p, struct pf_token *t)
{
	struct pf_source *s;
	int c;

	memset(t, 0, sizeof(*t));
	for (;;) {
		s = p->src;
		blanks(s);
		c = look(s);
		if (c >= 0 && c != '$')
			break;
		if (c < 0 && source_end(p, t))
			return;
		if (c == '$' && !macro(p)) {
			t->kind = TOK_STOP;
			return;
		}
	}
	t->loc = loc_here(s);
	if (c == '\n') {
		s->at++;
		if (!s->trace)
			new_line(s);
		t->kind = TOK_NEWLINE;
	} else if (is(c, C_FIRST) || (c == '-' && negative(s))) {
		t->kind = word(p, t);
	} else if (c == '"' || c == '\'') {
		t->kind = string(p, t);
	} else if (c == '<' && table(p, t)) {
		t->kind = t->text ? TOK_TABLE : TOK_STOP;
	} else {
		t->kind = operator(p, t);
	}
}

/* Braces are counted here, so that skipping knows where it is. */
static void next_raw(struct pf_parser *p)
{
	p->last = p->tok.kind;
	p->last_loc = p->tok.loc;
	lex(p, &p->tok);
	if (p->tok.kind == '{')
		p->braces++;
	else if (p->tok.kind == '}' && p->braces)
		p->braces--;
}

void pf_next(struct pf_parser *p)
{
	if (p->tok.kind == TOK_STOP || p->tok.kind == TOK_END)
		return;
	if (p->nomem || pf_error_full(p))
		p->tok.kind = TOK_STOP;
	else
		next_raw(p);
}

bool pf_lex_in_macro(const struct pf_parser *p)
{
	for (const struct pf_source *s = p->src; s; s = s->below)
		if (s->trace)
			return true;
	return false;
}

static bool begins_statement(const struct pf_token *t)
{
	static const char *const words[] = {
		"altq",		"anchor",     "antispoof",  "binat",	    "block",
		"binat-anchor", "ether",      "include",    "load",	    "match",
		"nat",		"nat-anchor", "pass",	    "rdr",	    "scrub",
		"set",		"table",      "rdr-anchor", "scrub-anchor",
	};

	for (size_t i = 0; t->kind == TOK_WORD && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], t->text) == 0)
			return true;
	return false;
}

/*
 * The end of a statement is the next newline outside of its braces, or inside of
 * them one behind which a new statement seems to begin: somebody forgot to close
 * them.  What has been read of the statement counts: its braces may be open.
 */
void pf_lex_skip(struct pf_parser *p)
{
	p->recover = true;
	if (p->tok.kind == TOK_STOP && p->stopped)
		p->tok.kind = p->stopped;
	for (;;) {
		if (p->nomem || pf_error_full(p) || p->tok.kind == TOK_END)
			return;
		if (p->tok.kind == TOK_NEWLINE && p->braces <= p->base)
			return;
		/* the closing brace of the anchor around */
		if (p->tok.kind == '}' && p->braces < p->base)
			return;
		if (p->last == TOK_NEWLINE && p->braces > p->base && begins_statement(&p->tok)) {
			p->braces = p->base;
			return;
		}
		next_raw(p);
	}
}
