// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random rulesets and packets through the real programs and through the reference
 * model.  What they disagree about is made small and shown.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../grammar/parse.h"
#include "../../loader/pin.h"
#include "../unit/text.h"
#include "diff.h"
#include "frame.h"

volatile sig_atomic_t stopped;

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- texts --- */

static char *print_ruleset(const struct gen_ruleset *g,
			   void (*print)(FILE *f, const struct gen_ruleset *g))
{
	char *text;
	FILE *f = text_open(&text);

	print(f, g);
	fclose(f);
	return text;
}

/* How often each rule has matched, by chance. */
static uint64_t *weights(void *ctx, const struct pf_ruleset *rs)
{
	struct rnd r = {.s = *(const uint64_t *)ctx};
	uint64_t *w = calloc(pf_filter(rs)->n + 1, sizeof(*w));

	for (size_t i = 0; w && i < pf_filter(rs)->n; i++)
		w[i] = rnd_below(&r, 100);
	return w;
}

/* What -m asks for: the model alone, with what nobody enforces yet, too. */
static bool model_alone;

static int parse(const char *text, int optimize, uint64_t seed, struct pf_ruleset **out,
		 char **said)
{
	struct pf_parse_options o = {
		.name = "diff", .enforce = !model_alone, .no_dns = true, .no_files = true};
	int err;

	o.optimize = optimize;
	o.weights = weights;
	o.weights_ctx = &seed;
	o.err = text_open(said);
	err = pf_parse_text(text, strlen(text), &o, out, NULL);
	fclose(o.err);
	return err;
}

/* --- tables that change --- */

/* In the model's ruleset: was it put in? */
static struct pf_table_entry *toggle(struct pf_table_def *t, const struct gen_entry *e, bool *added)
{
	static struct pf_table_entry gone;
	struct pf_table_entry *slot;

	for (size_t i = 0; i < t->nentries; i++) {
		slot = &t->entries[i];
		if (slot->af != e->af || slot->bits != e->bits || !pf_ip_equal(&slot->ip, &e->ip))
			continue;
		gone = *slot;
		*slot = t->entries[--t->nentries];
		*added = false;
		return &gone;
	}
	slot = pf_table_def_add(t);
	if (!slot)
		abort();
	*slot = (struct pf_table_entry){.af = e->af, .bits = e->bits, .neg = e->neg, .ip = e->ip};
	*added = true;
	return slot;
}

/* In the model's ruleset; NULL: it has no such table. */
static const struct pf_table_entry *change_model(struct pf_ruleset *rs, const struct gen_change *c,
						 bool *added)
{
	struct pf_table_def *t = c->table ? pf_ruleset_find_table(rs, c->table) : NULL;

	return t ? toggle(t, &c->entry, added) : NULL;
}

static int change(struct real *real, struct pf_ruleset *rs, const struct gen_change *c,
		  struct result *r)
{
	struct pf_error_text why;
	bool added;
	const struct pf_table_entry *e = change_model(rs, c, &added);

	if (!e || model_alone || real_change(real, c->table, e, added, &why) == 0)
		return 0;
	snprintf(r->text, sizeof(r->text), "  a change of <%s> fails: %s\n", c->table, why.text);
	r->outcome = DIFFERENT;
	return -1;
}

/* --- one test --- */

static void add_up(struct tally *t, const struct model_answer *a)
{
	t->judged++;
	t->by_rule += a->rule != NULL;
	t->by_state += a->use == MODEL_STATE_USED;
	t->established += a->established;
	t->refused += a->established && !model_goes_on(a);
	t->by_match += a->nmatches > 0;
	t->by_anchor += a->anchor != NULL;
	t->tagged += a->tag != NULL;
	t->drew += a->draws > 0;
	t->translated += a->translated;
	t->routed += a->verdict == MODEL_AWAY;
	t->limited += a->reason == MODEL_R_MAXSTATES;
	t->sources += a->reason == MODEL_R_SRCLIMIT;
	t->offended += a->reason == MODEL_R_SRCLIMIT && !a->from_rules;
	t->no_place += a->reason == MODEL_R_FRAG || a->reason == MODEL_R_STATEINS ||
		       a->reason == MODEL_R_TRANSLATE;
}

/* What -w asks for: a model that is wrong about some packets, to see that it shows. */
static bool model_lies;

