// SPDX-License-Identifier: BSD-2-Clause
/* -t, -T, -s Tables */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pfctl.h"

#define CHUNK 32768 /* entries in one request */

/* --- list of tables --- */

struct table_line {
	char name[64];
	uint32_t flags;
};

struct table_list {
	struct table_line *line;
	size_t n;
};

static int tables_data(void *ctx, const void *payload, size_t len)
{
	struct table_list *l = ctx;
	struct pf_cursor c = pf_cursor_of(payload, len);
	struct table_line *more = reallocarray(l->line, l->n + 1, sizeof(*more));

	if (!more)
		return -1;
	l->line = more;
	pf_get_string(&c, more[l->n].name, sizeof(more[l->n].name));
	more[l->n].flags = pf_get_u32(&c);
	if (c.bad)
		return -1;
	l->n++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct table_line *)a)->name, ((const struct table_line *)b)->name);
}

int pfctl_show_tables(struct pfctl *c)
{
	struct table_list l = {0};
	int status = pfctl_call(c, PF_REQ_TABLES, NULL, tables_data, &l, NULL);

	if (l.n)
		qsort(l.line, l.n, sizeof(*l.line), by_name);
	for (size_t i = 0; i < l.n && !status; i++) {
		uint32_t f = l.line[i].flags;

		if (c->verbose)
			printf("%c%c%c-%c--\t", f & PF_TABLE_FLAG_CONST ? 'c' : '-',
			       f & PF_TABLE_FLAG_PERSIST ? 'p' : '-',
			       f & PF_TABLE_FLAG_ACTIVE ? 'a' : '-',
			       f & PF_TABLE_FLAG_REFERENCED ? 'r' : '-');
		puts(l.line[i].name);
	}
	free(l.line);
	return status;
}

/* --- one operation --- */

struct operation {
	struct pfctl *c;
	const char *table;
	enum pf_table_op op;
	struct pf_address_list *addresses;
	uint8_t *feedback; /* one an address */
	size_t nfeedback;
	struct pf_address_list shown;
	uint32_t numbers[4]; /* of the answer */
};

static int operation_data(void *ctx, const void *payload, size_t len)
{
	struct operation *o = ctx;

	if (o->op == PF_TABLE_SHOW) {
		size_t n = len / sizeof(struct pf_wire_entry);
		struct pf_wire_entry *more = reallocarray(o->shown.entry, o->shown.n + n + 1,
							  sizeof(*more));

		if (!more)
			return -1;
		o->shown.entry = more;
		memcpy(more + o->shown.n, payload, n * sizeof(*more));
		o->shown.n += n;
		return 0;
	}
	if (o->nfeedback + len > o->addresses->n)
		return -1;
	memcpy(o->feedback + o->nfeedback, payload, len);
	o->nfeedback += len;
	return 0;
}

static int call_chunk(struct operation *o, const struct pf_wire_entry *e, size_t n)
{
	pf_buf_auto b = {0};
	pf_buf_auto ok = {0};
	struct pf_cursor cur;

	pf_put_u8(&b, (uint8_t)o->op);
	pf_put_u8(&b, o->c->no_action ? PF_TABLE_DRY_RUN : 0);
	pf_put_string(&b, o->table);
	pf_put_u32(&b, (uint32_t)n);
	pf_put(&b, e, n * sizeof(*e));
	if (pfctl_call(o->c, PF_REQ_TABLE, &b, operation_data, o, &ok))
		return 1;
	cur = pf_cursor_of(ok.data, ok.len);
	for (int i = 0; i < 4 && cur.at < cur.end; i++)
		o->numbers[i] += pf_get_u32(&cur);
	return 0;
}

/* A replacement is one step: all but the last entries go ahead, and wait. */
static int stage_chunk(struct operation *o, const struct pf_wire_entry *e)
{
	pf_buf_auto b = {0};

	pf_put(&b, e, CHUNK * sizeof(*e));
	return pfctl_call(o->c, PF_REQ_TABLE_DATA, &b, NULL, NULL, NULL);
}

static int call(struct operation *o)
{
	struct pf_address_list *l = o->addresses;
	size_t at = 0;

	o->feedback = calloc(l->n + 1, 1);
	if (!o->feedback) {
		pfctl_warn("out of memory");
		return 1;
	}
	if (l->n <= CHUNK)
		return call_chunk(o, l->entry, l->n);
	for (; l->n - at > CHUNK; at += CHUNK)
		if (o->op == PF_TABLE_REPLACE ? stage_chunk(o, l->entry + at)
					      : call_chunk(o, l->entry + at, CHUNK))
			return 1;
	return call_chunk(o, l->entry + at, l->n - at);
}

static void say(const struct operation *o, const char *text)
{
	pfctl_say(o->c, "%s%s.", text, o->c->no_action ? " (dummy)" : "");
}

__attribute__((format(printf, 2, 3))) static void sayf(const struct operation *o, const char *fmt,
						       ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(o, text);
}

