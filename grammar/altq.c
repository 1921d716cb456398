// SPDX-License-Identifier: BSD-2-Clause
/*
 * ALTQ, as FreeBSD has it in pf.conf(5): the altq statement, schedulers with their
 * options, and the queues that are listed in braces before they are defined.
 */
#include <stddef.h>
#include <string.h>

#include "queue.h"
#include "words.h"

/* FreeBSD's altq_var.h, altq_cbq.h, altq_priq.h */
#define QLIMIT_DEFAULT	 50
#define PRIORITY_DEFAULT 1
#define CBQ_PRIORITIES	 8
#define PRIQ_PRIORITIES	 16
/* pfctl's, for an interface that it does not know */
#define MTU_DEFAULT	 1500

static const char *const kind_names[PF_ALTQ_MAX] = {
	[PF_CBQ] = "cbq",     [PF_PRIQ] = "priq",   [PF_HFSC] = "hfsc",
	[PF_FAIRQ] = "fairq", [PF_CODEL] = "codel",
};

/* --- bandwidths --- */

/* How many bits a unit stands for; 0 if it is none. */
static uint64_t unit_factor(const char *unit)
{
	static const char *const endings[] = {"", "b", "B", "bit", "Bit"};
	uint64_t factor = 1;

	if (!*unit || strcmp(unit, "b") == 0)
		return 1;
	for (const char *c = "KMG"; *c; c++) {
		factor *= 1000;
		for (size_t i = 0; *c == *unit && i < sizeof(endings) / sizeof(endings[0]); i++)
			if (strcmp(unit + 1, endings[i]) == 0)
				return factor;
	}
	return 0;
}

#define BILLION 1000000000ULL

/* "1.5", exactly: the digits before the point, and billionths. */
static const char *parse_decimal(const char *text, uint64_t *whole, uint64_t *parts)
{
	const char *c = text;
	uint64_t scale = BILLION;

	*whole = *parts = 0;
	for (; *c >= '0' && *c <= '9'; c++)
		if (__builtin_mul_overflow(*whole, 10, whole) ||
		    __builtin_add_overflow(*whole, (uint64_t)(*c - '0'), whole))
			return NULL;
	if (c == text || *c != '.')
		return c == text ? NULL : c;
	for (c++; *c >= '0' && *c <= '9'; c++)
		*parts += (uint64_t)(*c - '0') * (scale /= 10);
	return c;
}

static void set_bandwidth(struct pf_parser *p, const struct pf_loc *loc, const char *text,
			  struct pf_bandwidth *out)
{
	uint64_t n, parts, factor;
	const char *unit = parse_decimal(text, &n, &parts);

	if (!unit) {
		pf_error(p, loc, "'%s' is not a bandwidth (such as 64K, 1.5M or 1G)", text);
		return;
	}
	if (strcmp(unit, "%") == 0) {
		out->in_percent = true;
		out->percent = (uint8_t)n;
		if (n > 100 || (n == 100 && parts))
			pf_error(p, loc, "bandwidth %s is out of range (0%% to 100%%)", text);
		return;
	}
	factor = unit_factor(unit);
	/* no overflow: both are at most a billion */
	parts = parts * factor / BILLION;
	if (!factor)
		pf_error(p, loc, "unknown unit '%s' of a bandwidth (b, K, M or G, or %%)", unit);
	else if (__builtin_mul_overflow(n, factor, &n) || n > INT64_MAX - parts)
		pf_error(p, loc, "bandwidth %s is too large", text);
	else
		out->bps = n + parts;
}

void pf_parse_bandwidth(struct pf_parser *p, struct pf_bandwidth *out)
{
	struct pf_loc loc = p->tok.loc;
	const char *text = pf_value_or_number(p, "a bandwidth");

	*out = (struct pf_bandwidth){.loc = loc, .given = text};
	if (text)
		set_bandwidth(p, &loc, text, out);
}

/* --- schedulers --- */

enum {
	FLAG_RED = 1,
	FLAG_ECN = 2,
	FLAG_RIO = 4,
	FLAG_CODEL = 8,
	FLAG_BORROW = 16,
	FLAG_DEFAULT = 32,
};

#define BIT(kind) (1U << (kind))
#define QUEUEING  (BIT(PF_CBQ) | BIT(PF_PRIQ) | BIT(PF_HFSC) | BIT(PF_FAIRQ))

enum what { WHAT_FLAG, WHAT_CURVE, WHAT_BANDWIDTH, WHAT_NUMBER };

