// SPDX-License-Identifier: BSD-2-Clause
/* Actions of the grammar: options, tables and macros. */
#include <string.h>

#include "actions.h"
#include "check.h"
#include "names.h"
#include "words.h"

/* The text as it stands between double quotes. */
static const char *quotable(struct pf_parser *p, const char *text)
{
	char *out = pf_stmt_alloc(p, strlen(text) * 2 + 1);

	if (!out)
		return "";
	pf_word_quote(out, text);
	return out;
}

void pf_act_echo(struct pf_parser *p, const char *text)
{
	if (text && pf_ruleset_add_item(p->rs, PF_ITEM_TEXT, text, 0))
		pf_error_nomem(p);
}

/* The name in "<name>"; a place in a macro's use stays as it is. */
struct pf_loc pf_act_inside(const struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_loc name = *loc;
	size_t at = loc->line_at + loc->col - 1;

	if (at < p->len && p->text[at] == '<' && loc->end_col > loc->col + 2) {
		name.col++;
		name.end_col--;
	}
	return name;
}

void pf_act_timeout(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
		    const struct pf_loc *loc, long long n)
{
	int id = pf_timeout_by_name(name);
	bool count = id == PF_TIMEOUT_ADAPTIVE_START || id == PF_TIMEOUT_ADAPTIVE_END;

	if (id < 0) {
		pf_error(p, name_loc, "unknown timeout %s", name);
		return;
	}
	if (!pf_act_in_range(p, loc, name, n, id == PF_TIMEOUT_INTERVAL ? 1 : 0,
			     count ? INT32_MAX : (long long)PF_TIMEOUT_LARGEST))
		return;
	p->rs->options.timeout[id] = (uint32_t)n;
	p->rs->options.timeout_set |= 1U << id;
	pf_act_echo(p, pf_stmt_printf(p, "set timeout %s %lld", name, n));
}

void pf_act_limit(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
		  const struct pf_loc *loc, long long n)
{
	int id = pf_limit_by_name(name);

	if (id < 0) {
		pf_error(p, name_loc, "unknown limit %s", name);
		return;
	}
	if (!pf_act_in_range(p, loc, name, n, 1,
			     id == PF_LIMIT_STATES ? PF_STATES_LARGEST : INT32_MAX))
		return;
	p->rs->options.limit[id] = (uint32_t)n;
	p->rs->options.limit_set |= 1U << id;
	pf_act_echo(p, pf_stmt_printf(p, "set limit %s %lld", name, n));
}

struct optimization {
	const char *name;
	uint32_t first, opening, established, closing, finwait, closed, tsdiff;
};

static const struct optimization optimizations[] = {
	{"default", 120, 30, 86400, 900, 45, 90, 30},
	{"normal", 120, 30, 86400, 900, 45, 90, 30},
	{"satellite", 180, 35, 86400, 905, 50, 95, 60},
	{"high-latency", 180, 35, 86400, 905, 50, 95, 60},
	{"conservative", 3600, 900, 432000, 3600, 600, 180, 60},
	{"aggressive", 30, 5, 18000, 60, 30, 30, 10},
};

void pf_act_optimization(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	for (size_t i = 0; i < sizeof(optimizations) / sizeof(optimizations[0]); i++) {
		const struct optimization *o = &optimizations[i];
		uint32_t *t = p->rs->options.timeout;

		if (strcmp(o->name, name) != 0)
			continue;
		t[PF_TIMEOUT_TCP_FIRST] = o->first;
		t[PF_TIMEOUT_TCP_OPENING] = o->opening;
		t[PF_TIMEOUT_TCP_ESTABLISHED] = o->established;
		t[PF_TIMEOUT_TCP_CLOSING] = o->closing;
		t[PF_TIMEOUT_TCP_FINWAIT] = o->finwait;
		t[PF_TIMEOUT_TCP_CLOSED] = o->closed;
		t[PF_TIMEOUT_TCP_TSDIFF] = o->tsdiff;
		pf_act_echo(p, pf_stmt_printf(p, "set optimization %s", name));
		return;
	}
	pf_error(p, loc, "unknown optimization %s", name);
}