/* -v: which ones; as pfctl marks them. */
static void print_feedback(const struct operation *o, uint8_t only)
{
	static const char marks[] = {
		[PF_FEEDBACK_NONE] = ' ',     [PF_FEEDBACK_ADDED] = 'A',
		[PF_FEEDBACK_DELETED] = 'D',  [PF_FEEDBACK_CHANGED] = 'C',
		[PF_FEEDBACK_CONFLICT] = 'X', [PF_FEEDBACK_DUPLICATE] = 'Y',
		[PF_FEEDBACK_MATCH] = 'M',    [PF_FEEDBACK_NOMATCH] = ' ',
	};

	for (size_t i = 0; i < o->nfeedback; i++) {
		uint8_t f = o->feedback[i];

		if (f >= sizeof(marks) || (only && f != only) ||
		    (!only && marks[f] == ' ' && o->c->verbose < 2))
			continue;
		printf("%c  ", marks[f]);
		pfctl_address_print(&o->addresses->entry[i]);
	}
}

static int do_show(struct operation *o)
{
	if (call(o))
		return 1;
	pfctl_addresses_sort(&o->shown);
	for (size_t i = 0; i < o->shown.n; i++) {
		fputs("   ", stdout);
		pfctl_address_print(&o->shown.entry[i]);
	}
	return 0;
}

static int do_add(struct operation *o)
{
	if (call(o))
		return 1;
	if (o->numbers[1])
		say(o, "1 table created");
	sayf(o, "%u/%zu addresses added", o->numbers[0], o->addresses->n);
	if (o->c->verbose)
		print_feedback(o, 0);
	return 0;
}

static int do_delete(struct operation *o)
{
	if (call(o))
		return 1;
	sayf(o, "%u/%zu addresses deleted", o->numbers[0], o->addresses->n);
	if (o->c->verbose)
		print_feedback(o, 0);
	return 0;
}

static int do_test(struct operation *o)
{
	if (call(o))
		return 1;
	sayf(o, "%u/%zu addresses match", o->numbers[0], o->addresses->n);
	if (o->c->verbose)
		print_feedback(o, o->c->verbose > 1 ? 0 : PF_FEEDBACK_MATCH);
	/* pfctl(8): 2 if not all addresses match */
	return o->numbers[0] < o->addresses->n ? 2 : 0;
}

static int do_flush(struct operation *o)
{
	if (call(o))
		return 1;
	sayf(o, "%u addresses deleted", o->numbers[0]);
	return 0;
}

static int do_replace(struct operation *o)
{
	if (call(o))
		return 1;
	if (o->numbers[3])
		say(o, "1 table created");
	if (o->numbers[0])
		sayf(o, "%u addresses added", o->numbers[0]);
	if (o->numbers[1])
		sayf(o, "%u addresses deleted", o->numbers[1]);
	if (o->numbers[2])
		sayf(o, "%u addresses changed", o->numbers[2]);
	if (!o->numbers[0] && !o->numbers[1] && !o->numbers[2])
		say(o, "no changes");
	if (o->c->verbose)
		print_feedback(o, 0);
	return 0;
}

static const char *const command_names[] = {"kill", "flush", "add",  "delete", "expire", "replace",
					    "show", "range", "test", "zero",   "load",	 NULL};

static const struct {
	const char *name;
	enum pf_table_op op;
	int (*run)(struct operation *o);
	bool takes_addresses;
} commands[] = {
	{"show", PF_TABLE_SHOW, do_show, false},
	{"add", PF_TABLE_ADD, do_add, true},
	{"delete", PF_TABLE_DELETE, do_delete, true},
	{"test", PF_TABLE_TEST, do_test, true},
	{"flush", PF_TABLE_FLUSH, do_flush, false},
	{"replace", PF_TABLE_REPLACE, do_replace, true},
};

static int collect(struct pf_address_list *l, char *const *addresses, size_t n, const char *file)
{
	for (size_t i = 0; i < n; i++)
		if (pfctl_address_add(l, addresses[i]))
			return 1;
	return file ? pfctl_addresses_read(l, file) : 0;
}

int pfctl_table(struct pfctl *c, const char *table, const char *command, char *const *addresses,
		size_t n, const char *file)
{
	const char *name = pfctl_abbreviation(command, command_names);
	struct pf_address_list l = {0};
	struct operation o = {.c = c, .table = table, .addresses = &l};
	int status = -1;

	if (!name) {
		pfctl_warn("unknown table command '%s'", command);
		return 1;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (!commands[i].takes_addresses && (n || file)) {
			pfctl_warn("-T %s takes no addresses", name);
			return 1;
		}
		o.op = commands[i].op;
		status = collect(&l, addresses, n, file);
		if (!status)
			status = commands[i].run(&o);
	}
	free(o.feedback);
	pfctl_addresses_free(&o.shown);
	pfctl_addresses_free(&l);
	if (status >= 0)
		return status;
	pfctl_warn("-T %s is not supported yet", name);
	return 1;
}
