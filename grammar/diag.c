// SPDX-License-Identifier: BSD-2-Clause
/* Messages: "name:line:column: message", the line, a caret under the place, where it came from. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

#define LINE_SHOWN 200

/* The line in which `loc` is, tabs kept, so that the caret can be put under it. */
static void show_line(struct pf_parser *p, const struct pf_loc *loc)
{
	const char *line = loc->file->text + loc->line_at;
	const char *end = memchr(line, '\n', loc->file->len - loc->line_at);
	size_t len = end ? (size_t)(end - line) : loc->file->len - loc->line_at;

	if (len && line[len - 1] == '\r')
		len--;
	if (len > LINE_SHOWN)
		len = LINE_SHOWN;
	if (loc->col > len + 1)
		return;
	fputs("    ", p->err);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		fputc(c == '\t' || (c >= 0x20 && c != 0x7f) ? c : '?', p->err);
	}
	fputs("\n    ", p->err);
	for (size_t i = 0; i + 1 < loc->col; i++)
		fputc(line[i] == '\t' ? '\t' : ' ', p->err);
	fputc('^', p->err);
	for (uint32_t c = loc->col + 1; c < loc->end_col && c <= len; c++)
		fputc('~', p->err);
	fputc('\n', p->err);
}

/* The macros and the files that led there, from the inside. */
static void show_origin(struct pf_parser *p, const struct pf_loc *loc)
{
	for (const struct pf_trace *t = loc->trace; t; t = t->outer) {
		fprintf(p->err, "    in expansion of $%s, defined ", t->macro);
		if (t->file)
			fprintf(p->err, "at %s:%u\n", t->file->name, t->line);
		else
			fputs("on the command line\n", p->err);
	}
	for (const struct pf_file *f = loc->file; f && f->by; f = f->by)
		fprintf(p->err, "    included at %s:%u\n", f->by->name, f->by_line);
}

static void say(struct pf_parser *p, const struct pf_loc *loc, const char *kind, const char *fmt,
		va_list ap)
{
	const char *name = loc->file ? loc->file->name : p->opt->name;

	fprintf(p->err, "%s:%u:%u: %s", name, loc->line, loc->col, kind);
	vfprintf(p->err, fmt, ap);
	fputc('\n', p->err);
	if (loc->file && loc->line_at <= loc->file->len)
		show_line(p, loc);
	show_origin(p, loc);
}

static void error_at(struct pf_parser *p, const struct pf_loc *loc, const char *fmt, va_list ap)
{
	char *first = p->result.elsewhere;
	size_t size = sizeof(p->result.elsewhere);
	va_list again;

	if (pf_error_full(p))
		return;
	p->result.errors++;
	va_copy(again, ap);
	say(p, loc, "", fmt, ap);
	if (!*first && loc->file && loc->file->by) {
		int n = snprintf(first, size, "%s:%u: ", loc->file->name, loc->line);

		if (n >= 0 && (size_t)n < size)
			vsnprintf(first + n, size - (size_t)n, fmt, again);
	}
	va_end(again);
	if (pf_error_full(p))
		fprintf(p->err, "%s: too many errors\n", p->opt->name);
}

void pf_error(struct pf_parser *p, const struct pf_loc *loc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_at(p, loc, fmt, ap);
	va_end(ap);
}

static void stop(struct pf_parser *p)
{
	if (p->tok.kind != TOK_STOP)
		p->stopped = p->tok.kind;
	if (p->tok.kind != TOK_END)
		p->tok.kind = TOK_STOP;
	p->recover = true;
}

void pf_fatal(struct pf_parser *p, const struct pf_loc *loc, const char *fmt, ...)
{
	va_list ap;

	if (!p->recover) {
		va_start(ap, fmt);
		error_at(p, loc, fmt, ap);
		va_end(ap);
	}
	stop(p);
}

void pf_warn(struct pf_parser *p, const struct pf_loc *loc, const char *fmt, ...)
{
	va_list ap;

	p->result.warnings++;
	va_start(ap, fmt);
	say(p, loc, "warning: ", fmt, ap);
	va_end(ap);
}

/* What the user wrote, for "unexpected ..."; empty if it is too much. */
static void token_source(const struct pf_token *t, char *buf, size_t size)
{
	size_t len = t->loc.end_col - t->loc.col, from = t->loc.line_at + t->loc.col - 1;

	*buf = '\0';
	if (t->loc.file && from + len <= t->loc.file->len && len <= 40 && len)
		snprintf(buf, size, "\"%.*s\"", (int)len, t->loc.file->text + from);
}

