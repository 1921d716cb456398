// SPDX-License-Identifier: BSD-2-Clause
/* Statements: which is which, where one ends, macros and files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"
#include "words.h"

void pf_echo(struct pf_parser *p, const char *text)
{
	if (text && pf_ruleset_add_item(p->rs, PF_ITEM_TEXT, text, 0))
		pf_error_nomem(p);
}

/* --- statements of more than one word --- */

static void pass_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_filter_statement(p, loc, PF_RULE_ACTION_PASS);
}

static void block_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_filter_statement(p, loc, PF_RULE_ACTION_BLOCK);
}

static void match_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_filter_statement(p, loc, PF_RULE_ACTION_MATCH);
}

static void nat_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_translation_statement(p, loc, false, PF_RULE_ACTION_NAT);
}

static void rdr_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_translation_statement(p, loc, false, PF_RULE_ACTION_RDR);
}

static void binat_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_translation_statement(p, loc, false, PF_RULE_ACTION_BINAT);
}

static void scrub_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_scrub_statement(p, loc, false);
}

static void no_nat(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_translation_statement(p, loc, true, PF_RULE_ACTION_NO_NAT);
}

static void no_rdr(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_translation_statement(p, loc, true, PF_RULE_ACTION_NO_RDR);
}

static void no_binat(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_translation_statement(p, loc, true, PF_RULE_ACTION_NO_BINAT);
}

static void no_scrub(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_scrub_statement(p, loc, true);
}

static void no_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	static const struct pf_handler handlers[] = {{"nat", no_nat},
						     {"rdr", no_rdr},
						     {"binat", no_binat},
						     {"scrub", no_scrub},
						     {NULL, NULL}};

	(void)loc;
	if (!pf_handle(p, handlers))
		pf_syntax(p, "\"nat\", \"rdr\", \"binat\" or \"scrub\"",
			  pf_handler_words(p, handlers, NULL));
}

static void anchor_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_anchor_statement(p, loc, PF_RULE_ACTION_PASS);
}

static void nat_anchor(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_anchor_statement(p, loc, PF_RULE_ACTION_NAT);
}

static void rdr_anchor(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_anchor_statement(p, loc, PF_RULE_ACTION_RDR);
}

static void binat_anchor(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_anchor_statement(p, loc, PF_RULE_ACTION_BINAT);
}

static void scrub_anchor(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_anchor_statement(p, loc, PF_RULE_ACTION_SCRUB);
}

static void dummynet_anchor(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_anchor_statement(p, loc, PF_RULE_ACTION_DUMMYNET);
}

static void state_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	if (pf_expect_word(p, "limiter"))
		pf_limiter_statement(p, loc, false);
}

static void source_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	if (pf_expect_word(p, "limiter"))
		pf_limiter_statement(p, loc, true);
}

/* --- include --- */

static bool included_already(const struct pf_parser *p, dev_t dev, ino_t ino)
{
	for (const struct pf_source *s = p->src; s; s = s->below)
		if (!s->trace && s->file->ino && s->file->dev == dev && s->file->ino == ino)
			return true;
	return false;
}

static struct pf_file *add_file(struct pf_parser *p, const char *name, const struct pf_loc *loc)
{
	struct pf_file *f = pf_arena_alloc(&p->keep_arena, sizeof(*f));
	int index = pf_ruleset_add_file(p->rs, name);

	if (!f || index < 0) {
		pf_error_nomem(p);
		return NULL;
	}
	f->name = p->rs->files[index];
	f->index = (uint16_t)index;
	f->by = loc->file;
	f->by_line = loc->line;
	f->next = p->files;
	p->files = f;
	return f;
}

/*
 * The file is read when the newline behind the statement has been, and its text
 * comes before what follows.
 */
static void include_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc name_loc = p->tok.loc;
	const char *name = pf_value(p, "a file's name", true);
	struct pf_file *f;
	size_t len = 0;
	dev_t dev = 0;
	ino_t ino = 0;
	int err;

	if (!name)
		return;
	if (!pf_is(p, TOK_NEWLINE)) {
		pf_syntax(p, "end of line", NULL);
		return;
	}
	if (p->opt->no_files || p->include_depth >= PF_INCLUDE_DEPTH) {
		pf_error(p, &name_loc,
			 p->opt->no_files ? "files cannot be included here"
					  : "files are included too deeply");
		return;
	}
	f = add_file(p, name, loc);
	if (!f)
		return;
	err = pf_read_file(name, PF_FILES_LARGEST - p->files_bytes, &f->owned, &len, &dev, &ino);
	if (err == -ENOENT && p->opt->offline) {
		pf_warn(p, &name_loc, "there is no %s: taken as empty", name);
		return;
	}
	if (err) {
		pf_error(p, &name_loc, "cannot include %s: %s", name, strerror(-err));
		return;
	}
	f->text = f->owned ? f->owned : "";
	f->len = len;
	f->dev = dev;
	f->ino = ino;
	if (included_already(p, dev, ino)) {
		pf_error(p, &name_loc, "%s includes itself", name);
		return;
	}
	p->files_bytes += len;
	p->include_depth++;
	pf_lex_push(p, f);
}

/* --- macros --- */

static bool macro_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	const char *c = name;

	while (*c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", *c))
		c++;
	if (!*c)
		return true;
	pf_error(p, loc, "macro name '%s' may hold letters, digits and _ only", name);
	return false;
}

