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
#include "frame.h"
#include "real.h"

#define SHRINK_SECONDS 60

static volatile sig_atomic_t stopped;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- one ruleset and its packets --- */

struct packets {
	struct model_packet *v;
	struct gen_change *change; /* in front of each */
	bool *off;
	size_t n;
};

struct test {
	struct gen_ruleset rules;
	struct packets packets;
	enum pf_emitter emitter;
	int optimize;	  /* enum pf_optimize: what the real one's rules have been through */
	uint64_t weights; /* seed of what PROFILE is told */
};

static bool is_optimized(const struct test *t)
{
	return t->optimize != PF_OPTIMIZE_NONE;
}

enum outcome { SAME, DIFFERENT, NOT_LOADED };

/* How packets were judged. */
struct tally {
	uint64_t judged, by_rule, by_state, by_match, by_anchor, tagged, drew;
};

struct result {
	enum outcome outcome;
	size_t packet; /* that was judged differently, or the number of packets */
	struct tally tally;
	char text[2048];
};

static void free_text(char **s)
{
	free(*s);
}
#define text_auto __attribute__((cleanup(free_text))) char *

static char *print_ruleset(const struct gen_ruleset *g,
			   void (*print)(FILE *f, const struct gen_ruleset *g))
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		abort();
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
	size_t n = 0;
	int err;

	o.optimize = optimize;
	o.weights = weights;
	o.weights_ctx = &seed;
	o.err = open_memstream(said, &n);
	if (!o.err)
		abort();
	err = pf_parse_text(text, strlen(text), &o, out, NULL);
	fclose(o.err);
	return err;
}

/* --- the comparison of a packet --- */

static uint32_t number_of(const struct model *m, const struct pf_rule *r)
{
	return r ? (uint32_t)model_rule_nr(m, r) : REAL_NONE;
}

static size_t live_states(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nstates; i++)
		n += !m->states[i].dead;
	return n;
}

static void tell_rule(FILE *f, const struct model *m, uint32_t nr)
{
	for (size_t i = 0; i < m->nrulesets; i++) {
		const struct model_ruleset *in = &m->rulesets[i];
		const struct pf_rule_list *l = &in->block->list[PF_LIST_FILTER];

		if (nr >= in->first && nr - in->first < l->n) {
			fprintf(f, "line %u", l->v[nr - in->first].line);
			return;
		}
	}
	fputs(nr == REAL_NONE ? "no rule" : "an unknown rule", f);
}

static void tell_want(FILE *f, const struct model *m, const struct model_answer *a)
{
	static const char *const uses[] = {"no state", "makes a state", "uses a state"};

	fprintf(f, "  model: %s", model_verdict_names[a->verdict]);
	if (a->verdict == MODEL_ICMP)
		fprintf(f, " %u/%u", a->icmp >> 8, a->icmp & 255);
	fprintf(f, " (reason %d), %s, %zu states", (int)a->reason, uses[a->use], live_states(m));
	if (!a->from_rules) {
		fputs("\n", f);
		return;
	}
	fputs(", ", f);
	tell_rule(f, m, number_of(m, a->rule));
	fputs(" through ", f);
	tell_rule(f, m, number_of(m, a->anchor));
	if (a->nlogs) {
		fputs(", log of ", f);
		tell_rule(f, m, number_of(m, a->logs[a->nlogs - 1].rule));
	}
	fputs(", matches", f);
	for (size_t i = 0; i < a->nmatches; i++) {
		fputs(" ", f);
		tell_rule(f, m, number_of(m, a->matches[i]));
	}
	fprintf(f, ", tag %s, %u draws\n", a->tag ? a->tag : "none", a->draws);
}

