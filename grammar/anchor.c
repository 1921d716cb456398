// SPDX-License-Identifier: BSD-2-Clause
/* anchor and its kin, rules in braces, and load anchor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "parser.h"
#include "words.h"

static const char *anchor_name(struct pf_parser *p, bool star_ok, struct pf_loc *loc)
{
	const char *name = p->tok.text, *why;

	*loc = p->tok.loc;
	if (!pf_is(p, TOK_STRING) && !(pf_is(p, TOK_WORD) && !pf_word_reserved(name)))
		return NULL;
	pf_next(p);
	why = pf_anchor_path_error(name, star_ok);
	if (why)
		pf_error(p, loc, "%s", why);
	return name;
}

/* --- rules in braces --- */

static bool exists_already(const struct pf_block *b, const char *name)
{
	for (size_t k = 0; k < PF_LIST_MAX; k++) {
		for (size_t i = 0; i < b->list[k].n; i++) {
			const struct pf_anchor *a = pf_rule_ext_of(&b->list[k].v[i])->anchor;

			if (a && a->block && a->path && strcmp(a->path, name) == 0)
				return true;
		}
	}
	return false;
}

/* The head, in p->stmt, waits for the block's end. */
struct pf_block *pf_parse_braces(struct pf_parser *p, const struct pf_loc *loc, bool ether)
{
	const struct pf_arena head_arena = p->stmt_arena;
	struct pf_arena inner_arena;
	const struct pf_stmt_rule head = p->stmt;
	struct pf_block *outer = p->block, *inner;
	const unsigned int base = p->base;
	const bool in_ether = p->in_ether;

	if (p->anchor_depth == PF_ANCHOR_DEPTH) {
		pf_fatal(p, loc, "anchors are nested too deeply (at most %d)", PF_ANCHOR_DEPTH);
		return NULL;
	}
	inner = pf_ruleset_add_block(p->rs);
	if (!inner) {
		pf_error_nomem(p);
		return NULL;
	}
	p->stmt_arena = (struct pf_arena){0};
	p->base = p->braces;
	p->block = inner;
	p->in_ether = ether;
	p->anchor_depth++;
	pf_next(p);
	pf_parse_block(p);
	p->anchor_depth--;
	p->base = base;
	p->block = outer;
	p->in_ether = in_ether;
	/* its last token is a brace, the end, or none */
	p->tok.text = NULL;
	p->tok.loc.trace = NULL;
	inner_arena = p->stmt_arena;
	p->stmt_arena = head_arena;
	/* of a macro that goes on behind its brace the trace is still needed */
	if (pf_lex_in_macro(p))
		pf_arena_absorb(&p->stmt_arena, &inner_arena);
	else
		pf_arena_free(&inner_arena);
	p->stmt = head;
	if (pf_is(p, TOK_END) && !pf_error_full(p))
		pf_error(p, loc, "the anchor's braces are not closed");
	pf_accept(p, '}');
	return inner;
}

/* --- the statements --- */

static void check_options(struct pf_parser *p)
{
	const struct pf_stmt_rule *s = &p->stmt;

	if (s->seen & PF_SEEN_STATE && s->rule.keep_state)
		pf_error(p, &s->state_loc, "cannot specify state handling on anchors");
	if (s->seen & PF_SEEN_ROUTE)
		pf_error(p, &s->route_loc, "cannot specify route handling on anchors");
	if (s->nat.given)
		pf_error(p, &s->nat_loc, "cannot specify translation on anchors");
	else if (s->rdr.given)
		pf_error(p, &s->rdr_loc, "cannot specify translation on anchors");
	if (s->seen & PF_SEEN_DIVERT)
		pf_error(p, &s->divert_loc, "cannot specify divert on anchors");
}

static void old_head(struct pf_parser *p, const struct pf_loc *loc)
{
	/* scrub and dummynet have one, translation has not */
	if (pf_action_list((enum pf_rule_action)p->stmt.rule.action) == PF_LIST_SCRUB ||
	    p->stmt.rule.action == PF_RULE_ACTION_DUMMYNET)
		pf_rule_direction(p);
	pf_rule_interface(p);
	pf_rule_family(p);
	pf_rule_proto(p);
	pf_rule_fromto(p);
	if (pf_accept_word(p, "rtable"))
		pf_rule_rtable(p, loc);
}

static void head(struct pf_parser *p)
{
	pf_rule_direction(p);
	if (pf_accept_word(p, "quick"))
		p->stmt.rule.quick = true;
	pf_rule_interface(p);
	pf_rule_family(p);
	pf_rule_proto(p);
	pf_rule_fromto(p);
	pf_rule_options(p);
}