static void lie(const struct model_packet *p, struct model_answer *a)
{
	if (p->seed / 2 % 64)
		return;
	if (model_goes_on(a) && p->seed / 128 % 2) {
		a->out.dst.b[3] ^= 1;
		return;
	}
	a->verdict = model_goes_on(a) ? MODEL_DROP : MODEL_PASS;
	a->icmp = 0;
}

/* What has been counted while packets were judged. */
struct ledger {
	uint64_t logged, logs;
	struct real_reasons before;
	uint64_t reasons[MODEL_REASONS];
};

static bool compare_end(const struct test *t, struct real *real, const struct model *m,
			const struct ledger *l, struct result *r)
{
	const struct real_reasons after = real_reasons(real);
	const uint64_t logged = real_logged(real) - l->logged;

	if (!compare_states(t, real, m, r) || !compare_reasons(&l->before, &after, l->reasons, r))
		return false;
	if (is_optimized(t))
		return true;
	if (!compare_counts(real, m, r))
		return false;
	if (logged == l->logs)
		return true;
	snprintf(r->text, sizeof(r->text), "  logged: model %llu, real %llu\n",
		 (unsigned long long)l->logs, (unsigned long long)logged);
	return false;
}

static bool judge_really(const struct test *t, struct real *real, const struct model *m,
			 const struct model_packet *p, const struct model_answer *want,
			 struct result *r)
{
	struct real_answer got;
	int err = real_run(real, p, &got);

	if (err) {
		snprintf(r->text, sizeof(r->text), "  it does not run: %s\n", strerror(-err));
		return false;
	}
	if (compare_packet(t, m, want, real, &got))
		return true;
	compare_tell(r->text, sizeof(r->text), m, want, real, &got);
	return false;
}

static void judge_all(const struct test *t, struct real *real, struct pf_ruleset *rs,
		      struct model *m, struct result *r)
{
	struct ledger l = {0};

	if (!model_alone) {
		l.logged = real_logged(real);
		l.before = real_reasons(real);
	}
	r->outcome = SAME;
	for (size_t i = 0; i < t->packets.n; i++) {
		const struct model_packet *p = &t->packets.v[i];
		struct model_answer want;

		if (t->packets.off[i])
			continue;
		r->packet = i;
		if (change(real, rs, &t->packets.change[i], r))
			return;
		model_packet(m, p, &want);
		if (want.reason == MODEL_R_STEPS)
			return;
		if (model_lies)
			lie(p, &want);
		if (!model_alone && !judge_really(t, real, m, p, &want, r)) {
			r->outcome = DIFFERENT;
			return;
		}
		add_up(&r->tally, &want);
		l.logs += want.nlogs;
		l.reasons[want.reason]++;
	}
	r->packet = t->packets.n;
	if (!model_alone && !compare_end(t, real, m, &l, r))
		r->outcome = DIFFERENT;
}

/* What the text says, as it is and as the real programs get it: the same, or optimised. */
struct loaded {
	struct pf_ruleset *plain, *other;
};

static void loaded_free(struct loaded *l)
{
	pf_ruleset_free(l->plain);
	pf_ruleset_free(l->other);
}
#define loaded_auto __attribute__((cleanup(loaded_free))) struct loaded

static int load(const struct test *t, struct real *real, const char *path, const char *text,
		struct loaded *l, struct result *r)
{
	text_auto said = NULL;
	text_auto said_too = NULL;
	struct pf_error_text e;
	struct pf_ruleset *rs;
	int err;

	if (parse(text, PF_OPTIMIZE_NONE, 0, &l->plain, &said)) {
		snprintf(r->text, sizeof(r->text), "  not parsed: %s\n", said);
		return -1;
	}
	if (is_optimized(t) && parse(text, t->optimize, t->weights, &l->other, &said_too)) {
		snprintf(r->text, sizeof(r->text), "  not optimized: %s\n", said_too);
		return -1;
	}
	if (model_alone)
		return 0;
	rs = is_optimized(t) ? l->other : l->plain;
	err = real_load(real, path, rs, t->emitter, &e);
	if (err == -E2BIG && t->emitter == PF_EMITTER_LINEAR)
		err = real_load(real, path, rs, PF_EMITTER_TREE, &e);
	if (err)
		snprintf(r->text, sizeof(r->text), "  not loaded: %s\n", e.text);
	return err;
}

struct result run_test(const struct test *t, struct real *real)
{
	struct result r = {.outcome = NOT_LOADED};
	text_auto text = print_ruleset(&t->rules, gen_print);
	text_auto late_text = print_ruleset(&t->rules, gen_print_late);
	loaded_auto first = {0};
	loaded_auto late = {0};
	model_auto m = {0};

