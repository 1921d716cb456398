// SPDX-License-Identifier: BSD-2-Clause
/* "table <name> ..." and the files that tables are filled from. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"
#include "words.h"

/* What the words of the statement work on. */
static const char *why_not(const struct pf_rule_host *h)
{
	switch (h->type) {
	case PF_HOST_TABLE:
		return "a table cannot hold a table";
	case PF_HOST_RANGE:
		return "a table cannot hold an address range";
	case PF_HOST_DYNAMIC:
		return "a table cannot hold an interface in parentheses";
	case PF_HOST_NO_ROUTE:
		return "a table cannot hold no-route";
	case PF_HOST_URPF:
		return "a table cannot hold urpf-failed";
	case PF_HOST_RTLABEL:
		return "a table cannot hold a route label";
	default:
		return NULL;
	}
}

static void add_name(struct pf_parser *p, struct pf_table_piece *piece,
		     const struct pf_node_host *n)
{
	const char **names = pf_arena_alloc(&p->rs->arena, (piece->nnames + 1) * sizeof(*names));
	size_t len = strlen(n->host.name) + 2;
	char *name = pf_arena_alloc(&p->rs->arena, len);

	if (!names || !name) {
		pf_error_nomem(p);
		return;
	}
	snprintf(name, len, "%s%s", n->host.neg ? "!" : "", n->host.name);
	if (piece->nnames)
		memcpy(names, piece->names, piece->nnames * sizeof(*names));
	names[piece->nnames++] = name;
	piece->names = names;
}

static void add_entries(struct pf_parser *p, struct pf_table_def *t, const pf_host_list *hosts)
{
	struct pf_table_piece *piece = &t->pieces[t->npieces - 1];

	for (const struct pf_node_host *n = hosts->first; n && !p->nomem; n = n->next) {
		struct pf_table_entry *e;

		if (n->host.type == PF_HOST_NAME) {
			add_name(p, piece, n);
			continue;
		}
		e = pf_table_def_add(t);
		if (!e) {
			pf_error_nomem(p);
			return;
		}
		e->af = n->host.af;
		e->bits = n->host.bits;
		e->neg = n->host.neg;
		e->weight = n->weight;
		e->ip = n->host.ip;
		piece->count++;
	}
}

static const char scope_in_table[] = "a table cannot hold an address of one interface only (%)";

static void entry(struct pf_parser *p, struct pf_table_def *t)
{
	struct pf_loc loc = p->tok.loc;
	pf_host_list one = {0};
	long long weight;

	if (pf_is_word(p, "any")) {
		pf_fatal(p, &loc, "a table holds addresses: 'any' is none");
		return;
	}
	pf_parse_host(p, &one);
	if (pf_accept_word(p, "weight") && pf_number(p, "weight", 1, UINT16_MAX, &weight)) {
		pf_unenforced(p, &loc, "a weight");
		for (struct pf_node_host *n = one.first; n; n = n->next)
			n->weight = (uint16_t)weight;
	}
	for (const struct pf_node_host *n = one.first; n; n = n->next) {
		const char *why = why_not(&n->host);

		/* of an interface's addresses it goes unsaid: they would not fit otherwise */
		if (n->scope && !n->from_name)
			why = scope_in_table;
		if (why) {
			pf_error(p, &n->loc, "%s", why);
			return;
		}
	}
	add_entries(p, t, &one);
}

static bool new_piece(struct pf_parser *p, struct pf_table_def *t, const char *file)
{
	struct pf_table_piece *piece = pf_table_def_add_piece(t);

	t->has_list = true;
	if (!piece) {
		pf_error_nomem(p);
		return false;
	}
	piece->file = pf_keep(p, file);
	piece->first = t->nentries;
	return !p->nomem;
}

static void list(struct pf_parser *p, struct pf_table_def *t)
{
	struct pf_braces l = {.empty_ok = true};

	if (!new_piece(p, t, NULL))
		return;
	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		entry(p, t);
}

/* --- files --- */

/* "[!] address[/bits]", as pfctl(8) has it for -f of -T. */
static void file_entry(struct pf_parser *p, struct pf_table_def *t, const struct pf_loc *loc,
		       const char *text)
{
	const char *slash;
	pf_host_list one = {0};
	long long bits = -1;
	bool neg = false;
	char *end;

	for (; strchr("! \t", *text) && *text; text++)
		neg ^= *text == '!';
	slash = strchr(text, '/');
	if (slash) {
		errno = 0;
		bits = strtoll(slash + 1, &end, 10);
		if (!isdigit((unsigned char)slash[1]) || *end || errno || bits > 128) {
			pf_error(p, loc, "prefix length '%s' is out of range", slash + 1);
			return;
		}
		text = pf_stmt_strndup(p, text, (size_t)(slash - text));
		if (!text)
			return;
	}
	pf_host_add(p, loc, text, bits, &one);
	for (struct pf_node_host *n = one.first; n; n = n->next) {
		n->host.neg = neg;
		if (n->scope && !n->from_name) {
			pf_error(p, loc, "%s", scope_in_table);
			return;
		}
	}
	add_entries(p, t, &one);
}