static void tell_got(FILE *f, const struct model *m, const struct real *real,
		     const struct real_answer *a)
{
	fprintf(f, "  real:  %s", model_verdict_names[a->verdict]);
	if (a->verdict == MODEL_ICMP)
		fprintf(f, " %u/%u", a->icmp >> 8, a->icmp & 255);
	fprintf(f, ", %u states", real->dp.status->states);
	if (!a->from_rules) {
		fputs("\n", f);
		return;
	}
	fputs(", ", f);
	tell_rule(f, m, a->rule);
	fputs(" through ", f);
	tell_rule(f, m, a->anchor);
	if (a->logged) {
		fputs(", log of ", f);
		tell_rule(f, m, a->logged_rule);
	}
	fputs(", matches", f);
	for (size_t i = 0; i < a->nmatches; i++) {
		fputs(" ", f);
		tell_rule(f, m, a->match[i]);
	}
	fprintf(f, ", tag %s, %u draws\n", a->tag ? a->tag : "none", a->draws);
}

static void tell(char *buf, size_t size, const struct model *m, const struct model_answer *want,
		 const struct real *real, const struct real_answer *got)
{
	FILE *f = fmemopen(buf, size, "w");

	if (!f)
		abort();
	tell_want(f, m, want);
	tell_got(f, m, real, got);
	fclose(f);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What the walk through the rules has left. */
static bool walks_agree(const struct model *m, const struct model_answer *want,
			const struct real_answer *got)
{
	if (number_of(m, want->rule) != got->rule || number_of(m, want->anchor) != got->anchor)
		return false;
	if (want->nmatches != got->nmatches || want->draws != got->draws)
		return false;
	for (size_t i = 0; i < want->nmatches; i++)
		if (number_of(m, want->matches[i]) != got->match[i])
			return false;
	return same_text(want->tag, got->tag);
}

/* Too deep, or too many: nothing but the drop itself and the records before it is said. */
static bool gave_up(const struct model_answer *a)
{
	return a->reason == MODEL_R_DEPTH || a->reason == MODEL_R_MATCHES;
}

/* Which rule the last record is of, if there is one. */
static bool logs_agree(const struct model *m, const struct model_answer *want,
		       const struct real_answer *got)
{
	if (want->nlogs == 0 || !got->logged)
		return want->nlogs == 0 && !got->logged;
	return number_of(m, want->logs[want->nlogs - 1].rule) == got->logged_rule;
}

static bool agrees(const struct test *t, const struct model *m, const struct model_answer *want,
		   const struct real *real, const struct real_answer *got)
{
	if (want->verdict != got->verdict || want->icmp != got->icmp)
		return false;
	/* a drop before the rules may be logged, as no rule's */
	if (want->from_rules != got->from_rules && want->verdict != MODEL_DROP)
		return false;
	if (live_states(m) != real->dp.status->states)
		return false;
	if (is_optimized(t))
		return true;
	if (!logs_agree(m, want, got))
		return false;
	if (!want->from_rules || gave_up(want))
		return true;
	return walks_agree(m, want, got);
}

/* --- the comparison of what is left at the end --- */

static struct model_key real_key(const struct pf_state_key *k)
{
	struct model_key out = {.af = k->af, .proto = k->proto};

	for (int i = 0; i < 2; i++) {
		memcpy(out.addr[i].b, &k->addr[i], sizeof(out.addr[i].b));
		out.port[i] = (uint16_t)(k->port[i] >> 8 | k->port[i] << 8);
	}
	return out;
}

static bool same_tcp(const struct model_state *want, const struct pf_state *got)
{
	for (int i = 0; i < 2; i++) {
		const struct model_peer *w = &want->peer[i];

		if (got->peer_state[i] != w->state || got->peer[i].seqlo != w->seqlo ||
		    got->peer[!i].other_seqhi != w->seqhi || got->peer[i].max_win != w->max_win)
			return false;
	}
	return true;
}

/* Whose the state is. */
static bool same_credit(const struct real *real, const struct model *m,
			const struct model_state *want, const struct pf_state *got)
{
	const char *tag = got->flags & PF_SF_TAGGED ? pf_tag_name(&real->gens.tags, got->tag)
						    : NULL;

	if (real_rule(real, got->rule) != number_of(m, want->rule) ||
	    real_rule(real, got->anchor) != number_of(m, want->anchor))
		return false;
	if (got->nmatch != want->nmatches || !same_text(tag, want->tag))
		return false;
	for (size_t i = 0; i < want->nmatches && i < PF_MATCH_INLINE; i++)
		if (real_rule(real, got->peer[i / 4].match[i % 4]) !=
		    number_of(m, want->matches[i]))
			return false;
	return true;
}

static bool same_state(const struct test *t, const struct real *real, const struct model *m,
		       const struct model_state *want, const struct pf_state *got)
{
	struct model_key k = real_key(&got->key);

	if (k.af != want->key.af || k.proto != want->key.proto)
		return false;
	for (int i = 0; i < 2; i++)
		if (!pf_ip_equal(&k.addr[i], &want->key.addr[i]) ||
		    k.port[i] != want->key.port[i] || got->peer[i].packets != want->peer[i].packets)
			return false;
	if (k.proto == MODEL_P_TCP && !same_tcp(want, got))
		return false;
	return got->dir == want->dir && (is_optimized(t) || same_credit(real, m, want, got));
}

static bool has_state(const struct test *t, const struct real *real, const struct model *m,
		      const struct pf_state *got)
{
	for (size_t i = 0; i < m->nstates; i++)
		if (!m->states[i].dead && same_state(t, real, m, &m->states[i], got))
			return true;
	return false;
}

static void tell_state(char *buf, size_t size, const struct pf_state *s)
{
	for (int i = 0; i < 2; i++) {
		const struct pf_state_peer *p = &s->peer[i];
		size_t n = strlen(buf);

		snprintf(buf + n, size - n,
			 "  peer %d: %llu packets, state %u, seqlo %u, seqhi %u, max_win %u\n", i,
			 (unsigned long long)p->packets, s->peer_state[i], p->seqlo,
			 s->peer[!i].other_seqhi, p->max_win);
	}
}

/* Their number has been compared already. */
static bool states_agree(const struct test *t, const struct real *real, const struct model *m,
			 struct result *r)
{
	for (uint32_t i = 0; i < real->dp.config->slots; i++) {
		const struct pf_state *s = &real->dp.states[i];

		if (s->status != PF_SLOT_LIVE || has_state(t, real, m, s))
			continue;
		snprintf(r->text, sizeof(r->text),
			 "  at the end a state of proto %u is there that the model does not have, "
			 "of rule %u\n",
			 s->key.proto, real_rule(real, s->rule));
		tell_state(r->text, sizeof(r->text), s);
		return false;
	}
	return true;
}

/* The tree looks at fewer rules than skip steps leave. */
static bool same_count(const struct real *real, const struct model_count *want,
		       const struct pf_rule_stats *got, uint64_t evaluations)
{
	if (real->active->code->emitter == PF_EMITTER_LINEAR && want->evaluations != evaluations)
		return false;
	return want->packets[0] == got->packets[0] && want->packets[1] == got->packets[1] &&
	       want->states == got->states;
}

static void tell_count(char *buf, size_t size, size_t nr, const struct model_count *want,
		       const struct pf_rule_stats *got, uint64_t evaluations)
{
	FILE *f = fmemopen(buf, size, "w");

	if (!f)
		abort();
	fprintf(f, "  at the end rule %zu has, in the model and really, evaluations %llu %llu, ",
		nr, (unsigned long long)want->evaluations, (unsigned long long)evaluations);
	for (int i = 0; i < 2; i++)
		fprintf(f, "packets %s %llu %llu, ", i ? "out" : "in",
			(unsigned long long)want->packets[i], (unsigned long long)got->packets[i]);
	fprintf(f, "states %llu %llu\n", (unsigned long long)want->states,
		(unsigned long long)got->states);
	fclose(f);
}

static bool counts_agree(struct real *real, const struct model *m, struct result *r)
{
	uint64_t *evals;
	struct pf_rule_stats *stats = real_stats(real, &evals);
	bool same = true;

	for (size_t i = 0; i < real->active->policy->nrules && same; i++) {
		const struct model_count *want = &m->counts[real->nr_of[i]];

		same = same_count(real, want, &stats[i], evals[i]);
		if (!same)
			tell_count(r->text, sizeof(r->text), real->nr_of[i], want, &stats[i],
				   evals[i]);
	}
	free(stats);
	free(evals);
	return same;
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

static int change(struct real *real, struct pf_ruleset *rs, const struct gen_change *c,
		  struct result *r)
{
	struct pf_table_def *t = c->table ? pf_ruleset_find_table(rs, c->table) : NULL;
	const struct pf_table_entry *e;
	struct pf_error_text why;
	bool added;

	if (!t)
		return 0;
	e = toggle(t, &c->entry, &added);
	if (model_alone || real_change(real, c->table, e, added, &why) == 0)
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
	t->by_match += a->nmatches > 0;
	t->by_anchor += a->anchor != NULL;
	t->tagged += a->tag != NULL;
	t->drew += a->draws > 0;
}

static void judge_all(const struct test *t, struct real *real, struct pf_ruleset *rs,
		      struct model *m, struct result *r)
{
	uint64_t logged = real_logged(real), logs = 0;

	r->outcome = SAME;
	for (size_t i = 0; i < t->packets.n; i++) {
		const struct model_packet *p = &t->packets.v[i];
		struct model_answer want;
		struct real_answer got;
		int err;

		if (t->packets.off[i])
			continue;
		r->packet = i;
		if (change(real, rs, &t->packets.change[i], r))
			return;
		model_packet(m, p, &want);
		if (want.reason == MODEL_R_STEPS)
			return;
		if (model_alone) {
			add_up(&r->tally, &want);
			continue;
		}
		err = real_run(real, p, &got);
		r->outcome = err || !agrees(t, m, &want, real, &got) ? DIFFERENT : SAME;
		if (err)
			snprintf(r->text, sizeof(r->text), "  it does not run: %s\n",
				 strerror(-err));
		else if (r->outcome)
			tell(r->text, sizeof(r->text), m, &want, real, &got);
		if (r->outcome)
			return;
		add_up(&r->tally, &want);
		logs += want.nlogs;
	}
	r->packet = t->packets.n;
	if (model_alone)
		return;
	if (!states_agree(t, real, m, r)) {
		r->outcome = DIFFERENT;
		return;
	}
	if (!is_optimized(t) && !counts_agree(real, m, r)) {
		r->outcome = DIFFERENT;
		return;
	}
	logged = real_logged(real) - logged;
	if (logged != logs && !is_optimized(t)) {
		r->outcome = DIFFERENT;
		snprintf(r->text, sizeof(r->text), "  logged: model %llu, real %llu\n",
			 (unsigned long long)logs, (unsigned long long)logged);
	}
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

static struct result run_test(const struct test *t, struct real *real)
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

/* --- making it small --- */

struct shrinker {
	struct test *t;
	struct real *real;
	struct result last; /* of the smallest so far */
	double until;
	bool smaller;
};

/* With something taken out: does it still go wrong?  If not, *what comes back. */
static bool still(struct shrinker *s)
{
	struct result r;

	if (stopped > 1 || now() > s->until)
		return false;
	r = run_test(s->t, s->real);
	if (r.outcome != s->last.outcome)
		return false;
	/* the reasons of a refusal are many: it is the same one that we look for */
	if (r.outcome == NOT_LOADED && strncmp(r.text, s->last.text, 24) != 0)
		return false;
	s->last = r;
	s->smaller = true;
	return true;
}

static void try_off(struct shrinker *s, bool *off)
{
	if (*off)
		return;
	*off = true;
	if (!still(s))
		*off = false;
}

/* Runs of rules first, then single ones, then what stands in braces. */
static void shrink_rules(struct shrinker *s, struct gen_rules *l)
{
	for (size_t step = l->n; step; step /= 2) {
		for (size_t at = 0; at < l->n; at += step) {
			size_t n = l->n - at < step ? l->n - at : step;
			bool *was = calloc(n, sizeof(*was)), any = false;

			for (size_t i = 0; i < n; i++) {
				was[i] = l->v[at + i].off;
				any = any || !was[i];
				l->v[at + i].off = true;
			}
			if (!any || !still(s))
				for (size_t i = 0; i < n; i++)
					l->v[at + i].off = was[i];
			free(was);
		}
	}
	for (size_t i = 0; i < l->n; i++)
		if (!l->v[i].off)
			shrink_rules(s, &l->v[i].body);
}

static void shrink_parts(struct shrinker *s, struct gen_rules *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct gen_rule *x = &l->v[i];

		for (int p = GEN_ACTION + 1; p < GEN_PARTS && !x->off; p++) {
			const char *was = x->part[p];

			x->part[p] = NULL;
			if (was && !still(s))
				x->part[p] = was;
		}
		if (!x->off)
			shrink_parts(s, &x->body);
	}
}

/* What comes behind the packet cannot matter; then half of them, a quarter, ... */
static void shrink_packets(struct shrinker *s)
{
	struct packets *p = &s->t->packets;

	if (s->last.packet + 1 < p->n)
		p->n = s->last.packet + 1;
	for (size_t step = p->n; step; step /= 2) {
		for (size_t at = 0; at < p->n; at += step) {
			size_t n = p->n - at < step ? p->n - at : step;
			bool *was = malloc(n * sizeof(*was));

			if (!was)
				abort();
			memcpy(was, p->off + at, n * sizeof(*was));
			if (memchr(was, 0, n)) {
				memset(p->off + at, 1, n * sizeof(*was));
				if (!still(s))
					memcpy(p->off + at, was, n * sizeof(*was));
			}
			free(was);
		}
	}
}

static void shrink_tables(struct shrinker *s)
{
	for (uint32_t i = 0; i < s->t->rules.ntables; i++) {
		try_off(s, &s->t->rules.table[i].off);
		for (size_t k = 0; k < s->t->rules.table[i].n; k++)
			try_off(s, &s->t->rules.table[i].entry[k].off);
	}
}

static void shrink_changes(struct shrinker *s)
{
	for (size_t i = 0; i < s->t->packets.n; i++) {
		const char **table = &s->t->packets.change[i].table, *was = *table;

		if (!was || s->t->packets.off[i])
			continue;
		*table = NULL;
		if (!still(s))
			*table = was;
	}
}

static void shrink_late(struct shrinker *s)
{
	const char *was = s->t->rules.late_path;

	if (!was)
		return;
	s->t->rules.late_path = NULL;
	if (still(s))
		return;
	s->t->rules.late_path = was;
	shrink_rules(s, &s->t->rules.late);
}

static struct result shrink(struct test *t, struct real *real, const struct result *first)
{
	struct shrinker s = {.t = t, .real = real, .last = *first, .until = now() + SHRINK_SECONDS};

	do {
		s.smaller = false;
		shrink_packets(&s);
		shrink_rules(&s, &t->rules.rules);
		shrink_late(&s);
		shrink_tables(&s);
		shrink_changes(&s);
		shrink_parts(&s, &t->rules.rules);
		shrink_parts(&s, &t->rules.late);
	} while (s.smaller && now() < s.until);
	return s.last;
}

static void show_change(const struct gen_change *c)
{
	char text[PF_IP_STRLEN];

	if (!c->table)
		return;
	pf_ip_format((enum pf_family)c->entry.af, &c->entry.ip, 128, text, sizeof(text));
	printf("  <%s> in or out: %s%s/%u\n", c->table, c->entry.neg ? "!" : "", text,
	       c->entry.bits);
}

static void show(const struct test *t, const struct result *r, uint64_t seed)
{
	text_auto text = print_ruleset(&t->rules, gen_print);
	text_auto late = print_ruleset(&t->rules, gen_print_late);
	char line[1024];

	printf("--- disagreement, -s %llu -n 1, emitter %s%s\n%s", (unsigned long long)seed,
	       pf_emitter_names[t->emitter], is_optimized(t) ? ", optimised" : "", text);
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

static void make_packets(struct rnd *r, const struct gen_ruleset *g, struct packets *p, size_t n)
{
	p->v = calloc(n, sizeof(*p->v));
	p->off = calloc(n, sizeof(*p->off));
	p->change = calloc(n, sizeof(*p->change));
	if (!p->v || !p->off || !p->change)
		abort();
	for (p->n = 0; p->n < n; p->n++) {
		p->change[p->n] = gen_change(r, g);
		p->v[p->n] = p->n && rnd_percent(r, 45) ? gen_follow(r, &p->v[p->n - 1])
							: gen_packet(r, g);
	}
}

static void report(struct run *run, struct test *t, struct result *r, uint64_t seed)
{
	struct result small;

	run->nbad++;
	small = shrink(t, &run->real, r);
	show(t, &small, seed);
}

static void add_tally(struct tally *to, const struct tally *t)
{
	to->judged += t->judged;
	to->by_rule += t->by_rule;
	to->by_state += t->by_state;
	to->by_match += t->by_match;
	to->by_anchor += t->by_anchor;
	to->tagged += t->tagged;
	to->drew += t->drew;
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

static void tell_tally(const struct tally *t, double seconds)
{
	printf("in %.1f s: %llu packets had a rule, %llu through anchors, %llu a state; %llu met "
	       "match rules, %llu had tags, %llu drew numbers\n",
	       seconds, (unsigned long long)t->by_rule, (unsigned long long)t->by_anchor,
	       (unsigned long long)t->by_state, (unsigned long long)t->by_match,
	       (unsigned long long)t->tagged, (unsigned long long)t->drew);
}

static void usage(void)
{
	fputs("usage: diff [-km] [-n RULESETS] [-P PINDIR] [-p PACKETS] [-s SEED] [-t SECONDS]\n",
	      stderr);
	exit(2);
}

static uint64_t fresh_seed(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000000007U ^ (uint64_t)ts.tv_nsec) % 1000000000000U;
}

int main(int argc, char **argv)
{
	struct run run = {.packets = 500, .seed = fresh_seed()};
	struct pf_error_text e = {""};
	double seconds = 0;
	char pin_dir[128];
	int opt, err;

	snprintf(pin_dir, sizeof(pin_dir), "/sys/fs/bpf/pfdiff_%d", (int)getpid());
	while ((opt = getopt(argc, argv, "kmn:P:p:s:t:")) != -1) {
		switch (opt) {
		case 'k':
			run.go_on = true;
			break;
		case 'm':
			model_alone = true;
			break;
		case 'n':
			run.rulesets = strtoull(optarg, NULL, 0);
			break;
		case 'P':
			snprintf(pin_dir, sizeof(pin_dir), "%s", optarg);
			break;
		case 'p':
			run.packets = strtoull(optarg, NULL, 0);
			break;
		case 's':
			run.seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = strtod(optarg, NULL);
			break;
		default:
			usage();
		}
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	pf_libbpf_quiet();
	err = real_open(&run.real, pin_dir, &e);
	if (!err) {
		probe(&run);
		printf("seed %llu\n", (unsigned long long)run.seed);
		fflush(stdout);
		run.until = seconds > 0 ? now() + seconds : 0;
		run_all(&run);
		tell_tally(&run.tally, now() - run.began);
		printf("%llu packets over %llu rulesets, %llu disagreements\n",
		       (unsigned long long)run.tally.judged, (unsigned long long)run.ndone,
		       (unsigned long long)run.nbad);
	} else {
		fprintf(stderr, "diff: %s\n", e.text);
	}
	real_close(&run.real);
	return err || run.nbad;
}