	if (!model_alone)
		real_flush(real);
	if (load(t, real, "", text, &first, &r))
		return r;
	if (t->rules.late_path && load(t, real, t->rules.late_path, late_text, &late, &r))
		return r;
	model_init(&m, first.plain);
	if (t->rules.late_path)
		model_load_anchor(&m, t->rules.late_path, late.plain);
	if (!model_alone && !is_optimized(t) && real_number(real, &m))
		abort();
	judge_all(t, real, first.plain, &m, &r);
	return r;
}

/* --- what is shown of a disagreement --- */

static void show_change(const struct gen_change *c)
{
	char text[PF_IP_STRLEN];

	if (!c->table)
		return;
	pf_ip_format((enum pf_family)c->entry.af, &c->entry.ip, 128, text, sizeof(text));
	printf("  <%s> in or out: %s%s/%u\n", c->table, c->entry.neg ? "!" : "", text,
	       c->entry.bits);
}

static void show(const struct test *t, const struct result *r, uint64_t seed, uint64_t packets)
{
	text_auto text = print_ruleset(&t->rules, gen_print);
	text_auto late = print_ruleset(&t->rules, gen_print_late);
	char line[1024];

	printf("--- disagreement, -s %llu -n 1 -p %llu, emitter %s%s\n%s", (unsigned long long)seed,
	       (unsigned long long)packets, pf_emitter_names[t->emitter],
	       is_optimized(t) ? ", optimised" : "", text);
	if (t->rules.late_path)
		printf("then at %s:\n%s", t->rules.late_path, late);
	for (size_t i = 0; i < t->packets.n && i <= r->packet && r->outcome != NOT_LOADED; i++) {
		if (t->packets.off[i])
			continue;
		show_change(&t->packets.change[i]);
		frame_describe(&t->packets.v[i], line, sizeof(line));
		printf("%s %s\n", i == r->packet ? "*" : " ", line);
	}
	printf("%s---\n", r->text);
	fflush(stdout);
}

/* --- many --- */

struct run {
	struct real real;
	uint32_t features;
	uint64_t seed;
	uint64_t rulesets, packets;
	double until;
	bool go_on;
	/* what has been */
	uint64_t ndone, nbad;
	struct tally tally;
	double began, told;
};

static size_t ruleset_size(struct rnd *r)
{
	if (rnd_percent(r, 2))
		return 200 + rnd_below(r, 1800);
	return 1 + rnd_below(r, rnd_percent(r, 50) ? 12 : 40);
}

/*
 * The model alone, while packets are made: those that follow one must know how it went on.
 * Where nothing is translated it need not run.
 */
struct rehearsal {
	struct loaded first, late;
	struct model m;
	bool runs;
};

static void rehearsal_open(struct rehearsal *h, const struct gen_ruleset *g)
{
	text_auto text = print_ruleset(g, gen_print);
	text_auto late_text = print_ruleset(g, gen_print_late);
	text_auto said = NULL;
	text_auto said_too = NULL;

	memset(h, 0, sizeof(*h));
	/* if it cannot be parsed the test will tell */
	if ((!g->translate && !g->dialog) ||
	    parse(text, PF_OPTIMIZE_NONE, 0, &h->first.plain, &said))
		return;
	if (g->late_path && parse(late_text, PF_OPTIMIZE_NONE, 0, &h->late.plain, &said_too))
		return;
	model_init(&h->m, h->first.plain);
	if (g->late_path)
		model_load_anchor(&h->m, g->late_path, h->late.plain);
	h->runs = true;
}

static void rehearsal_close(struct rehearsal *h)
{
	model_free(&h->m);
	loaded_free(&h->first);
	loaded_free(&h->late);
}

/* As the packet goes on, if it does. */
static struct model_packet rehearse(struct rehearsal *h, const struct gen_change *c,
				    const struct model_packet *p)
{
	struct model_answer a;
	bool added;

	if (!h->runs)
		return *p;
	change_model(h->first.plain, c, &added);
	model_packet(&h->m, p, &a);
	return model_goes_on(&a) ? a.out : *p;
}