void pf_act_skip(struct pf_parser *p, pf_if_list ifs)
{
	const char *text = "set skip on {";

	if (ifs.first && ifs.first == ifs.last && !ifs.first->neg &&
	    strcmp(ifs.first->name, "none") == 0) {
		pf_act_echo(p, "set skip on none");
		return;
	}
	for (struct pf_node_if *n = ifs.first; n && text; n = n->next) {
		if (n->neg) {
			pf_error(p, &n->loc, "set skip on ! %s is not supported", n->name);
			return;
		}
		if (pf_ruleset_add_skip(p->rs, n->name)) {
			pf_error_nomem(p);
			return;
		}
		text = pf_stmt_printf(p, pf_word_plain(n->name) ? "%s %s" : "%s \"%s\"", text,
				      quotable(p, n->name));
	}
	if (text)
		pf_act_echo(p, pf_stmt_printf(p, "%s }", text));
}

bool pf_act_table_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	if (pf_name_ok(name, PF_TABLE_NAME_SIZE))
		return true;
	if (strlen(name) >= PF_TABLE_NAME_SIZE)
		pf_error(p, loc, "table name '%s' is too long (at most %d characters)", name,
			 PF_TABLE_NAME_SIZE - 1);
	else
		pf_error(p, loc, "'%s' is no table name", name);
	return false;
}

void pf_act_table_begin(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	static struct pf_table_def scrap; /* takes what follows a bad name */

	memset(&scrap, 0, sizeof(scrap));
	p->table = &scrap;
	if (!pf_act_table_name_ok(p, loc, name)) {
		/* said there */
	} else if (pf_ruleset_find_table(p->rs, name)) {
		pf_error(p, loc, "table <%s> is defined twice", name);
	} else {
		p->table = pf_ruleset_add_table(p->rs, name);
		if (p->table)
			return;
		p->table = &scrap;
		pf_error_nomem(p);
	}
	p->table_scrap = true;
}

void pf_act_table_list(struct pf_parser *p, pf_host_list hosts)
{
	p->table->has_list = true;
	for (struct pf_node_host *n = hosts.first; n; n = n->next) {
		struct pf_table_entry *e;

		if (n->host.type == PF_HOST_TABLE) {
			pf_error(p, &n->loc, "a table cannot hold a table");
			continue;
		}
		if (n->host.type == PF_HOST_ANY) {
			pf_error(p, &n->loc, "a table holds addresses: 'any' is none");
			continue;
		}
		if (p->table_scrap)
			continue;
		e = pf_table_def_add(p->table);
		if (!e) {
			pf_error_nomem(p);
			return;
		}
		e->af = n->host.af;
		e->bits = n->host.bits;
		e->neg = n->host.neg;
		e->ip = n->host.ip;
	}
}

void pf_act_table_end(struct pf_parser *p)
{
	if (!p->table_scrap && pf_ruleset_add_item(p->rs, PF_ITEM_TABLE, NULL, p->rs->ntables - 1))
		pf_error_nomem(p);
	p->table_scrap = false;
}

void pf_act_macro(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	if (p->nomem)
		return;
	for (const char *c = name; *c; c++) {
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_",
			    *c)) {
			pf_error(p, loc, "macro name '%s' may hold letters, digits and _ only",
				 name);
			return;
		}
	}
	/* what could not be read back from between quotes */
	if (p->value.len > PF_STRING_LARGEST) {
		pf_error(p, loc, "the value of macro '%s' is too long", name);
		return;
	}
	if (p->value.len && p->value.text[p->value.len - 1] == '\\') {
		pf_error(p, loc, "a macro's value cannot end in a backslash");
		return;
	}
	if (!pf_macro_set(p, name, p->value.text, false))
		pf_error_nomem(p);
	pf_act_echo(p, pf_stmt_printf(p, "%s = \"%s\"", name, quotable(p, p->value.text)));
}

/* Appends to the value of the macro at hand. */
void pf_act_value_add(struct pf_parser *p, const char *text)
{
	if (text)
		pf_text_add(p, &p->value, text, strlen(text));
}
