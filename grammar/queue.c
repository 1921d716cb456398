// SPDX-License-Identifier: BSD-2-Clause
/*
 * Queues of pf.conf(5), and the names that rules may refer to.  Both languages
 * begin with "queue name": parent, min, max, burst, default, flows and quantum are
 * OpenBSD's, a priority, a scheduler and queues in braces are ALTQ's (altq.c).
 * What has neither is ALTQ's if an altq statement or a queue of its listed the name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue.h"
#include "words.h"

/* --- names --- */

/*
 * Names are in a list in the order of the text, and in a trie over their hashes,
 * whose root is the first of them: a few thousand queues are looked up at once.
 */
struct name_node {
	struct pf_named n; /* first: pf_parser's list is one of these */
	struct name_node *child[4];
	struct name_node *last; /* of the list; only the root's counts */
	void *data;		/* 'q' struct pf_queue_on, 'i' struct pf_queue_if */
};

static uint64_t name_hash(char kind, const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ (unsigned char)kind;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

static struct name_node *name_find(const struct pf_parser *p, char kind, const char *name)
{
	struct name_node *n = (struct name_node *)p->named;
	uint64_t h = name_hash(kind, name);

	for (; n; n = n->child[h & 3], h >>= 2)
		if (n->n.kind == kind && strcmp(n->n.name, name) == 0)
			return n;
	return NULL;
}

/* The macros that a place came from are gone with the statement. */
static struct pf_loc kept_loc(const struct pf_loc *loc)
{
	struct pf_loc l = *loc;

	l.trace = NULL;
	return l;
}

/* It is not there yet. */
static struct name_node *name_insert(struct pf_parser *p, char kind, const char *name,
				     const struct pf_loc *loc)
{
	struct name_node *root = (struct name_node *)p->named, *at;
	struct name_node *n = pf_arena_alloc(&p->keep_arena, sizeof(*n));
	uint64_t h = name_hash(kind, name);

	if (n)
		n->n.name = pf_arena_strdup(&p->keep_arena, name);
	if (!n || !n->n.name) {
		pf_error_nomem(p);
		return NULL;
	}
	n->n.kind = kind;
	n->n.loc = kept_loc(loc);
	if (!root) {
		p->named = &n->n;
		n->last = n;
		return n;
	}
	for (at = root; at->child[h & 3]; h >>= 2)
		at = at->child[h & 3];
	at->child[h & 3] = n;
	root->last->n.next = &n->n;
	root->last = n;
	return n;
}

struct pf_named *pf_named_find(const struct pf_parser *p, char kind, const char *name)
{
	struct name_node *n = name_find(p, kind, name);

	return n ? &n->n : NULL;
}

struct pf_named *pf_named_add(struct pf_parser *p, char kind, const char *name,
			      const struct pf_loc *loc)
{
	struct name_node *n = name_find(p, kind, name);

	if (!n)
		n = name_insert(p, kind, name, loc);
	return n ? &n->n : NULL;
}

struct pf_queue_on *pf_queue_interfaces(const struct pf_parser *p, const char *name)
{
	struct name_node *n = name_find(p, 'q', name);

	return n ? n->data : NULL;
}

struct pf_queue_on *pf_queue_find_on(const struct pf_parser *p, const char *name,
				     const char *ifname)
{
	struct pf_queue_on *on = pf_queue_interfaces(p, name);

	while (on && strcmp(on->iface->name, ifname) != 0)
		on = on->next;
	return on;
}

struct pf_queue_on *pf_queue_add_on(struct pf_parser *p, const char *name, struct pf_queue_if *i,
				    const struct pf_loc *loc)
{
	struct name_node *n = (struct name_node *)pf_named_add(p, 'q', name, loc);
	struct pf_queue_on *on = pf_arena_alloc(&p->keep_arena, sizeof(*on)), *last;

	if (!n || !on) {
		pf_error_nomem(p);
		return NULL;
	}
	on->iface = i;
	on->loc = kept_loc(loc);
	last = n->data;
	if (!last) {
		n->data = on;
		return on;
	}
	while (last->next)
		last = last->next;
	last->next = on;
	return on;
}

struct pf_queue_if *pf_queue_if_find(const struct pf_parser *p, const char *name)
{
	struct name_node *n = name_find(p, 'i', name);

	return n ? n->data : NULL;
}

struct pf_queue_if *pf_queue_if_add(struct pf_parser *p, const char *name, enum pf_altq_kind kind,
				    const struct pf_loc *loc)
{
	struct name_node *n = (struct name_node *)pf_named_add(p, 'i', name, loc);
	struct pf_queue_if *i = pf_arena_alloc(&p->keep_arena, sizeof(*i));

	if (!n || !i) {
		pf_error_nomem(p);
		return NULL;
	}
	i->name = n->n.name;
	i->kind = (uint8_t)kind;
	i->loc = n->n.loc;
	n->data = i;
	return i;
}

/* A name of its own kind stands for it. */
void pf_queue_lists_lost(struct pf_parser *p, const struct pf_loc *loc)
{
	pf_named_add(p, 'x', "", loc);
}

bool pf_queue_lists_were_lost(const struct pf_parser *p)
{
	return pf_named_find(p, 'x', "");
}

/* Names of a kind, for suggestions. */
static const char *name_suggest(struct pf_parser *p, char kind, const char *name)
{
	const char *names[2] = {NULL, NULL}, *meant = NULL;

	for (const struct pf_named *n = p->named; n && !meant; n = n->next) {
		names[0] = n->name;
		if (n->kind == kind)
			meant = pf_suggest(name, names);
	}
	return meant;
}

/* --- the end of the text --- */

/* pfctl(8) refuses these when it loads them. */
static void check_defaults(struct pf_parser *p, const struct pf_queue_if *i)
{
	if (!p->opt->lint || i->kind == PF_CODEL || i->defaults == 1)
		return;
	if (i->defaults)
		pf_warn(p, &i->loc, "%u queues on %s are the default one", i->defaults, i->name);
	else
		pf_warn(p, &i->loc, "no queue on %s is the default one", i->name);
}

/* Listed by altq or by another queue. */
static void check_defined(struct pf_parser *p, const struct pf_named *n)
{
	const struct pf_queue_on *on = pf_queue_interfaces(p, n->name);

	if (!on)
		return;
	for (; on; on = on->next)
		if (on->defined)
			return;
	pf_error(p, &n->loc, "queue '%s' is listed here, but not defined", n->name);
}

/* By a rule that may stand in front of the queues: FreeBSD's "ether". */
static void check_used(struct pf_parser *p, const struct pf_named *n)
{
	const char *meant;

	if (pf_named_find(p, 'q', n->name))
		return;
	meant = name_suggest(p, 'q', n->name);
	pf_error(p, &n->loc, "queue '%s' is not defined%s%s%s", n->name,
		 meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
}

void pf_check_names(struct pf_parser *p)
{
	for (const struct pf_named *n = p->named; n; n = n->next) {
		if (n->kind == 'q')
			check_defined(p, n);
		else if (n->kind == 'u')
			check_used(p, n);
		else if (n->kind == 'i')
			check_defaults(p, pf_queue_if_find(p, n->name));
	}
}

/* --- options --- */

static void is_new(struct pf_queue *q, const char *word, const struct pf_loc *loc)
{
	if (q->new_word)
		return;
	q->new_word = word;
	q->new_loc = *loc;
}

static void is_old(struct pf_queue *q, const char *word, const struct pf_loc *loc)
{
	if (q->old_word)
		return;
	q->old_word = word;
	q->old_loc = *loc;
}

bool pf_queue_once(struct pf_parser *p, struct pf_queue *q, unsigned int option, const char *word,
		   const struct pf_loc *loc)
{
	bool twice = q->given & option;

	if (twice)
		pf_error(p, loc, "%s is given twice", word);
	q->given |= option;
	return !twice;
}

/* "10ms" */
static bool milliseconds(struct pf_parser *p, uint32_t *out)
{
	struct pf_loc loc = p->tok.loc;
	const char *text = pf_value_or_number(p, "a time such as 10ms");
	size_t digits = text ? strspn(text, "0123456789") : 0;
	unsigned long long n;

	if (!text)
		return false;
	errno = 0;
	n = strtoull(text, NULL, 10);
	if (!digits || errno || n > UINT32_MAX || strcmp(text + digits, "ms") != 0) {
		pf_error(p, &loc, "'%s' is not a time in milliseconds, such as 10ms", text);
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

/* "5M burst 10M for 10ms" */
static void curve(struct pf_parser *p, struct pf_queue *q, struct pf_curve *out)
{
	struct pf_loc loc;

	out->given = true;
	pf_parse_bandwidth(p, &out->m2);
	loc = p->tok.loc;
	if (!pf_accept_word(p, "burst"))
		return;
	is_new(q, "burst", &loc);
	pf_parse_bandwidth(p, &out->m1);
	if (pf_expect_word(p, "for"))
		milliseconds(p, &out->d);
}

/* pf.conf(5): min and max stand behind the bandwidth, with or without commas. */
static void queue_bandwidth(struct pf_parser *p, struct pf_queue *q, const char *word,
			    const struct pf_loc *loc)
{
	static const char *const limits[] = {"min", "max", NULL};
	struct pf_curve *const curves[] = {&q->min, &q->max};

	pf_queue_once(p, q, PF_QUEUE_BANDWIDTH, word, loc);
	curve(p, q, &q->bandwidth);
	for (;;) {
		bool comma = pf_accept(p, ',');
		struct pf_loc at = p->tok.loc;
		int i = pf_is_word(p, "min") ? 0 : pf_is_word(p, "max") ? 1 : -1;

		if (i < 0) {
			if (comma)
				pf_syntax(p, "\"min\" or \"max\"", limits);
			return;
		}
		pf_next(p);
		is_new(q, limits[i], &at);
		if (curves[i]->given)
			pf_error(p, &at, "%s is given twice", limits[i]);
		curve(p, q, curves[i]);
	}
}

static void queue_limit_alone(struct pf_parser *p, struct pf_queue *q, const char *word,
			      const struct pf_loc *loc)
{
	(void)q;
	pf_fatal(p, loc, "%s stands behind the bandwidth: bandwidth 10M, %s 5M", word, word);
}

static void queue_parent(struct pf_parser *p, struct pf_queue *q, const char *word,
			 const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_PARENT, word, loc);
	is_new(q, word, loc);
	q->parent_loc = p->tok.loc;
	q->parent = pf_value(p, "the name of a queue", false);
}

static void queue_default(struct pf_parser *p, struct pf_queue *q, const char *word,
			  const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_DEFAULT, word, loc);
	is_new(q, word, loc);
	q->is_default = true;
}

void pf_queue_qlimit(struct pf_parser *p, struct pf_queue *q, const char *word,
		     const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_QLIMIT, word, loc);
	pf_number(p, word, 0, UINT16_MAX, &q->qlimit);
}

static void queue_flows(struct pf_parser *p, struct pf_queue *q, const char *word,
			const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_FLOWS, word, loc);
	is_new(q, word, loc);
	pf_number(p, word, 1, INT16_MAX, &q->flows);
}