static void make_packets(struct rnd *r, const struct gen_ruleset *g, struct packets *p, size_t n)
{
	struct model_packet left = {0};
	const char *egress = NULL;
	struct rehearsal h;

	p->v = calloc(n, sizeof(*p->v));
	p->off = calloc(n, sizeof(*p->off));
	p->change = calloc(n, sizeof(*p->change));
	if (!p->v || !p->off || !p->change)
		abort();
	rehearsal_open(&h, g);
	for (p->n = 0; p->n < n; p->n++) {
		p->change[p->n] = gen_change(r, g);
		if (p->n && g->sources && rnd_percent(r, 95))
			p->v[p->n] = gen_connect(r, &p->v[p->n - 1], &left);
		else if (!h.runs || !rnd_percent(r, g->dialog) ||
			 !gen_of_state(r, &h.m, &p->v[p->n]))
			p->v[p->n] = p->n && rnd_percent(r, g->translate ? 65 : 45)
					     ? gen_follow(r, &p->v[p->n - 1], &left)
					     : gen_packet(r, g);
		p->v[p->n].egress = egress = gen_egress(r, g, egress);
		left = rehearse(&h, &p->change[p->n], &p->v[p->n]);
	}
	rehearsal_close(&h);
}

static void report(struct run *run, struct test *t, struct result *r, uint64_t seed)
{
	struct result small;

	run->nbad++;
	small = shrink(t, &run->real, r);
	show(t, &small, seed, run->packets);
}

static void add_tally(struct tally *to, const struct tally *t)
{
	to->judged += t->judged;
	to->by_rule += t->by_rule;
	to->by_state += t->by_state;
	to->established += t->established;
	to->refused += t->refused;
	to->by_match += t->by_match;
	to->by_anchor += t->by_anchor;
	to->tagged += t->tagged;
	to->drew += t->drew;
	to->translated += t->translated;
	to->routed += t->routed;
	to->no_place += t->no_place;
	to->limited += t->limited;
	to->sources += t->sources;
	to->offended += t->offended;
}

static void one_ruleset(struct run *run, uint64_t seed)
{
	struct rnd r = {.s = seed};
	struct test t = {.optimize = PF_OPTIMIZE_NONE, .weights = seed};
	const bool both = rnd_percent(&r, 20);
	struct result res;
	size_t n;

	if (rnd_percent(&r, 20))
		t.optimize = rnd_percent(&r, 50) ? PF_OPTIMIZE_BASIC : PF_OPTIMIZE_PROFILE;
	t.emitter = rnd_percent(&r, 50) ? PF_EMITTER_LINEAR : PF_EMITTER_TREE;
	n = both ? 1 + rnd_below(&r, 15) : ruleset_size(&r);
	gen_ruleset(&r, &t.rules, n, run->features);
	/* where anchors are replaced in place */
	if (t.rules.late_path && rnd_percent(&r, 60))
		t.emitter = PF_EMITTER_TREE;
	make_packets(&r, &t.rules, &t.packets, run->packets);
	for (int i = 0; i <= both; i++) {
		res = run_test(&t, &run->real);
		add_tally(&run->tally, &res.tally);
		if (res.outcome) {
			report(run, &t, &res, seed);
			break;
		}
		t.emitter = t.emitter == PF_EMITTER_LINEAR ? PF_EMITTER_TREE : PF_EMITTER_LINEAR;
	}
	run->ndone++;
	free(t.packets.v);
	free(t.packets.off);
	free(t.packets.change);
	gen_free(&t.rules);
}

static void tell_progress(struct run *run)
{
	double t = now();

	if (t - run->told < 10)
		return;
	run->told = t;
	fprintf(stderr, "%llu packets over %llu rulesets, %.0f packets a second\n",
		(unsigned long long)run->tally.judged, (unsigned long long)run->ndone,
		(double)run->tally.judged / (t - run->began));
}

static void run_all(struct run *run)
{
	run->began = run->told = now();
	while (!stopped && (!run->rulesets || run->ndone < run->rulesets) &&
	       (!run->until || now() < run->until)) {
		/* each ruleset has a seed of its own, by which it can be had alone */
		one_ruleset(run, run->seed + run->ndone);
		tell_progress(run);
		if (run->nbad && !run->go_on)
			break;
	}
}

/* Is it enforced?  What is too much for A alone is, too. */
static bool loads(struct run *run, const char *text, enum pf_emitter emitter)
{
	pf_ruleset_auto rs = NULL;
	text_auto said = NULL;
	struct pf_error_text e;
	int err = parse(text, PF_OPTIMIZE_NONE, 0, &rs, &said);

	if (err)
		return false;
	err = real_load(&run->real, "", rs, emitter, &e);
	return !err || (err == -E2BIG && emitter == PF_EMITTER_LINEAR);
}

