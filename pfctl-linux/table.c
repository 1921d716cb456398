// SPDX-License-Identifier: BSD-2-Clause
/* -t, -T, -s Tables */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../grammar/addr.h"
#include "../grammar/check.h"
#include "json.h"

#define CHUNK 32768 /* entries in one message */

/* --- list of tables --- */

void pfctl_tables_free(struct pfctl_tables *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->line[i].path);
	free(l->line);
	*l = (struct pfctl_tables){0};
}

static int tables_data(void *ctx, const void *payload, size_t len)
{
	struct pfctl_tables *l = ctx;
	struct pf_cursor c = pf_cursor_of(payload, len);
	struct pfctl_table_line line = {.path = NULL}, *more;
	char path[PF_ANCHOR_SIZE];

	pf_get_string(&c, path, sizeof(path));
	pf_get_string(&c, line.name, sizeof(line.name));
	line.flags = pf_get_u32(&c);
	line.addresses = pf_get_u32(&c);
	if (line.flags & PF_TABLE_FLAG_COUNTERS)
		pf_get(&c, &line.counts, sizeof(line.counts));
	more = c.bad ? NULL : reallocarray(l->line, l->n + 1, sizeof(*more));
	if (!more)
		return -1;
	l->line = more;
	line.path = strdup(path);
	if (!line.path)
		return -1;
	more[l->n++] = line;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct pfctl_table_line *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : strcmp(x->name, y->name);
}

int pfctl_tables(struct pfctl *c, const char *path, bool below, struct pfctl_tables *l)
{
	pf_buf_auto ask = {0};
	int status;

	pf_put_string(&ask, path);
	pf_put_u8(&ask, below);
	status = pfctl_call(c, PF_REQ_TABLES, &ask, tables_data, l, NULL);
	if (l->n)
		qsort(l->line, l->n, sizeof(*l->line), compare);
	return status;
}

const struct pfctl_table_line *pfctl_tables_find(const struct pfctl_tables *l, const char *path,
						 const char *name)
{
	struct pfctl_table_line key = {.path = (char *)path};
	const struct pfctl_table_line *found;

	snprintf(key.name, sizeof(key.name), "%s", name);
	found = l->n ? bsearch(&key, l->line, l->n, sizeof(key), compare) : NULL;
	key.path = (char *)"";
	if (!found && l->n)
		found = bsearch(&key, l->line, l->n, sizeof(key), compare);
	return found;
}

static const char *const op_words[PF_WIRE_TABLE_OPS] = {"block", "match", "pass", "xpass"};
static const char *const op_names[2][PF_WIRE_TABLE_OPS] = {
	{"In/Block:", "In/Match:", "In/Pass:", "In/XPass:"},
	{"Out/Block:", "Out/Match:", "Out/Pass:", "Out/XPass:"},
};

/* As pfctl has them; an entry has one operation fewer than a table. */
static void print_counts(const struct pf_wire_table_counts *c, int ops)
{
	for (int dir = 0; dir < 2; dir++)
		for (int op = 0; op < ops; op++)
			printf("\t%-12s [ Packets: %-18llu Bytes: %-18llu ]\n", op_names[dir][op],
			       (unsigned long long)c->packets[dir][op],
			       (unsigned long long)c->bytes[dir][op]);
}

static json_t *json_counts(const struct pf_wire_table_counts *c, int ops)
{
	json_t *ways = json_object();

	for (int dir = 0; dir < 2; dir++) {
		json_t *way = json_object();

		for (int op = 0; op < ops; op++)
			json_object_set_new(way, op_words[op],
					    json_pack("{s:I, s:I}", "packets",
						      (json_int_t)c->packets[dir][op], "bytes",
						      (json_int_t)c->bytes[dir][op]));
		json_object_set_new(ways, dir ? "out" : "in", way);
	}
	return ways;
}

