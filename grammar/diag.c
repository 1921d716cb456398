// SPDX-License-Identifier: BSD-2-Clause
/* Messages: "name:line:column: message", the line, a caret under the place. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

#define LINE_SHOWN 200

/* The line in which `loc` is, tabs kept, so that the caret can be put under it. */
static void show_line(struct pf_parser *p, const struct pf_loc *loc)
{
	const char *line = p->text + loc->line_at;
	const char *end = memchr(line, '\n', p->len - loc->line_at);
	size_t len = end ? (size_t)(end - line) : p->len - loc->line_at;

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

void pf_error(struct pf_parser *p, const struct pf_loc *loc, const char *fmt, ...)
{
	va_list ap;

	if (pf_error_full(p))
		return;
	p->nerrors++;
	fprintf(p->err, "%s:%u:%u: ", p->opt->name, loc->line, loc->col);
	va_start(ap, fmt);
	vfprintf(p->err, fmt, ap);
	va_end(ap);
	fputc('\n', p->err);
	if (loc->line_at <= p->len)
		show_line(p, loc);
	if (pf_error_full(p))
		fprintf(p->err, "%s: too many errors\n", p->opt->name);
}

void pf_error_nomem(struct pf_parser *p)
{
	p->nomem = true;
}

bool pf_error_full(const struct pf_parser *p)
{
	return p->nerrors >= p->max_errors;
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

void pf_stmt_reset(struct pf_parser *p)
{
	pf_arena_reset(&p->stmt_arena);
}