/* What this version does not enforce is left out of the rulesets, and said. */
static void probe(struct run *run)
{
	run->features = (1U << GEN_FEATURES) - 1;
	for (int i = 0; i < GEN_FEATURES && !model_alone; i++) {
		if (loads(run, gen_probes[i].text, PF_EMITTER_LINEAR) &&
		    loads(run, gen_probes[i].text, PF_EMITTER_TREE))
			continue;
		run->features &= ~(1U << i);
		printf("not there yet: %s\n", gen_probes[i].name);
	}
	fflush(stdout);
}

/* --- around it --- */

static void stop(int sig)
{
	(void)sig;
	stopped++;
}

static void tell_tally(const struct tally *t, const struct real *real, double seconds)
{
	printf("in %.1f s: %llu packets had a rule, %llu through anchors, %llu a state; of open "
	       "TCP connections %llu, and %llu refused; %llu met match rules, %llu had tags, %llu "
	       "drew numbers; %llu were translated, %llu left by a gateway, %llu could not be, "
	       "%llu met a limit, %llu a "
	       "source's, %llu of them of connections; %llu anchors replaced in place, %llu of "
	       "them translate\n",
	       seconds, (unsigned long long)t->by_rule, (unsigned long long)t->by_anchor,
	       (unsigned long long)t->by_state, (unsigned long long)(t->established - t->refused),
	       (unsigned long long)t->refused, (unsigned long long)t->by_match,
	       (unsigned long long)t->tagged, (unsigned long long)t->drew,
	       (unsigned long long)t->translated, (unsigned long long)t->routed,
	       (unsigned long long)t->no_place, (unsigned long long)t->limited,
	       (unsigned long long)t->sources, (unsigned long long)t->offended,
	       (unsigned long long)real->patched, (unsigned long long)real->patched_nats);
}

static void usage(void)
{
	fputs("usage: diff [-kmw] [-n RULESETS] [-P PINDIR] [-p PACKETS] [-s SEED] [-t SECONDS]\n",
	      stderr);
	exit(2);
}

static uint64_t fresh_seed(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000000007U ^ (uint64_t)ts.tv_nsec) % 1000000000000U;
}

static uint64_t number(const char *text)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 0);
	if (end == text || *end || errno || *text == '-')
		usage();
	return v;
}

/* Where to pin; the time that it may take. */
static void read_arguments(int argc, char **argv, struct run *run, const char **pin_dir,
			   uint64_t *seconds)
{
	int opt;

	while ((opt = getopt(argc, argv, "kmn:P:p:s:t:w")) != -1) {
		switch (opt) {
		case 'k':
			run->go_on = true;
			break;
		case 'm':
			model_alone = true;
			break;
		case 'n':
			run->rulesets = number(optarg);
			break;
		case 'P':
			*pin_dir = optarg;
			break;
		case 'p':
			run->packets = number(optarg);
			break;
		case 's':
			run->seed = number(optarg);
			break;
		case 't':
			*seconds = number(optarg);
			break;
		case 'w':
			model_lies = true;
			break;
		default:
			usage();
		}
	}
	if (optind < argc)
		usage();
}

int main(int argc, char **argv)
{
	struct run run = {.packets = 500, .seed = fresh_seed()};
	struct pf_error_text e = {""};
	uint64_t seconds = 0;
	char own_dir[64];
	const char *pin_dir = own_dir;
	int err;

	snprintf(own_dir, sizeof(own_dir), "/sys/fs/bpf/pfdiff_%d", (int)getpid());
	read_arguments(argc, argv, &run, &pin_dir, &seconds);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	pf_libbpf_quiet();
	err = real_open(&run.real, pin_dir, &e);
	if (!err) {
		probe(&run);
		printf("seed %llu\n", (unsigned long long)run.seed);
		fflush(stdout);
		run.until = seconds ? now() + (double)seconds : 0;
		run_all(&run);
		tell_tally(&run.tally, &run.real, now() - run.began);
		printf("%llu packets over %llu rulesets, %llu disagreements\n",
		       (unsigned long long)run.tally.judged, (unsigned long long)run.ndone,
		       (unsigned long long)run.nbad);
	} else {
		fprintf(stderr, "diff: %s\n", e.text);
	}
	real_close(&run.real);
	return err || run.nbad;
}