static void queue_quantum(struct pf_parser *p, struct pf_queue *q, const char *word,
			  const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_QUANTUM, word, loc);
	is_new(q, word, loc);
	q->quantum_loc = *loc;
	pf_number(p, word, 1, UINT16_MAX, &q->quantum);
}

static void queue_priority(struct pf_parser *p, struct pf_queue *q, const char *word,
			   const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_PRIORITY, word, loc);
	is_old(q, word, loc);
	q->priority_loc = p->tok.loc;
	pf_number(p, word, 0, UINT8_MAX, &q->priority);
}

static void queue_tbrsize(struct pf_parser *p, struct pf_queue *q, const char *word,
			  const struct pf_loc *loc)
{
	(void)q;
	pf_fatal(p, loc, "%s belongs to the altq statement", word);
}

void pf_queue_scheduler(struct pf_parser *p, struct pf_queue *q, const char *word,
			const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_SCHEDULER, "a scheduler", loc);
	is_old(q, word, loc);
	pf_altq_parse_scheduler(p, word, loc, &q->scheduler);
}

static const struct pf_queue_option queue_options[] = {
	{"bandwidth", queue_bandwidth}, {"parent", queue_parent},
	{"default", queue_default},	{"qlimit", pf_queue_qlimit},
	{"flows", queue_flows},		{"quantum", queue_quantum},
	{"min", queue_limit_alone},	{"max", queue_limit_alone},
	{"priority", queue_priority},	{"tbrsize", queue_tbrsize},
	{"cbq", pf_queue_scheduler},	{"priq", pf_queue_scheduler},
	{"hfsc", pf_queue_scheduler},	{"fairq", pf_queue_scheduler},
	{"codel", pf_queue_scheduler},	{NULL, NULL},
};