/* In the order in which they are printed. */
static const struct scheduler_option {
	const char *word;
	unsigned int kinds; /* bits: the schedulers that have it */
	enum what what;
	uint8_t flag;
	uint8_t implied; /* another flag */
	size_t member;	 /* of struct pf_altq_scheduler */
} scheduler_options[] = {
#define MEMBER(name) offsetof(struct pf_altq_scheduler, name)
	{"target", BIT(PF_CODEL), WHAT_NUMBER, 0, 0, MEMBER(target)},
	{"interval", BIT(PF_CODEL), WHAT_NUMBER, 0, 0, MEMBER(interval)},
	{"red", QUEUEING, WHAT_FLAG, FLAG_RED, 0, 0},
	{"ecn", QUEUEING, WHAT_FLAG, FLAG_ECN, FLAG_RED, 0},
	{"ecn", BIT(PF_CODEL), WHAT_FLAG, FLAG_ECN, 0, 0},
	{"rio", QUEUEING, WHAT_FLAG, FLAG_RIO, 0, 0},
	{"codel", QUEUEING, WHAT_FLAG, FLAG_CODEL, 0, 0},
	{"borrow", BIT(PF_CBQ), WHAT_FLAG, FLAG_BORROW, 0, 0},
	{"default", QUEUEING, WHAT_FLAG, FLAG_DEFAULT, 0, 0},
	{"realtime", BIT(PF_HFSC), WHAT_CURVE, 0, 0, MEMBER(realtime)},
	{"linkshare", BIT(PF_HFSC) | BIT(PF_FAIRQ), WHAT_CURVE, 0, 0, MEMBER(linkshare)},
	{"upperlimit", BIT(PF_HFSC), WHAT_CURVE, 0, 0, MEMBER(upperlimit)},
	{"buckets", BIT(PF_FAIRQ), WHAT_NUMBER, 0, 0, MEMBER(buckets)},
	{"hogs", BIT(PF_FAIRQ), WHAT_BANDWIDTH, 0, 0, MEMBER(hogs)},
#undef MEMBER
};
#define NOPTIONS (sizeof(scheduler_options) / sizeof(scheduler_options[0]))

static void *member_of(struct pf_altq_scheduler *s, const struct scheduler_option *o)
{
	return (char *)s + o->member;
}

static const void *member_in(const struct pf_altq_scheduler *s, const struct scheduler_option *o)
{
	return (const char *)s + o->member;
}

static uint64_t curve_value(const struct pf_bandwidth *b)
{
	return b->in_percent ? b->percent : b->bps;
}

/* "10Mb", or "(20Mb 10 10Mb)": 20Mb for the first 10 ms */
static void curve(struct pf_parser *p, const struct pf_loc *loc, const char *word, bool hfsc,
		  struct pf_curve *c)
{
	long long d = 0;

	if (c->given)
		pf_error(p, loc, "%s is given twice", word);
	c->given = true;
	if (!pf_accept(p, '(')) {
		pf_parse_bandwidth(p, &c->m2);
		return;
	}
	pf_parse_bandwidth(p, &c->m1);
	pf_accept(p, ',');
	if (pf_number(p, "milliseconds", 0, INT32_MAX, &d))
		c->d = (uint32_t)d;
	pf_accept(p, ',');
	pf_parse_bandwidth(p, &c->m2);
	if (!pf_expect(p, ')', "\")\"") || !hfsc)
		return;
	if (curve_value(&c->m1) && !curve_value(&c->m2))
		pf_error(p, loc, "the second bandwidth of %s is zero", word);
	else if (curve_value(&c->m1) && c->m1.in_percent == c->m2.in_percent &&
		 curve_value(&c->m1) < curve_value(&c->m2))
		pf_error(p, loc, "the first bandwidth of %s must be zero, or not below the second",
			 word);
}

static void number(struct pf_parser *p, const struct pf_loc *loc, const char *word, uint32_t *out)
{
	long long n = 0;

	if (*out)
		pf_error(p, loc, "%s is given twice", word);
	if (pf_number(p, word, 1, INT32_MAX, &n))
		*out = (uint32_t)n;
}

static void scheduler_syntax(struct pf_parser *p, enum pf_altq_kind kind)
{
	const char *words[NOPTIONS + 1];
	size_t n = 0;

	for (size_t i = 0; i < NOPTIONS; i++)
		if (scheduler_options[i].kinds & BIT(kind))
			words[n++] = scheduler_options[i].word;
	words[n] = NULL;
	pf_syntax(p, pf_stmt_printf(p, "an option of %s", kind_names[kind]), words);
}