void pf_syntax(struct pf_parser *p, const char *expected, const char *const *candidates)
{
	const struct pf_token *t = &p->tok;
	const char *meant = NULL;
	char what[64] = "";

	if (p->recover)
		return;
	if (t->kind == TOK_END)
		snprintf(what, sizeof(what), "end of file");
	else if (t->kind == TOK_NEWLINE)
		snprintf(what, sizeof(what), "end of line");
	else if (t->loc.trace && t->text && strlen(t->text) < 40)
		snprintf(what, sizeof(what), "\"%.39s\" (in $%.15s)", t->text, t->loc.trace->macro);
	else
		token_source(t, what, sizeof(what));
	if (t->kind == TOK_WORD && t->text && candidates)
		meant = pf_suggest(t->text, candidates);
	pf_fatal(p, &t->loc, "syntax error: unexpected %s%s%s%s%s%s", *what ? what : "word",
		 expected ? ", expected " : "", expected ? expected : "",
		 meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

void pf_unenforced(struct pf_parser *p, const struct pf_loc *loc, const char *what)
{
	if (!p->opt->enforce || p->stmt_enforced)
		return;
	p->stmt_enforced = true;
	pf_error(p, loc, "%s: not enforced yet, so these rules cannot be loaded (-n accepts them)",
		 what);
}

/* --- suggestions --- */

#define SUGGEST_LONGEST 32

/* Edits (insert, remove, change, swap of neighbours) from a to b, at most `most` + 1. */
static unsigned int distance(const char *a, const char *b, unsigned int most)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned int rows[3][SUGGEST_LONGEST + 1];
	unsigned int *before = rows[0], *last = rows[1], *row = rows[2];

	if (n > SUGGEST_LONGEST || m > SUGGEST_LONGEST)
		return most + 1;
	for (size_t j = 0; j <= m; j++)
		last[j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *spare = before;

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned int d = last[j - 1] + (a[i - 1] != b[j - 1]);

			d = d < last[j] + 1 ? d : last[j] + 1;
			d = d < row[j - 1] + 1 ? d : row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			row[j] = d;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[m] <= most ? last[m] : most + 1;
}

const char *pf_suggest(const char *word, const char *const *candidates)
{
	size_t len = strlen(word);
	unsigned int most = len < 3 ? 0 : len < 6 ? 1 : 2, best = most + 1;
	const char *found = NULL;

	for (; candidates && *candidates; candidates++) {
		unsigned int d = distance(word, *candidates, most);

		if (!d) /* a word of the language in the wrong place is no slip of the pen */
			return NULL;
		if (d < best) {
			best = d;
			found = *candidates;
		}
	}
	return found;
}

/* --- the rest --- */

void pf_error_nomem(struct pf_parser *p)
{
	p->nomem = true;
	p->tok.kind = TOK_STOP;
}

bool pf_error_full(const struct pf_parser *p)
{
	return p->result.errors >= p->max_errors;
}

struct pf_loc pf_loc_span(const struct pf_loc *a, const struct pf_loc *b)
{
	struct pf_loc l = *a;

	if (b->file == a->file && b->line == a->line && b->end_col > a->end_col)
		l.end_col = b->end_col;
	return l;
}

void *pf_stmt_alloc(struct pf_parser *p, size_t size)
{
	void *m = pf_arena_alloc(&p->stmt_arena, size);

	if (!m)
		pf_error_nomem(p);
	return m;
}

const char *pf_stmt_strndup(struct pf_parser *p, const char *s, size_t len)
{
	const char *d = pf_arena_strndup(&p->stmt_arena, s, len);

	if (!d)
		pf_error_nomem(p);
	return d;
}

const char *pf_stmt_printf(struct pf_parser *p, const char *fmt, ...)
{
	va_list ap;
	char *d;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	d = n < 0 ? NULL : pf_stmt_alloc(p, (size_t)n + 1);
	if (!d)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(d, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return d;
}

const char *pf_keep(struct pf_parser *p, const char *s)
{
	const char *copy = s ? pf_arena_strdup(&p->rs->arena, s) : NULL;

	if (s && !copy)
		pf_error_nomem(p);
	return copy;
}

void pf_text_add(struct pf_parser *p, struct pf_text *t, const char *more, size_t len)
{
	if (t->len + len + 1 > t->size) {
		size_t size = 2 * (t->len + len) + 64;
		char *grown = realloc(t->text, size);

		if (!grown) {
			pf_error_nomem(p);
			return;
		}
		t->text = grown;
		t->size = size;
	}
	memcpy(t->text + t->len, more, len);
	t->len += len;
	t->text[t->len] = '\0';
}