static int json_line(struct pfctl *c, const struct pfctl_table_line *t)
{
	const uint32_t f = t->flags;
	json_t *item = json_pack(
		"{s:o, s:o, s:i, s:b, s:b, s:b, s:b, s:b}", "name", pfctl_json_text(t->name),
		"anchor", pfctl_json_text(t->path), "addresses", (int)t->addresses, "const",
		(f & PF_TABLE_FLAG_CONST) != 0, "persist", (f & PF_TABLE_FLAG_PERSIST) != 0,
		"active", (f & PF_TABLE_FLAG_ACTIVE) != 0, "referenced",
		(f & PF_TABLE_FLAG_REFERENCED) != 0, "anchored", (f & PF_TABLE_FLAG_ANCHORED) != 0);

	if (f & PF_TABLE_FLAG_COUNTERS)
		json_object_set_new(item, "counters", json_counts(&t->counts, PF_WIRE_TABLE_OPS));
	return pfctl_json_item(c, item);
}

static void print_line(const struct pfctl *c, const struct pfctl_table_line *t)
{
	if (c->verbose)
		printf("%c%c%c-%c%c%c\t", t->flags & PF_TABLE_FLAG_CONST ? 'c' : '-',
		       t->flags & PF_TABLE_FLAG_PERSIST ? 'p' : '-',
		       t->flags & PF_TABLE_FLAG_ACTIVE ? 'a' : '-',
		       t->flags & PF_TABLE_FLAG_REFERENCED ? 'r' : '-',
		       t->flags & PF_TABLE_FLAG_ANCHORED ? 'h' : '-',
		       t->flags & PF_TABLE_FLAG_COUNTERS ? 'C' : '-');
	printf("%s%s%s\n", t->name, *t->path ? "@" : "", t->path);
	if (c->verbose < 2)
		return;
	printf("\tAddresses:   %u\n", t->addresses);
	if (t->flags & PF_TABLE_FLAG_COUNTERS)
		print_counts(&t->counts, PF_WIRE_TABLE_OPS);
}

int pfctl_show_tables(struct pfctl *c)
{
	struct pfctl_tables l = {0};
	int status = pfctl_tables(c, c->anchor ? c->anchor : "", c->recurse, &l);

	if (c->json)
		pfctl_json_begin(c);
	for (size_t i = 0; i < l.n && !status; i++) {
		const struct pfctl_table_line *t = &l.line[i];

		if (c->json) {
			status = json_line(c, t);
			continue;
		}
		pfctl_print_title(c);
		print_line(c, t);
	}
	if (c->json && !status)
		pfctl_json_end();
	pfctl_tables_free(&l);
	return status;
}

/* --- one operation --- */

struct operation {
	struct pfctl *c;
	const char *table;
	enum pf_table_op op;
	struct pf_address_list *addresses;
	uint8_t flags;
	uint32_t seconds;  /* of PF_TABLE_EXPIRE */
	uint8_t *feedback; /* one an address */
	size_t nfeedback;
	struct pf_address_list shown; /* what came back: see enum pf_table_op */
	struct pf_wire_table_entry *counted;
	size_t ncounted;
	uint32_t numbers[4]; /* of the answer */
};

static int counters_data(struct operation *o, const void *payload, size_t len)
{
	size_t n = len / sizeof(*o->counted);
	struct pf_wire_table_entry *more = reallocarray(o->counted, o->ncounted + n + 1,
							sizeof(*more));

	if (!more)
		return -1;
	o->counted = more;
	memcpy(more + o->ncounted, payload, n * sizeof(*more));
	o->ncounted += n;
	return 0;
}

/* One u8 for each address of the request, then entries. */
static int operation_data(void *ctx, const void *payload, size_t len)
{
	struct operation *o = ctx;
	size_t n = len / sizeof(struct pf_wire_entry);
	struct pf_wire_entry *more;

	if (o->op == PF_TABLE_SHOW_COUNTERS)
		return counters_data(o, payload, len);
	if (o->nfeedback < o->addresses->n) {
		if (o->nfeedback + len > o->addresses->n)
			return -1;
		memcpy(o->feedback + o->nfeedback, payload, len);
		o->nfeedback += len;
		return 0;
	}
	more = reallocarray(o->shown.entry, o->shown.n + n + 1, sizeof(*more));
	if (!more)
		return -1;
	o->shown.entry = more;
	memcpy(more + o->shown.n, payload, n * sizeof(*more));
	o->shown.n += n;
	return 0;
}