static void scheduler_option(struct pf_parser *p, struct pf_altq_scheduler *s)
{
	const struct scheduler_option *o = scheduler_options, *end = o + NOPTIONS;
	struct pf_loc loc = p->tok.loc;

	/* FreeBSD's word for it, as an option */
	if (pf_is_word(p, "codelq"))
		p->tok.text = "codel";
	while (o < end && !(o->kinds & BIT(s->kind) && pf_is_word(p, o->word)))
		o++;
	if (o == end) {
		scheduler_syntax(p, (enum pf_altq_kind)s->kind);
		return;
	}
	pf_next(p);
	switch (o->what) {
	case WHAT_FLAG:
		s->flags |= o->flag | o->implied;
		break;
	case WHAT_CURVE:
		curve(p, &loc, o->word, s->kind == PF_HFSC, member_of(s, o));
		break;
	case WHAT_BANDWIDTH:
		if (s->hogs.given)
			pf_error(p, &loc, "%s is given twice", o->word);
		pf_parse_bandwidth(p, member_of(s, o));
		break;
	case WHAT_NUMBER:
		number(p, &loc, o->word, member_of(s, o));
		break;
	}
}

void pf_altq_parse_scheduler(struct pf_parser *p, const char *word, const struct pf_loc *loc,
			     struct pf_altq_scheduler *out)
{
	memset(out, 0, sizeof(*out));
	out->loc = *loc;
	for (unsigned int i = PF_ALTQ_NONE + 1; i < PF_ALTQ_MAX; i++)
		if (strcmp(kind_names[i], word) == 0)
			out->kind = (uint8_t)i;
	if (!pf_accept(p, '('))
		return;
	do {
		scheduler_option(p, out);
		pf_accept(p, ',');
	} while (!pf_is(p, TOK_STOP) && !pf_accept(p, ')'));
}

/* --- printing: as FreeBSD's pfctl -nv, but so that nothing is lost --- */

/* Two decimals, as it has, where they are exact; else a smaller unit. */
static void print_bandwidth(FILE *f, const struct pf_bandwidth *b)
{
	static const struct {
		uint64_t size;
		char name;
	} units[] = {{1000000000, 'G'}, {1000000, 'M'}, {1000, 'K'}};

	if (b->in_percent) {
		fprintf(f, "%u%%", b->percent);
		return;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		unsigned long long size = units[i].size, rest = b->bps % size;

		if (b->bps < size || rest % (size / 100))
			continue;
		fprintf(f, "%llu", b->bps / size);
		if (rest)
			fprintf(f, ".%02llu", rest / (size / 100));
		fprintf(f, "%cb", units[i].name);
		return;
	}
	fprintf(f, "%llub", (unsigned long long)b->bps);
}

static bool whole(const struct pf_bandwidth *b)
{
	return !b->given || (b->in_percent && b->percent == 100);
}

static bool same_bandwidth(const struct pf_bandwidth *a, const struct pf_bandwidth *b)
{
	if (whole(a) || whole(b))
		return whole(a) && whole(b);
	return a->in_percent == b->in_percent && curve_value(a) == curve_value(b);
}

static void print_curve(FILE *f, const char *word, const struct pf_curve *c)
{
	fprintf(f, " %s", word);
	if (c->d) {
		fputc('(', f);
		print_bandwidth(f, &c->m1);
		fprintf(f, " %u", c->d);
	}
	fputc(' ', f);
	print_bandwidth(f, &c->m2);
	if (c->d)
		fputc(')', f);
}

/* True if the option says something; with f, it is printed. */
static bool print_option(FILE *f, const struct pf_altq_scheduler *s,
			 const struct scheduler_option *o, const struct pf_bandwidth *bandwidth)
{
	const struct pf_curve *c = member_in(s, o);
	const uint32_t *n = member_in(s, o);
	bool there = false;

	switch (o->what) {
	case WHAT_FLAG:
		there = s->flags & o->flag;
		if (there && f)
			fprintf(f, " %s", o->word);
		break;
	case WHAT_CURVE:
		/* a queue's bandwidth is its linkshare */
		there = curve_value(&c->m2) &&
			!(c == &s->linkshare && !c->d && same_bandwidth(&c->m2, bandwidth));
		if (there && f)
			print_curve(f, o->word, c);
		break;
	case WHAT_BANDWIDTH:
		there = curve_value(&s->hogs);
		if (there && f) {
			fprintf(f, " %s ", o->word);
			print_bandwidth(f, &s->hogs);
		}
		break;
	case WHAT_NUMBER:
		there = *n;
		if (there && f)
			fprintf(f, " %s %u", o->word, *n);
		break;
	}
	return there;
}