static void define(struct pf_parser *p, const struct pf_loc *loc, const char *name,
		   const struct pf_text *value)
{
	struct pf_macro *m;
	char *quoted;

	if (!macro_name_ok(p, loc, name))
		return;
	/* what could not be read back from between quotes */
	if (value->len > PF_STRING_LARGEST) {
		pf_error(p, loc, "the value of macro '%s' is too long", name);
		return;
	}
	if (value->len && value->text[value->len - 1] == '\\') {
		pf_error(p, loc, "a macro's value cannot end in a backslash");
		return;
	}
	m = pf_macro_set(p, name, value->text, false);
	quoted = pf_stmt_alloc(p, 2 * value->len + 1);
	if (!m || !quoted) {
		pf_error_nomem(p);
		return;
	}
	if (!m->define) {
		m->file = loc->file;
		m->line = loc->line;
		m->col = loc->col;
	}
	pf_word_quote(quoted, value->text);
	pf_echo(p, pf_stmt_printf(p, "%s = \"%s\"", name, quoted));
}

static void macro_statement(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	struct pf_text value = {0};

	do {
		const char *text;

		if (pf_is(p, TOK_NUMBER)) {
			text = pf_stmt_printf(p, "%lld", p->tok.number);
			pf_next(p);
		} else {
			text = pf_value(p, "a value", false);
		}
		if (!text)
			break;
		if (value.text)
			pf_text_add(p, &value, " ", 1);
		pf_text_add(p, &value, text, strlen(text));
	} while (!p->nomem && !pf_is(p, TOK_NEWLINE) && !pf_is(p, TOK_END));
	if (!p->recover && !p->nomem && value.text)
		define(p, loc, name, &value);
	free(value.text);
}

/* --- one statement --- */

static const struct pf_handler statements[] = {
	{"pass", pass_statement},
	{"block", block_statement},
	{"match", match_statement},
	{"anchor", anchor_statement},
	{"antispoof", pf_antispoof_statement},
	{"table", pf_table_statement},
	{"set", pf_set_statement},
	{"include", include_statement},
	{"load", pf_load_statement},
	{"queue", pf_queue_statement},
	{"nat", nat_statement},
	{"rdr", rdr_statement},
	{"binat", binat_statement},
	{"no", no_statement},
	{"scrub", scrub_statement},
	{"nat-anchor", nat_anchor},
	{"rdr-anchor", rdr_anchor},
	{"binat-anchor", binat_anchor},
	{"scrub-anchor", scrub_anchor},
	{"dummynet-anchor", dummynet_anchor},
	{"altq", pf_altq_statement},
	{"ether", pf_ether_statement},
	{"state", state_statement},
	{"source", source_statement},
	{NULL, NULL},
};

/* What an anchor's braces cannot hold. */
static bool only_outside(const struct pf_parser *p)
{
	static const char *const words[] = {"set",   "load",  "queue",	"altq",
					    "ether", "state", "source", NULL};

	for (size_t i = 0; pf_is(p, TOK_WORD) && words[i]; i++)
		if (strcmp(words[i], p->tok.text) == 0)
			return true;
	return false;
}

void pf_statement(struct pf_parser *p)
{
	struct pf_token first = p->tok;
	int kind;

	if (p->in_ether && !pf_is_word(p, "ether")) {
		pf_expect_word(p, "ether");
		return;
	}
	if (p->anchor_depth && !p->in_ether && only_outside(p)) {
		pf_fatal(p, &first.loc, "\"%s\" cannot stand in an anchor's braces", first.text);
		return;
	}
	if (pf_handle(p, statements))
		return;
	if (!pf_is(p, TOK_WORD) && !pf_is(p, TOK_STRING)) {
		pf_syntax(p, NULL, NULL);
		return;
	}
	pf_next(p);
	if (pf_accept(p, '=')) {
		if (first.kind == TOK_WORD && pf_word_reserved(first.text))
			pf_error(p, &first.loc, "'%s' is a word of the language: no macro's name",
				 first.text);
		macro_statement(p, &first.loc, first.text);
		return;
	}
	/* the complaint is about the first word, what is skipped begins behind it */
	kind = p->tok.kind;
	if (kind == TOK_STOP)
		return;
	p->tok = first;
	pf_syntax(p, NULL, pf_handler_words(p, statements, NULL));
	p->stopped = kind;
}

/* The statement is over: on to its end, whatever there is. */
static void finish(struct pf_parser *p)
{
	bool ended = pf_is(p, TOK_NEWLINE) || pf_is(p, TOK_END) ||
		     (pf_is(p, '}') && p->anchor_depth && p->braces < p->base);

	if (!ended && !pf_is(p, TOK_STOP))
		pf_syntax(p, "end of line", NULL);
	if (!ended)
		pf_lex_skip(p);
}

/*
 * The memory of the statement is used again.  A token of the next one, which has been
 * read only behind an error, stays.
 */
static void forget(struct pf_parser *p)
{
	char *text = p->tok.text ? strdup(p->tok.text) : NULL;

	/* a macro that holds a newline goes on, and its trace is needed */
	if (!pf_lex_in_macro(p))
		pf_arena_reset(&p->stmt_arena);
	p->tok.loc.trace = NULL;
	if (!p->tok.text)
		return;
	p->tok.text = text ? pf_stmt_strndup(p, text, strlen(text)) : NULL;
	if (!p->tok.text)
		pf_error_nomem(p);
	free(text);
}

void pf_parse_block(struct pf_parser *p)
{
	for (;;) {
		p->recover = p->stmt_enforced = false;
		p->stopped = 0;
		p->expanded = 0;
		pf_newlines(p);
		if (pf_is(p, TOK_END) || pf_error_full(p) || p->nomem)
			return;
		if (pf_is(p, '}') && p->anchor_depth)
			return;
		pf_statement(p);
		finish(p);
		forget(p);
	}
}