static int request(struct operation *o, const struct pf_wire_entry *e, size_t n)
{
	pf_buf_auto b = {0};
	pf_buf_auto ok = {0};
	struct pf_cursor cur;

	pf_put_u8(&b, (uint8_t)o->op);
	pf_put_u8(&b, (o->c->no_action ? PF_TABLE_DRY_RUN : 0) |
			      (o->c->verbose ? PF_TABLE_DETAILS : 0) | o->flags);
	pf_put_string(&b, o->c->anchor ? o->c->anchor : "");
	pf_put_string(&b, o->table);
	pf_put_u32(&b, (uint32_t)n);
	pf_put(&b, e, n * sizeof(*e));
	if (o->op == PF_TABLE_EXPIRE)
		pf_put_u32(&b, o->seconds);
	if (pfctl_call(o->c, PF_REQ_TABLE, &b, operation_data, o, &ok))
		return 1;
	cur = pf_cursor_of(ok.data, ok.len);
	for (int i = 0; i < 4 && cur.at < cur.end; i++)
		o->numbers[i] = pf_get_u32(&cur);
	return 0;
}

static int stage(struct operation *o, const struct pf_wire_entry *e)
{
	pf_buf_auto b = {0};

	pf_put(&b, e, CHUNK * sizeof(*e));
	return pfctl_call(o->c, PF_REQ_TABLE_DATA, &b, NULL, NULL, NULL);
}