bool pf_queue_ends(const struct pf_parser *p)
{
	return pf_is(p, TOK_NEWLINE) || pf_is(p, TOK_END) || pf_is(p, TOK_STOP) || pf_is(p, '}');
}

bool pf_queue_options(struct pf_parser *p, const struct pf_queue_option *options,
		      struct pf_queue *q)
{
	while (!pf_queue_ends(p)) {
		const struct pf_queue_option *o = options;
		struct pf_loc loc = p->tok.loc;

		while (o->word && !pf_is_word(p, o->word))
			o++;
		if (!o->word)
			return false;
		pf_next(p);
		o->handle(p, q, o->word, &loc);
	}
	return true;
}

void pf_queue_syntax(struct pf_parser *p, const char *expected,
		     const struct pf_queue_option *options)
{
	size_t n = 0;
	const char **words;

	while (options[n].word)
		n++;
	words = pf_stmt_alloc(p, (n + 1) * sizeof(*words));
	for (size_t i = 0; words && i < n; i++)
		words[i] = options[i].word;
	pf_syntax(p, expected, words);
}

bool pf_queue_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name)
{
	size_t len = strlen(name);

	if (len >= PF_QUEUE_NAME_SIZE) {
		pf_error(p, loc, "queue name '%s' is too long (at most %d characters)", name,
			 PF_QUEUE_NAME_SIZE - 1);
		return false;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			len = 0;
	if (!len)
		pf_error(p, loc, "a queue's name has characters, but no control characters");
	return len;
}

/* --- echo --- */

FILE *pf_queue_line(struct pf_parser *p, struct pf_queue_line *l)
{
	FILE *f;

	*l = (struct pf_queue_line){0};
	f = open_memstream(&l->text, &l->len);
	if (!f)
		pf_error_nomem(p);
	return f;
}

void pf_queue_line_end(struct pf_parser *p, struct pf_queue_line *l, FILE *f)
{
	if (fclose(f) == 0)
		pf_echo(p, l->text);
	else
		pf_error_nomem(p);
	free(l->text);
}

/* In the largest unit that has no remainder. */
static void print_rate(FILE *f, uint64_t bps)
{
	static const char units_of[] = "\0KMG";
	int i = 0;

	for (; i < 3 && bps >= 1000 && bps % 1000 == 0; i++)
		bps /= 1000;
	fprintf(f, "%llu%.1s", (unsigned long long)bps, units_of + i);
}

static bool curve_counts(const struct pf_curve *c)
{
	return c->m2.bps || (c->d && c->m1.bps);
}

static void print_curve(FILE *f, const char *prefix, const struct pf_curve *c)
{
	if (!curve_counts(c))
		return;
	fputs(prefix, f);
	print_rate(f, c->m2.bps);
	if (!c->d)
		return;
	fputs(" burst ", f);
	print_rate(f, c->m1.bps);
	fprintf(f, " for %ums", c->d);
}

/* As OpenBSD's pfctl -nv prints it, without a blank behind a number that has no unit. */
static void echo_queue(struct pf_parser *p, const struct pf_queue *q, const char *ifname)
{
	struct pf_queue_line l;
	FILE *f = pf_queue_line(p, &l);

	if (!f)
		return;
	fputs("queue ", f);
	pf_word_print(f, q->name);
	if (ifname) {
		fputs(" on ", f);
		pf_word_print(f, ifname);
	}
	if (q->parent) {
		fputs(" parent ", f);
		pf_word_print(f, q->parent);
	}
	if (q->flows)
		fprintf(f, " flows %lld", q->flows);
	if (q->quantum)
		fprintf(f, " quantum %lld", q->quantum);
	if (curve_counts(&q->bandwidth)) {
		print_curve(f, " bandwidth ", &q->bandwidth);
		print_curve(f, ", min ", &q->min);
		print_curve(f, ", max ", &q->max);
	}
	if (q->is_default)
		fputs(" default", f);
	if (q->qlimit)
		fprintf(f, " qlimit %lld", q->qlimit);
	pf_queue_line_end(p, &l, f);
}

/* --- OpenBSD's queues --- */

static bool bandwidth_ok(struct pf_parser *p, const struct pf_queue *q)
{
	const struct pf_bandwidth *const all[] = {
		&q->bandwidth.m1, &q->bandwidth.m2, &q->min.m1, &q->min.m2, &q->max.m1, &q->max.m2,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->in_percent) {
			pf_error(p, &all[i]->loc, "no bandwidth in %% yet");
			return false;
		}
	}
	if (!curve_counts(&q->bandwidth) && !(q->given & PF_QUEUE_FLOWS)) {
		pf_error(p, &q->loc, "queue '%s' has no bandwidth or flows", q->name);
		return false;
	}
	if (q->given & PF_QUEUE_QUANTUM && !(q->given & PF_QUEUE_FLOWS)) {
		pf_error(p, &q->quantum_loc, "quantum is for a queue with flows");
		return false;
	}
	return true;
}