void pf_anchor_statement(struct pf_parser *p, const struct pf_loc *loc, enum pf_rule_action action)
{
	struct pf_anchor *a = pf_arena_alloc(&p->rs->arena, sizeof(*a));
	struct pf_loc name_loc;
	unsigned int errors;
	const char *name;

	if (!a) {
		pf_error_nomem(p);
		return;
	}
	pf_rule_begin(p, loc, action);
	p->stmt.old = action != PF_RULE_ACTION_PASS;
	if (p->stmt.old)
		pf_unenforced(p, loc, "an anchor of the old dialect");
	name = anchor_name(p, true, &name_loc);
	a->path = pf_keep(p, name);
	if (p->stmt.old)
		old_head(p, loc);
	else
		head(p);
	if (p->recover)
		return;
	p->stmt.loc.end_col = loc->end_col;
	if (pf_is(p, '{')) {
		if (name && strpbrk(name, "/*")) {
			pf_fatal(p, &name_loc,
				 "anchor paths with '/' cannot be used for rules in braces");
			return;
		}
		if (name && exists_already(p->block, name)) {
			pf_fatal(p, &name_loc, "inline anchor '%s' already exists", name);
			return;
		}
		a->block = pf_parse_braces(p, loc, false);
		if (!a->block)
			return;
	} else if (!name) {
		pf_error(p, loc, "an anchor without rules in braces must have a name");
		return;
	}
	errors = p->result.errors;
	check_options(p);
	if (p->result.errors != errors)
		return;
	p->stmt.x.anchor = a;
	pf_expand_rule(p);
}

/* --- load anchor --- */

/* The name, which is a path from the ruleset at hand, from the main one; NULL after an error. */
static const char *load_path(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	const char *from = p->opt->anchor ? p->opt->anchor : "";
	char *path = pf_anchor_path_resolve(from, name);
	const char *kept = pf_keep(p, path);

	free(path);
	if (!kept) {
		pf_error_nomem(p);
		return NULL;
	}
	if (!*kept)
		pf_error(p, loc, "this is the main ruleset, not an anchor");
	else if (strlen(kept) >= PF_ANCHOR_SIZE)
		pf_error(p, loc, "the anchor's name is too long");
	else
		return kept;
	return NULL;
}

/* The file is read now, so that what is wrong in it is said now. */
static void load_file(struct pf_parser *p, const struct pf_loc *loc, const struct pf_loc *file_loc,
		      const char *path, const char *file)
{
	struct pf_parse_options opt = *p->opt;
	struct pf_parse_result result;
	struct pf_ruleset *rs = NULL;
	struct pf_load *load;
	int err;

	opt.name = file;
	opt.anchor = path;
	opt.err = p->err;
	opt.lint = false;
	opt.load_depth++;
	opt.loaded_by = loc->file;
	opt.loaded_line = loc->line;
	opt.max_errors = p->max_errors - p->result.errors;
	err = pf_parse_file(file, &opt, &rs, &result);
	p->result.errors += result.errors;
	if (!*p->result.elsewhere)
		memcpy(p->result.elsewhere, result.elsewhere, sizeof(result.elsewhere));
	if (err == -ENOENT && p->opt->offline)
		pf_warn(p, file_loc, "there is no %s: taken as empty", file);
	else if (err && !result.errors)
		pf_error(p, file_loc, "cannot load %s: %s", file, strerror(-err));
	if (err)
		return;
	load = pf_ruleset_add_load(p->rs, path);
	if (load) {
		load->rs = rs;
	} else {
		pf_ruleset_free(rs);
		pf_error_nomem(p);
	}
}

/* The file is a ruleset of its own. */
void pf_load_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc name_loc, file_loc;
	const char *name, *file, *path;
	char *quoted;

	if (!pf_expect_word(p, "anchor"))
		return;
	name = anchor_name(p, false, &name_loc);
	if (!name) {
		pf_syntax(p, "an anchor's name", NULL);
		return;
	}
	if (!pf_expect_word(p, "from"))
		return;
	file_loc = p->tok.loc;
	file = pf_value(p, "a file's name", true);
	quoted = file ? pf_stmt_alloc(p, 2 * strlen(file) + 1) : NULL;
	if (!quoted)
		return;
	pf_word_quote(quoted, file);
	pf_echo(p, pf_stmt_printf(p, "load anchor \"%s\" from \"%s\"", name, quoted));
	if (p->opt->no_files || p->opt->load_depth >= PF_INCLUDE_DEPTH) {
		pf_error(p, &file_loc,
			 p->opt->no_files ? "files cannot be read here"
					  : "anchors load files too deeply");
		return;
	}
	path = load_path(p, &name_loc, name);
	if (path)
		load_file(p, loc, &file_loc, path, file);
}