/* False if it has no options: nothing is printed. */
static bool print_scheduler(FILE *f, const struct pf_altq_scheduler *s,
			    const struct pf_bandwidth *bandwidth)
{
	bool any = false;

	for (size_t i = 0; i < NOPTIONS; i++)
		if (scheduler_options[i].kinds & BIT(s->kind))
			any |= print_option(NULL, s, &scheduler_options[i], bandwidth);
	if (!any)
		return false;
	fprintf(f, " %s(", kind_names[s->kind]);
	for (size_t i = 0; i < NOPTIONS; i++)
		if (scheduler_options[i].kinds & BIT(s->kind))
			print_option(f, s, &scheduler_options[i], bandwidth);
	fputs(" )", f);
	return true;
}

static void print_common(FILE *f, const struct pf_queue *q)
{
	if (!whole(&q->bandwidth.m2)) {
		fputs(" bandwidth ", f);
		print_bandwidth(f, &q->bandwidth.m2);
	}
	if (q->given & PF_QUEUE_PRIORITY && q->priority != PRIORITY_DEFAULT)
		fprintf(f, " priority %lld", q->priority);
	if (q->qlimit && q->qlimit != QLIMIT_DEFAULT)
		fprintf(f, " qlimit %lld", q->qlimit);
}

static void print_children(FILE *f, const pf_subqueue_list *list)
{
	fputs(" {", f);
	for (const struct pf_subqueue *c = list->first; c; c = c->next) {
		fputc(' ', f);
		pf_word_print(f, c->name);
	}
	fputs(" }", f);
}

/* --- lists of queues --- */

static void child(struct pf_parser *p, pf_subqueue_list *list)
{
	struct pf_subqueue *c = pf_stmt_new(p, struct pf_subqueue);
	struct pf_loc loc = p->tok.loc;
	const char *name = pf_value(p, "the name of a queue", false);

	if (!c || !name || !pf_queue_name_ok(p, &loc, name))
		return;
	c->loc = loc;
	c->name = name;
	pf_list_add(list, c);
}

void pf_altq_parse_children(struct pf_parser *p, pf_subqueue_list *list)
{
	struct pf_braces l = {0};

	for (pf_list_begin(p, &l); pf_list_more(p, &l);)
		child(p, list);
}

/* The queues are to be defined later. */
static bool list_children(struct pf_parser *p, const pf_subqueue_list *list, struct pf_queue_if *i)
{
	for (const struct pf_subqueue *c = list->first; c; c = c->next) {
		const struct pf_queue_on *on = pf_queue_interfaces(p, c->name);

		if (on && !pf_queue_on_altq(on)) {
			pf_error(p, &c->loc, "queue '%s' is already defined, without altq",
				 c->name);
			return false;
		}
		if (pf_queue_find_on(p, c->name, i->name)) {
			pf_error(p, &c->loc, "queue '%s' is already listed on %s", c->name,
				 i->name);
			return false;
		}
		if (!pf_queue_add_on(p, c->name, i, &c->loc))
			return false;
	}
	return true;
}

/* --- altq --- */

static void altq_bandwidth(struct pf_parser *p, struct pf_queue *q, const char *word,
			   const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_BANDWIDTH, word, loc);
	pf_parse_bandwidth(p, &q->bandwidth.m2);
}

static void altq_tbrsize(struct pf_parser *p, struct pf_queue *q, const char *word,
			 const struct pf_loc *loc)
{
	pf_queue_once(p, q, PF_QUEUE_TBRSIZE, word, loc);
	pf_number(p, word, 0, UINT32_MAX, &q->tbrsize);
}

static const struct pf_queue_option altq_options[] = {
	{"bandwidth", altq_bandwidth}, {"qlimit", pf_queue_qlimit},   {"tbrsize", altq_tbrsize},
	{"cbq", pf_queue_scheduler},   {"priq", pf_queue_scheduler},  {"hfsc", pf_queue_scheduler},
	{"fairq", pf_queue_scheduler}, {"codel", pf_queue_scheduler}, {NULL, NULL},
};