static bool parent_ok(struct pf_parser *p, const struct pf_queue *q)
{
	const struct pf_queue_on *on;
	const char *meant;

	if (!q->parent) {
		if (!q->ifs.first)
			pf_error(p, &q->loc, "root queue '%s' without interface", q->name);
		return q->ifs.first;
	}
	if (!pf_named_find(p, 'q', q->parent)) {
		meant = name_suggest(p, 'q', q->parent);
		pf_error(p, &q->parent_loc, "parent queue '%s' is not defined%s%s%s", q->parent,
			 meant ? "; did you mean '" : "", meant ? meant : "", meant ? "'?" : "");
		return false;
	}
	/* none: its own definition was wrong, which has been said */
	for (on = pf_queue_interfaces(p, q->parent); on; on = on->next) {
		if (pf_queue_on_altq(on)) {
			pf_error(p, &q->parent_loc, "parent queue '%s' is one of altq's",
				 q->parent);
			return false;
		}
		if (on->is_default) {
			pf_error(p, &q->parent_loc, "default queue '%s' cannot have children",
				 q->parent);
			return false;
		}
	}
	return pf_queue_interfaces(p, q->parent);
}

/* The queue on one interface, which a root queue brings with it. */
static bool define_on(struct pf_parser *p, const struct pf_queue *q, const char *ifname,
		      const struct pf_loc *loc)
{
	struct pf_queue_if *i = pf_queue_if_find(p, ifname);
	struct pf_queue_on *on;

	if (q->parent && !pf_queue_find_on(p, q->parent, ifname)) {
		pf_error(p, loc, "parent queue '%s' is not on %s", q->parent, ifname);
		return false;
	}
	if (i && i->kind != PF_ALTQ_NONE) {
		pf_error(p, loc, "%s has altq: its queues are listed there", ifname);
		return false;
	}
	if (pf_queue_find_on(p, q->name, ifname)) {
		pf_error(p, &q->loc, "queue '%s' is already defined on %s", q->name, ifname);
		return false;
	}
	if (!i)
		i = pf_queue_if_add(p, ifname, PF_ALTQ_NONE, loc);
	on = i ? pf_queue_add_on(p, q->name, i, &q->loc) : NULL;
	if (!on)
		return false;
	on->defined = true;
	on->is_default = q->is_default;
	i->defaults += q->is_default;
	return true;
}