/* One step, and one view of what is there twice: all but the last entries go ahead, and wait. */
static int call(struct operation *o)
{
	const struct pf_address_list *l = o->addresses;
	size_t at = 0;

	o->feedback = calloc(l->n + 1, 1);
	if (!o->feedback) {
		pfctl_warn("out of memory");
		return 1;
	}
	for (; l->n - at > CHUNK; at += CHUNK)
		if (stage(o, l->entry + at))
			return 1;
	return request(o, l->entry + at, l->n - at);
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

static const char marks[] = {
	[PF_FEEDBACK_NONE] = ' ',    [PF_FEEDBACK_ADDED] = 'A',	   [PF_FEEDBACK_DELETED] = 'D',
	[PF_FEEDBACK_CHANGED] = 'C', [PF_FEEDBACK_CONFLICT] = 'Y', [PF_FEEDBACK_DUPLICATE] = 'X',
	[PF_FEEDBACK_MATCH] = 'M',   [PF_FEEDBACK_NOMATCH] = ' ',  [PF_FEEDBACK_CLEARED] = 'Z',
};

/* A mark, an address, and what decided about it. */
static void print_entry(char mark, const struct pf_wire_entry *e,
			const struct pf_wire_entry *decided)
{
	printf("%c %s", mark, pfctl_address_text(e));
	if (decided)
		printf("\t%s", decided->af ? pfctl_address_text(decided) : " nomatch");
	putchar('\n');
}

/* -v: those that something became of, -vv: all; as pfctl marks them. */
static void print_feedback(const struct operation *o)
{
	bool decisions = o->op == PF_TABLE_TEST && o->c->verbose > 1 && o->shown.n == o->nfeedback;

	for (size_t i = 0; o->c->verbose && i < o->nfeedback; i++) {
		uint8_t f = o->feedback[i];

		if (f < sizeof(marks) && (marks[f] != ' ' || o->c->verbose > 1))
			print_entry(marks[f], &o->addresses->entry[i],
				    decisions ? &o->shown.entry[i] : NULL);
	}
}

/* All that came back, sorted. */
static void print_shown(struct operation *o, char mark)
{
	pfctl_addresses_sort(&o->shown);
	for (size_t i = 0; i < o->shown.n; i++)
		print_entry(mark, &o->shown.entry[i], NULL);
}

/* When its counters were cleared, were there any. */
static time_t cleared(const struct pf_wire_entry *e, time_t now)
{
	return now - (time_t)e->age;
}

static void print_age(const struct pf_wire_entry *e, time_t now)
{
	char text[26] = "?\n";
	time_t then = cleared(e, now);

	print_entry(' ', e, NULL);
	ctime_r(&then, text);
	printf("\tCleared:     %s", text);
}

/* -v: of a table that counts nothing, and of one that does. */
static void print_ages(struct operation *o)
{
	time_t now = time(NULL);

	pfctl_addresses_sort(&o->shown);
	for (size_t i = 0; i < o->shown.n; i++)
		print_age(&o->shown.entry[i], now);
	for (size_t i = 0; i < o->ncounted; i++) {
		print_age(&o->counted[i].entry, now);
		print_counts(&o->counted[i].counts, PF_WIRE_TABLE_OPS - 1);
	}
}

static json_t *json_entry(const struct pf_wire_entry *e, time_t now)
{
	return json_pack("{s:s, s:b, s:I}", "address", pfctl_address_text(e) + 1, "not",
			 (int)e->neg, "cleared", (json_int_t)cleared(e, now));
}

static int json_shown(struct operation *o)
{
	time_t now = time(NULL);
	int status = 0;

	pfctl_addresses_sort(&o->shown);
	fputs("{\"addresses\":", stdout);
	pfctl_json_begin(o->c);
	for (size_t i = 0; i < o->shown.n && !status; i++)
		status = pfctl_json_item(o->c, json_entry(&o->shown.entry[i], now));
	for (size_t i = 0; i < o->ncounted && !status; i++) {
		json_t *item = json_entry(&o->counted[i].entry, now);

		json_object_set_new(item, "counters",
				    json_counts(&o->counted[i].counts, PF_WIRE_TABLE_OPS - 1));
		status = pfctl_json_item(o->c, item);
	}
	pfctl_json_end();
	puts(status ? "" : "}");
	return status;
}

/* Nothing is told of a table that has none. */
static int ask_counters(struct operation *o)
{
	int status;

	o->op = PF_TABLE_SHOW_COUNTERS;
	status = call(o);
	o->op = PF_TABLE_SHOW;
	free(o->feedback);
	o->feedback = NULL;
	if (o->ncounted)
		qsort(o->counted, o->ncounted, sizeof(*o->counted), pfctl_address_compare);
	return status;
}

static int do_show(struct operation *o)
{
	if ((o->c->verbose || o->c->json) && ask_counters(o))
		return 1;
	if (!o->numbers[0] && call(o))
		return 1;
	if (o->c->json)
		return json_shown(o);
	if (o->c->verbose)
		print_ages(o);
	else
		print_shown(o, ' ');
	return 0;
}

/* True if that is all there is to say: a dry run cannot go on with a table that is not there. */
static bool say_created(const struct operation *o, uint32_t created)
{
	if (created)
		say(o, "1 table created");
	return created && o->c->no_action;
}

static int do_add(struct operation *o)
{
	if (call(o))
		return 1;
	if (say_created(o, o->numbers[1]))
		return 0;
	sayf(o, "%u/%zu addresses added", o->numbers[0], o->addresses->n);
	print_feedback(o);
	return 0;
}

static int do_delete(struct operation *o)
{
	if (call(o))
		return 1;
	sayf(o, "%u/%zu addresses deleted", o->numbers[0], o->addresses->n);
	print_feedback(o);
	return 0;
}

static int do_test(struct operation *o)
{
	for (size_t i = 0; i < o->addresses->n; i++) {
		const struct pf_wire_entry *e = &o->addresses->entry[i];

		if (e->neg || e->bits != pf_family_bits((enum pf_family)e->af)) {
			const char *text = pfctl_address_text(e);

			pfctl_warn("illegal test address %s: only single ones can be tested",
				   text + !e->neg);
			return 1;
		}
	}
	if (call(o))
		return 1;
	sayf(o, "%u/%zu addresses match", o->numbers[0], o->addresses->n);
	print_feedback(o);
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

static int do_kill(struct operation *o)
{
	if (call(o))
		return 1;
	sayf(o, "%u table deleted", o->numbers[0]);
	return 0;
}

static int do_replace(struct operation *o)
{
	if (call(o))
		return 1;
	if (say_created(o, o->numbers[3]))
		return 0;
	if (o->numbers[0])
		sayf(o, "%u addresses added", o->numbers[0]);
	if (o->numbers[1])
		sayf(o, "%u addresses deleted", o->numbers[1]);
	if (o->numbers[2])
		sayf(o, "%u addresses changed", o->numbers[2]);
	if (!o->numbers[0] && !o->numbers[1] && !o->numbers[2])
		say(o, "no changes");
	print_feedback(o);
	print_shown(o, marks[PF_FEEDBACK_DELETED]);
	return 0;
}

static int do_expire(struct operation *o)
{
	if (call(o))
		return 1;
	sayf(o, "%u/%u addresses expired", o->numbers[0], o->numbers[0]);
	print_shown(o, marks[PF_FEEDBACK_DELETED]);
	return 0;
}

static int do_zero(struct operation *o)
{
	if (call(o))
		return 1;
	if (o->flags & PF_TABLE_ALL)
		say(o, "1 table/stats cleared");
	else
		sayf(o, "%u/%zu addresses cleared", o->numbers[0], o->addresses->n);
	print_feedback(o);
	return 0;
}

static const struct command {
	const char *name;
	enum pf_table_op op;
	int (*run)(struct operation *o);
	enum { TAKES_NOTHING, TAKES_ADDRESSES, TAKES_SECONDS } takes;
} commands[] = {
	{"show", PF_TABLE_SHOW, do_show, TAKES_NOTHING},
	{"add", PF_TABLE_ADD, do_add, TAKES_ADDRESSES},
	{"delete", PF_TABLE_DELETE, do_delete, TAKES_ADDRESSES},
	{"test", PF_TABLE_TEST, do_test, TAKES_ADDRESSES},
	{"flush", PF_TABLE_FLUSH, do_flush, TAKES_NOTHING},
	{"replace", PF_TABLE_REPLACE, do_replace, TAKES_ADDRESSES},
	{"kill", PF_TABLE_KILL, do_kill, TAKES_NOTHING},
	{"expire", PF_TABLE_EXPIRE, do_expire, TAKES_SECONDS},
	{"zero", PF_TABLE_ZERO, do_zero, TAKES_ADDRESSES},
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool number(const char *text, uint32_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*out = (uint32_t)n;
	return *text >= '0' && *text <= '9' && !*end && n <= UINT32_MAX;
}

int pfctl_table_check(const struct pfctl *c, const char *table, const char *command,
		      char *const *args, size_t n, const char *file)
{
	const struct pf_address_list how = {.interfaces = true, .no_dns = c->no_dns};
	const struct command *cmd = find(command);
	uint32_t seconds;

	if (strlen(table) >= PF_TABLE_NAME_SIZE)
		pfctl_warn("table name too long, max %d characters", PF_TABLE_NAME_SIZE - 1);
	else if (!pf_name_ok(table, PF_TABLE_NAME_SIZE))
		pfctl_warn("'%s' cannot be the name of a table", table);
	else if (cmd->takes == TAKES_SECONDS && (n != 1 || file || !number(args[0], &seconds)))
		pfctl_warn("-T %s takes a number of seconds", command);
	else if (cmd->takes == TAKES_NOTHING && (n || file))
		pfctl_warn("-T %s takes no addresses", command);
	else if (cmd->takes == TAKES_ADDRESSES)
		return pfctl_addresses_check(&how, (const char *const *)args, n);
	else
		return 0;
	return 1;
}

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
	const struct command *cmd = find(command);
	struct pf_address_list l = {.interfaces = true, .no_dns = c->no_dns};
	struct operation o = {.c = c, .table = table, .op = cmd->op, .addresses = &l};
	int status = 0;

	if (cmd->takes == TAKES_SECONDS)
		number(addresses[0], &o.seconds);
	else
		status = collect(&l, addresses, n, file);
	if (cmd->op == PF_TABLE_ZERO && !n && !file)
		o.flags = PF_TABLE_ALL;

	if (!status)
		status = cmd->run(&o);
	free(o.feedback);
	free(o.counted);
	pfctl_addresses_free(&o.shown);
	pfctl_addresses_free(&l);
	return status;
}