/*
 * The token bucket regulator's size, which pfctl chooses by the bandwidth in packets
 * of the MTU; 0 if the interface's speed would be needed.
 */
static long long tbrsize(const struct pf_queue *q)
{
	static const struct {
		uint64_t bps;
		unsigned int packets;
	} sizes[] = {
		{1000000, 1}, {10000000, 4}, {200000000, 8}, {2500000000, 24}, {UINT64_MAX, 128}};
	size_t i = 0;

	if (q->tbrsize || !q->bandwidth.m2.bps)
		return q->tbrsize;
	while (q->bandwidth.m2.bps > sizes[i].bps)
		i++;
	return sizes[i].packets * MTU_DEFAULT;
}

static void echo_altq(struct pf_parser *p, const struct pf_queue *q, const char *ifname)
{
	const struct pf_bandwidth none = {0};
	struct pf_queue_line l;
	FILE *f = pf_queue_line(p, &l);
	long long size = tbrsize(q);

	if (!f)
		return;
	fputs("altq on ", f);
	pf_word_print(f, ifname);
	if (!print_scheduler(f, &q->scheduler, &none))
		fprintf(f, " %s", kind_names[q->scheduler.kind]);
	print_common(f, q);
	if (size)
		fprintf(f, " tbrsize %lld", size);
	if (q->children.first) {
		fputs(" queue", f);
		print_children(f, &q->children);
	}
	pf_queue_line_end(p, &l, f);
}

static bool define_altq(struct pf_parser *p, const struct pf_queue *q, const struct pf_node_if *n)
{
	struct pf_queue_if *i;

	if (n->neg || !n->name || strcmp(n->name, PF_IF_ANY) == 0) {
		pf_error(p, &n->loc, "altq is on an interface that is named");
		return false;
	}
	i = pf_queue_if_find(p, n->name);
	if (i) {
		pf_error(p, &n->loc, i->kind ? "%s already has altq" : "%s already has queues",
			 n->name);
		return false;
	}
	i = pf_queue_if_add(p, n->name, (enum pf_altq_kind)q->scheduler.kind, &n->loc);
	if (!i || !list_children(p, &q->children, i))
		return false;
	echo_altq(p, q, n->name);
	return true;
}

/* Queues that are defined later are not to blame for what is wrong here. */
static void children_anyway(struct pf_parser *p, const pf_subqueue_list *list)
{
	for (const struct pf_subqueue *c = list->first; c; c = c->next)
		pf_named_add(p, 'q', c->name, &c->loc);
}

static void finish_altq(struct pf_parser *p, const struct pf_queue *q)
{
	const struct pf_node_if *n = q->ifs.first;

	if (!(q->given & PF_QUEUE_SCHEDULER)) {
		pf_error(p, &q->loc, "altq has no scheduler (cbq, priq, hfsc, fairq or codel)");
		return;
	}
	if (!q->children.first && q->scheduler.kind != PF_CODEL) {
		pf_error(p, &q->loc, "altq has no queues");
		return;
	}
	while (n && define_altq(p, q, n))
		n = n->next;
}

void pf_altq_statement(struct pf_parser *p, const struct pf_loc *loc)
{
	struct pf_queue q = {.loc = *loc};
	unsigned int errors;

	pf_unenforced(p, loc, "altq");
	errors = p->result.errors;
	if (pf_expect_word(p, "on"))
		pf_parse_interfaces(p, &q.ifs);
	if (!pf_queue_options(p, altq_options, &q)) {
		if (pf_accept_word(p, "queue"))
			pf_altq_parse_children(p, &q.children);
		else
			pf_queue_syntax(p, "an option of altq, or \"queue\"", altq_options);
	}
	if (!pf_is(p, TOK_STOP) && p->result.errors == errors)
		finish_altq(p, &q);
	children_anyway(p, &q.children);
	if (pf_is(p, TOK_STOP) || p->result.errors > errors)
		pf_queue_lists_lost(p, loc);
}

/* --- queues --- */

static void echo_queue(struct pf_parser *p, const struct pf_queue *q, const struct pf_queue_on *on,
		       bool with_interface)
{
	struct pf_altq_scheduler s = q->scheduler;
	struct pf_queue_line l;
	FILE *f = pf_queue_line(p, &l);

	if (!f)
		return;
	s.kind = on->iface->kind;
	fputs("queue ", f);
	pf_word_print(f, q->name);
	if (with_interface) {
		fputs(" on ", f);
		pf_word_print(f, on->iface->name);
	}
	print_common(f, q);
	print_scheduler(f, &s, &q->bandwidth.m2);
	if (q->children.first)
		print_children(f, &q->children);
	pf_queue_line_end(p, &l, f);
}