static bool interfaces_ok(struct pf_parser *p, const struct pf_queue *q)
{
	for (const struct pf_node_if *n = q->ifs.first; n; n = n->next) {
		if (!n->neg && n->name && strcmp(n->name, PF_IF_ANY) != 0)
			continue;
		pf_error(p, &n->loc, "a queue is on an interface that is named");
		return false;
	}
	return true;
}

static void define(struct pf_parser *p, struct pf_queue *q)
{
	const struct pf_queue_on *parents;
	bool inherited = !q->ifs.first, same;
	size_t given = 0, had = 0;

	if (!bandwidth_ok(p, q) || !parent_ok(p, q) || !interfaces_ok(p, q))
		return;
	for (const struct pf_node_if *i = q->ifs.first; i; i = i->next, given++)
		if (!define_on(p, q, i->name, &i->loc))
			return;
	parents = q->parent ? pf_queue_interfaces(p, q->parent) : NULL;
	for (const struct pf_queue_on *on = parents; on; on = on->next, had++)
		if (inherited && !define_on(p, q, on->iface->name, &q->parent_loc))
			return;
	/* a parent says where its children are: OpenBSD prints no interface then */
	same = inherited || given == had;
	if (same)
		echo_queue(p, q, NULL);
	for (const struct pf_node_if *i = q->ifs.first; i && !same; i = i->next)
		echo_queue(p, q, i->name);
}

