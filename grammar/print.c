// SPDX-License-Identifier: BSD-2-Clause
/* Whole rulesets, tables, and what the printer's other files share. */
#include "print.h"

#include <stdarg.h>
#include <string.h>

#include "printer.h"
#include "words.h"

/* --- shared --- */

void pf_printed_list_next(struct pf_printed_list *l)
{
	fputs(l->n++ ? l->separator : l->open, l->f);
}

void pf_printed_list_add(struct pf_printed_list *l, const char *fmt, ...)
{
	va_list args;

	pf_printed_list_next(l);
	va_start(args, fmt);
	vfprintf(l->f, fmt, args);
	va_end(args);
}

void pf_printed_list_end(struct pf_printed_list *l)
{
	if (l->n)
		fputc(')', l->f);
}

static void print_indent(FILE *f, unsigned int depth)
{
	while (depth--)
		fputs("  ", f);
}

void pf_print_margin(FILE *f, size_t nr, unsigned int flags, unsigned int depth)
{
	print_indent(f, depth);
	if (flags & PF_PRINT_NUMBER)
		fprintf(f, "@%zu ", nr);
}

void pf_print_ifname(FILE *f, const char *ifname)
{
	/* a keyword, and meant as one */
	if (strcmp(ifname, PF_IF_ANY) == 0)
		fputs(ifname, f);
	else
		pf_word_print(f, ifname);
}

void pf_print_tags(FILE *f, const char *tag, bool tagged_not, const char *tagged)
{
	if (tag) {
		fputs(" tag ", f);
		pf_word_print(f, tag);
	}
	if (tagged) {
		fputs(tagged_not ? " ! tagged " : " tagged ", f);
		pf_word_print(f, tagged);
	}
}

void pf_print_label(FILE *f, const char *label)
{
	fputs(" label ", f);
	pf_word_print_quoted(f, label);
}

/* --- tables --- */

static void print_entries(FILE *f, const struct pf_table_def *t, size_t first, size_t count)
{
	char ip[PF_IP_STRLEN];

	for (size_t i = first; i < first + count && i < t->nentries; i++) {
		const struct pf_table_entry *e = &t->entries[i];

		pf_ip_format((enum pf_family)e->af, &e->ip, e->bits, ip, sizeof(ip));
		fprintf(f, " %s%s", e->neg ? "!" : "", ip);
		if (e->weight)
			fprintf(f, " weight %u", e->weight);
	}
}

static void print_names(FILE *f, const struct pf_table_piece *piece)
{
	for (size_t i = 0; i < piece->nnames; i++) {
		bool neg = *piece->names[i] == '!';

		fputs(neg ? " !" : " ", f);
		pf_print_host_name(f, piece->names[i] + neg);
	}
}

/* As written; but braces behind braces become one pair. */
static void print_pieces(FILE *f, const struct pf_table_def *t)
{
	bool open = false;

	for (size_t i = 0; i < t->npieces; i++) {
		const struct pf_table_piece *piece = &t->pieces[i];

		if (open && piece->file)
			fputs(" }", f);
		else if (!open && !piece->file)
			fputs(" {", f);
		open = !piece->file;
		if (piece->file) {
			fputs(" file ", f);
			pf_word_print_quoted(f, piece->file);
		} else {
			print_entries(f, t, piece->first, piece->count);
			print_names(f, piece);
		}
	}
	if (open)
		fputs(" }", f);
}

void pf_table_print(FILE *f, const struct pf_table_def *t)
{
	fputs("table ", f);
	pf_table_name_print(f, t->name);
	if (t->constant)
		fputs(" const", f);
	if (t->persist)
		fputs(" persist", f);
	if (t->counters)
		fputs(" counters", f);
	if (t->timeout)
		fprintf(f, " timeout %u", t->timeout);
	if (t->npieces) {
		print_pieces(f, t);
	} else if (t->has_list) {
		/* it has come without the text that it was made of */
		fputs(" {", f);
		print_entries(f, t, 0, t->nentries);
		fputs(" }", f);
	}
	fputc('\n', f);
}

/* --- blocks and rulesets --- */

static void print_list(FILE *f, const struct pf_block *b, enum pf_list_kind kind,
		       unsigned int flags, unsigned int depth)
{
	const struct pf_rule_list *l = &b->list[kind];

	for (size_t i = 0; i < l->n; i++)
		pf_print_rule(f, &l->v[i], i, flags, depth);
}

static void print_rules(FILE *f, const struct pf_block *b, unsigned int flags, unsigned int depth)
{
	print_list(f, b, PF_LIST_SCRUB, flags, depth);
	for (size_t i = 0; i < b->nether; i++)
		pf_print_ether(f, &b->ether[i], i, flags, depth);
	print_list(f, b, PF_LIST_NAT, flags, depth);
	print_list(f, b, PF_LIST_RDR, flags, depth);
	print_list(f, b, PF_LIST_BINAT, flags, depth);
	print_list(f, b, PF_LIST_DUMMYNET, flags, depth);
	print_list(f, b, PF_LIST_FILTER, flags, depth);
}

void pf_print_block(FILE *f, const struct pf_block *b, unsigned int flags, unsigned int depth)
{
	for (size_t i = 0; i < b->ntables; i++) {
		print_indent(f, depth);
		pf_table_print(f, &b->tables[i]);
	}
	print_rules(f, b, flags, depth);
}

void pf_print_anchor_end(FILE *f, const struct pf_anchor *a, unsigned int flags, unsigned int depth)
{
	if (a && flags & PF_PRINT_OPEN) {
		fputs(" {", f);
	} else if (a && a->block) {
		fputs(" {\n", f);
		pf_print_block(f, a->block, flags, depth + 1);
		print_indent(f, depth);
		fputc('}', f);
	}
	fputc('\n', f);
}

void pf_ruleset_print(FILE *f, const struct pf_ruleset *rs, unsigned int flags)
{
	if (rs->options.if_bound)
		flags |= PF_PRINT_IF_BOUND;
	for (size_t i = 0; i < rs->nitems; i++) {
		const struct pf_item *item = &rs->items[i];

		switch (item->kind) {
		case PF_ITEM_TEXT:
			fprintf(f, "%s\n", item->text);
			break;
		case PF_ITEM_TABLE:
			pf_table_print(f, &rs->main.tables[item->index]);
			break;
		}
	}
	/* the optimiser's have no place in the file */
	for (size_t i = 0; i < rs->main.ntables; i++)
		if (rs->main.tables[i].automatic)
			pf_table_print(f, &rs->main.tables[i]);
	print_rules(f, &rs->main, flags, 0);
}