/* Words, with # and ; in front of comments. */
static void file_words(struct pf_parser *p, struct pf_table_def *t, const struct pf_file *f)
{
	struct pf_loc loc = {.file = f, .line = 1};
	const unsigned int before = p->result.errors;
	/* the words of a large file are not all kept until the statement ends */
	const struct pf_arena outer = p->stmt_arena;
	size_t at = 0;

	p->stmt_arena = (struct pf_arena){0};

	while (at < f->len && !p->nomem && !pf_error_full(p)) {
		char c = f->text[at];
		size_t from = at;
		const char *word;

		if (c == '\n') {
			loc.line++;
			loc.line_at = ++at;
		} else if (c == '#' || c == ';') {
			while (at < f->len && f->text[at] != '\n')
				at++;
		} else if (isspace((unsigned char)c)) {
			at++;
		} else {
			/* "! 192.0.2.1" */
			while (c == '!' && at < f->len && f->text[at] &&
			       strchr("! \t", f->text[at]))
				at++;
			while (at < f->len && !isspace((unsigned char)f->text[at]) &&
			       f->text[at] != '#' && f->text[at] != ';')
				at++;
			loc.col = (uint32_t)(from - loc.line_at) + 1;
			loc.end_col = (uint32_t)(at - loc.line_at) + 1;
			word = pf_stmt_strndup(p, f->text + from, at - from);
			if (!word)
				break;
			if (strlen(word) != at - from) {
				pf_error(p, &loc, "NUL byte in a table's file");
				break;
			}
			file_entry(p, t, &loc, word);
			pf_arena_reset(&p->stmt_arena);
		}
		if (p->result.errors > before + 5)
			break; /* this is no table's file */
	}
	pf_arena_free(&p->stmt_arena);
	p->stmt_arena = outer;
}

static void file(struct pf_parser *p, struct pf_table_def *t)
{
	struct pf_loc loc = p->tok.loc;
	const char *name = pf_value(p, "a file's name", true);
	struct pf_file f = {0};
	char *text = NULL;
	int err;

	if (!name || !new_piece(p, t, name))
		return;
	if (p->opt->no_files) {
		pf_error(p, &loc, "files cannot be read here");
		return;
	}
	err = pf_read_file(name, PF_FILES_LARGEST, &text, &f.len, &f.dev, &f.ino);
	if (err && p->opt->offline) {
		pf_warn(p, &loc, "cannot read %s (%s): taken as empty", name, strerror(-err));
		return;
	}
	if (err) {
		pf_error(p, &loc, "cannot load \"%s\": %s", name, strerror(-err));
		return;
	}
	f.name = name;
	f.text = text;
	f.by = loc.file;
	f.by_line = loc.line;
	file_words(p, t, &f);
	free(text);
}

/* --- the statement --- */

static const char *const table_words[] = {"persist", "const", "counters", "timeout", "file", NULL};

static void table_timeout(struct pf_parser *p, struct pf_table_def *t)
{
	struct pf_loc loc = p->tok.loc;
	bool parens = pf_accept(p, '(');
	long long n;

	if (pf_number(p, "timeout", 1, PF_TIMEOUT_LARGEST, &n))
		t->timeout = (uint32_t)n;
	if (parens)
		pf_expect(p, ')', "\")\"");
	pf_unenforced(p, &loc, "a table's timeout");
}

static bool table_option(struct pf_parser *p, struct pf_table_def *t)
{
	if (pf_accept_word(p, "persist")) {
		t->persist = true;
	} else if (pf_accept_word(p, "const")) {
		t->constant = true;
	} else if (pf_accept_word(p, "counters")) {
		t->counters = true;
	} else if (pf_accept_word(p, "timeout")) {
		table_timeout(p, t);
	} else if (pf_accept_word(p, "file")) {
		file(p, t);
	} else if (pf_is(p, '{')) {
		list(p, t);
	} else {
		return false;
	}
	return true;
}

void pf_table_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_table_def scrap = {0}, *t = &scrap; /* takes what follows a bad name */
	struct pf_loc name_loc;
	const char *name = pf_parse_table_name(p, &name_loc);
	bool bad = !name || !pf_table_name_ok(p, &name_loc, name);

	if (!name)
		return;
	if (!bad && pf_block_find_table(p->block, name)) {
		pf_error(p, &name_loc, "table <%s> is defined twice", name);
		bad = true;
	}
	if (!bad) {
		t = pf_block_add_table(p->rs, p->block, name);
		if (!t) {
			pf_error_nomem(p);
			return;
		}
		t->line = loc->line;
		t->file = loc->file ? loc->file->index : 0;
	}
	while (table_option(p, t))
		;
	if (!pf_is(p, TOK_NEWLINE) && !pf_is(p, TOK_END) && !pf_is(p, '}'))
		pf_syntax(p, NULL, table_words);
	if (bad) {
		free(scrap.entries);
		free(scrap.pieces);
	} else if (p->block == &p->rs->main &&
		   pf_ruleset_add_item(p->rs, PF_ITEM_TABLE, NULL, p->rs->main.ntables - 1)) {
		pf_error_nomem(p);
	}
}