/* --- the statement --- */

static bool listed(const struct pf_parser *p, const char *name)
{
	const struct pf_queue_on *on = pf_queue_interfaces(p, name);

	return on && pf_queue_on_altq(on);
}

static void queue_children(struct pf_parser *p, struct pf_queue *q)
{
	/* without braces only where it cannot be a misspelt option of OpenBSD's */
	if (!pf_is(p, '{') &&
	    (q->new_word || !(q->old_word || listed(p, q->name)) || !pf_is(p, TOK_WORD))) {
		pf_queue_syntax(p, "an option of the queue", queue_options);
		return;
	}
	is_old(q, "a list of queues", &p->tok.loc);
	pf_altq_parse_children(p, &q->children);
	if (!pf_queue_ends(p))
		pf_queue_syntax(p, "the end of the line", queue_options);
}

static bool is_altq(const struct pf_parser *p, const struct pf_queue *q)
{
	if (q->new_word || q->old_word)
		return q->old_word;
	return listed(p, q->name) || q->bandwidth.m2.in_percent;
}

/* It looks like one of altq's that was listed in a statement that was wrong. */
static bool lost(const struct pf_parser *p, const struct pf_queue *q)
{
	if (q->new_word || q->ifs.first)
		return false;
	return pf_queue_lists_were_lost(p) ||
	       (pf_named_find(p, 'q', q->name) && !pf_queue_interfaces(p, q->name));
}

static void finish_queue(struct pf_parser *p, struct pf_queue *q)
{
	if (q->new_word && q->old_word)
		pf_error(p, &q->old_loc, "%s is altq's, %s is OpenBSD's: no queue has both",
			 q->old_word, q->new_word);
	else if (is_altq(p, q))
		pf_altq_queue(p, q);
	else if (lost(p, q))
		return;
	else if (listed(p, q->name))
		pf_error(p, &q->new_loc, "queue '%s' is listed by altq, which has no %s", q->name,
			 q->new_word);
	else
		define(p, q);
}

void pf_queue_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_queue q = {.loc = p->tok.loc};
	unsigned int errors;

	pf_unenforced(p, loc, "queue");
	errors = p->result.errors;
	q.name = pf_value(p, "the name of a queue", false);
	if (!q.name)
		return;
	pf_queue_name_ok(p, &q.loc, q.name);
	if (pf_accept_word(p, "on"))
		pf_parse_interfaces(p, &q.ifs);
	if (!pf_queue_options(p, queue_options, &q))
		queue_children(p, &q);
	if (pf_is(p, TOK_STOP))
		pf_queue_lists_lost(p, &q.loc);
	else if (p->result.errors == errors)
		finish_queue(p, &q);
	/* what refers to it later is not to blame for what is wrong here */
	pf_named_add(p, 'q', q.name, &q.loc);
	if (p->result.errors == errors)
		return;
	for (struct pf_queue_on *on = pf_queue_interfaces(p, q.name); on; on = on->next)
		on->defined = true;
}