static bool priority_ok(struct pf_parser *p, const struct pf_queue *q, struct pf_queue_if *i)
{
	long long most = i->kind == PF_CBQ    ? CBQ_PRIORITIES - 1
			 : i->kind == PF_PRIQ ? PRIQ_PRIORITIES - 1
					      : UINT8_MAX;
	bool given = q->given & PF_QUEUE_PRIORITY;
	long long n = given ? q->priority : PRIORITY_DEFAULT;
	const struct pf_loc *loc = given ? &q->priority_loc : &q->loc;

	if (!pf_in_range(p, loc, "priority", n, 0, most))
		return false;
	if (i->kind != PF_PRIQ)
		return true;
	if (i->priorities & 1U << n) {
		pf_error(p, loc, "another queue on %s has priority %lld", i->name, n);
		return false;
	}
	i->priorities |= 1U << n;
	return true;
}

/* What depends on the interface's scheduler. */
static bool queue_ok(struct pf_parser *p, const struct pf_queue *q, struct pf_queue_on *on)
{
	struct pf_queue_if *i = on->iface;

	if (on->defined) {
		pf_error(p, &q->loc, "queue '%s' is already defined on %s", q->name, i->name);
		return false;
	}
	if (q->scheduler.kind && q->scheduler.kind != i->kind) {
		pf_error(p, &q->scheduler.loc, "%s has %s: its queues cannot have %s", i->name,
			 kind_names[i->kind], kind_names[q->scheduler.kind]);
		return false;
	}
	if (i->kind == PF_PRIQ && q->children.first) {
		pf_error(p, &q->children.first->loc, "priq queues cannot have child queues");
		return false;
	}
	if (i->kind == PF_PRIQ && !whole(&q->bandwidth.m2)) {
		pf_error(p, &q->bandwidth.m2.loc, "priq queues have no bandwidth");
		return false;
	}
	if (q->scheduler.flags & FLAG_DEFAULT && q->children.first &&
	    (i->kind == PF_HFSC || i->kind == PF_FAIRQ)) {
		pf_error(p, &q->children.first->loc, "default queue '%s' cannot have children",
			 q->name);
		return false;
	}
	return priority_ok(p, q, i);
}

static bool define_queue(struct pf_parser *p, const struct pf_queue *q, struct pf_queue_on *on,
			 bool echo, bool with_interface)
{
	if (!queue_ok(p, q, on))
		return false;
	on->defined = true;
	on->is_default = q->scheduler.flags & FLAG_DEFAULT;
	on->iface->defaults += on->is_default;
	if (!list_children(p, &q->children, on->iface))
		return false;
	if (echo)
		echo_queue(p, q, on, with_interface);
	return true;
}

static bool matches(const struct pf_node_if *n, const struct pf_queue_on *on)
{
	return !n || (n->name && n->neg != (strcmp(n->name, on->iface->name) == 0));
}

void pf_altq_queue(struct pf_parser *p, struct pf_queue *q)
{
	struct pf_queue_on *first = pf_queue_interfaces(p, q->name);
	const struct pf_node_if *n = q->ifs.first;
	bool found = false, ok = true;

	if (!first) {
		/* a name without interfaces was in a statement that was wrong */
		if (!pf_named_find(p, 'q', q->name) && !pf_queue_lists_were_lost(p))
			pf_error(p, &q->loc, "queue '%s' has no parent: no altq or queue lists it",
				 q->name);
		children_anyway(p, &q->children);
		return;
	}
	if (!pf_queue_on_altq(first)) {
		pf_error(p, &q->loc, "queue '%s' is already defined, without altq", q->name);
		return;
	}
	/* for each interface that is named, or at once for all on which it is listed */
	do {
		for (struct pf_queue_on *on = first; on && ok; on = on->next) {
			if (!matches(n, on))
				continue;
			ok = define_queue(p, q, on, n || !found, n);
			found = true;
		}
		n = n ? n->next : NULL;
	} while (n && ok);
	if (!found)
		pf_error(p, &q->ifs.first->loc, "queue '%s' is not listed on that interface",
			 q->name);
	children_anyway(p, &q->children);
}
