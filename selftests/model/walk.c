// SPDX-License-Identifier: BSD-2-Clause
/* The walk through the rules and their anchors, and what comes after it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

const char *const model_verdict_names[] = {
	"pass", "drop", "RST", "ACK", "ICMP", "ABORT", "leaves by a gateway"};

void *model_grow(void *v, size_t n, size_t *capacity, size_t size)
{
	if (n < *capacity)
		return v;
	*capacity = *capacity ? 2 * *capacity : 16;
	v = reallocarray(v, *capacity, size);
	if (!v)
		abort();
	return v;
}

/* --- rulesets by their paths --- */

static char *join_path(const char *path, const char *name)
{
	char *s;

	if (asprintf(&s, "%s%s%s", path, *path ? "/" : "", name) < 0)
		abort();
	return s;
}

static void add_ruleset(struct model *m, char *path, const struct pf_block *b)
{
	const struct pf_rule_list *l = &b->list[PF_LIST_FILTER];
	unsigned int braces = 0;

	m->rulesets = model_grow(m->rulesets, m->nrulesets, &m->rulesets_capacity,
				 sizeof(*m->rulesets));
	m->rulesets[m->nrulesets++] = (struct model_ruleset){path, b, m->nrules, NULL};
	m->nrules += l->n;
	for (size_t i = 0; i < l->n; i++) {
		const struct pf_anchor *a = pf_rule_ext_of(&l->v[i])->anchor;
		char name[32];

		if (!a || !a->block)
			continue;
		if (!a->path) /* those without a name are numbered */
			snprintf(name, sizeof(name), "_%u", ++braces);
		add_ruleset(m, join_path(path, a->path ? a->path : name), a->block);
	}
}

/* The path that a call in the ruleset at `from` means, without a star. */
static char *call_path(const char *from, const char *path)
{
	char *base, *result;

	if (*path == '/')
		return join_path("", path + 1);
	base = strdup(from);
	if (!base)
		abort();
	while (strncmp(path, "../", 3) == 0) {
		char *slash = strrchr(base, '/');

		*(slash ? slash : base) = '\0';
		path += 3;
	}
	result = join_path(base, path);
	free(base);
	return result;
}

/* --- counters --- */

size_t model_rule_nr(const struct model *m, const struct pf_rule *r)
{
	for (size_t i = 0; i < m->nrulesets; i++) {
		const struct pf_rule_list *l = &m->rulesets[i].block->list[PF_LIST_FILTER];

		if (l->n && r >= l->v && r < l->v + l->n)
			return m->rulesets[i].first + (size_t)(r - l->v);
	}
	abort();
}

static struct model_count *count_of(struct model *m, const struct pf_rule *r)
{
	return &m->counts[model_rule_nr(m, r)];
}

void model_count(struct model *m, const struct pf_rule *r, const struct pf_rule *anchor,
		 const struct pf_rule *const *matches, size_t nmatches, uint8_t dir)
{
	const int out = dir == PF_RULE_OUT;

	if (r)
		count_of(m, r)->packets[out]++;
	if (anchor)
		count_of(m, anchor)->packets[out]++;
	for (size_t i = 0; i < nmatches; i++)
		count_of(m, matches[i])->packets[out]++;
}

bool model_is_over(struct model *m, const struct model_state *s, uint8_t dir)
{
	uint32_t limit = s->rule ? pf_rule_ext_of(s->rule)->max_pkt_rate.limit : 0;

	return limit && s->dir == dir && ++count_of(m, s->rule)->met > limit;
}

static void count_packet(struct model *m, const struct model_answer *a, uint8_t dir)
{
	model_count(m, a->rule, a->anchor, a->matches, a->nmatches, dir);
}

static void count_state(struct model *m, const struct model_answer *a)
{
	count_of(m, a->rule)->states++;
	if (a->anchor)
		count_of(m, a->anchor)->states++;
	for (size_t i = 0; i < a->nmatches; i++)
		count_of(m, a->matches[i])->states++;
}

/* --- the walk --- */

struct walk {
	struct model *m;
	struct model_translation *t;
	struct model_answer *a;
	uint32_t set; /* how often the candidate was set */
};

enum step { GO_ON, STOP, TOO_DEEP };

static enum step walk_ruleset(struct walk *w, const struct model_ruleset *in,
			      const struct pf_rule *call, unsigned int depth);

void model_log(struct model *m, struct model_answer *a, const struct pf_rule *r)
{
	m->logs = model_grow(m->logs, a->nlogs, &m->logs_capacity, sizeof(const void *));
	m->logs[a->nlogs++] = r;
	a->logs = m->logs;
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(const struct model_ruleset *const *)a)->path,
		      (*(const struct model_ruleset *const *)b)->path);
}

/* Is it right below the path? */
static bool is_child(const char *path, const char *parent)
{
	size_t n = strlen(parent);

	if (!*path || strncmp(path, parent, n) != 0)
		return false;
	if (n && path[n++] != '/')
		return false;
	return path[n] && !strchr(path + n, '/');
}

static enum step walk_children(struct walk *w, const char *path, const struct pf_rule *call,
			       unsigned int depth)
{
	const struct model_ruleset **v = calloc(w->m->nrulesets, sizeof(const void *));
	enum step s = GO_ON;
	size_t n = 0;

	if (!v)
		abort();
	for (size_t i = 0; i < w->m->nrulesets; i++)
		if (is_child(w->m->rulesets[i].path, path))
			v[n++] = &w->m->rulesets[i];
	qsort(v, n, sizeof(const void *), by_path);
	for (size_t i = 0; i < n && s == GO_ON; i++)
		s = walk_ruleset(w, v[i], call, depth);
	free(v);
	return s;
}

static enum step walk_called(struct walk *w, const struct model_ruleset *from,
			     const struct pf_rule *call, const struct pf_anchor *anchor,
			     unsigned int depth)
{
	char *path = call_path(from->path, anchor->path);
	size_t len = strlen(path);
	enum step s = GO_ON;

	if (len && path[len - 1] == '*' && (len == 1 || path[len - 2] == '/')) {
		path[len < 2 ? 0 : len - 2] = '\0';
		s = walk_children(w, path, call, depth);
	} else {
		for (size_t i = 0; i < w->m->nrulesets; i++) {
			if (strcmp(w->m->rulesets[i].path, path) != 0)
				continue;
			s = walk_ruleset(w, &w->m->rulesets[i], call, depth);
			break;
		}
	}
	free(path);
	return s;
}

static enum step walk_anchor(struct walk *w, const struct model_ruleset *from,
			     const struct pf_rule *call, unsigned int depth)
{
	const struct pf_anchor *anchor = call->x->anchor;
	uint32_t before = w->set;
	enum step s = GO_ON;

	if (depth == MODEL_ANCHOR_DEPTH)
		return TOO_DEEP;
	/* braces with a name are called by it: others may stand there by now */
	if (anchor->path)
		s = walk_called(w, from, call, anchor, depth + 1);
	for (size_t i = 0; !anchor->path && i < w->m->nrulesets; i++) {
		if (w->m->rulesets[i].block == anchor->block) {
			s = walk_ruleset(w, &w->m->rulesets[i], call, depth + 1);
			break;
		}
	}
	/* the candidate was set inside */
	if (s == GO_ON && call->quick && w->set != before)
		s = STOP;
	return s;
}

static void add_match(struct walk *w, const struct pf_rule *r)
{
	struct model *m = w->m;

	m->matches = model_grow(m->matches, w->a->nmatches, &m->matches_capacity,
				sizeof(*m->matches));
	m->matches[w->a->nmatches++] = r;
	w->a->matches = m->matches;
	/* for one too many there is no memory: the walk fails */
	if (r->log && w->a->nmatches <= MODEL_MATCHES_MOST)
		model_log(m, w->a, r);
}

static enum step take_rule(struct walk *w, const struct pf_rule *r, const struct pf_rule *call)
{
	if (r->action == PF_RULE_ACTION_MATCH) {
		add_match(w, r);
		if (w->a->nmatches > MODEL_MATCHES_MOST)
			return STOP;
		model_translate(w->t, r, &w->a->draws);
	} else {
		w->a->rule = r;
		w->a->anchor = call;
		w->set++;
	}
	return r->quick ? STOP : GO_ON;
}

/* The last question: one packet more, which is counted once however often the rules are walked. */
static bool is_over_rate(const struct model *m, const struct pf_rule *r, struct model_count *c)
{
	const uint32_t limit = pf_rule_ext_of(r)->max_pkt_rate.limit;

	if (!limit)
		return false;
	c->met += !m->repeats;
	return c->met > limit;
}

/* A rule whose criteria are met. */
static enum step enter_rule(struct walk *w, const struct model_ruleset *in, const struct pf_rule *r,
			    const struct pf_rule *call, unsigned int depth)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	switch (model_limits(w->m, r, &w->a->reason)) {
	case MODEL_LIMITS_ROOM:
		break;
	case MODEL_LIMITS_MISS:
		w->a->reason = MODEL_R_MATCH;
		return GO_ON;
	case MODEL_LIMITS_BLOCK:
		w->a->rule = r;
		w->a->anchor = call;
		w->a->limited = true;
		return STOP;
	}
	if (is_over_rate(w->m, r, count_of(w->m, r)))
		return GO_ON;
	if (x->tag)
		w->a->tag = x->tag;
	if (x->once) {
		count_of(w->m, r)->taken_by = w->m->npackets;
		count_of(w->m, r)->taken_in = w->m->repeats;
	}
	return x->anchor ? walk_anchor(w, in, r, depth) : take_rule(w, r, call);
}

/* One that has matched `once' is no more; when a walk is repeated, what it took is its own. */
static bool has_expired(const struct model *m, const struct model_count *c)
{
	return c->taken_by && (c->taken_by != m->npackets || c->taken_in == m->repeats);
}

/*
 * Rules that skip steps leave out are asked, too: they cannot match, and their
 * evaluations do not count.
 */
static enum step walk_ruleset(struct walk *w, const struct model_ruleset *in,
			      const struct pf_rule *call, unsigned int depth)
{
	const struct pf_rule_list *l = &in->block->list[PF_LIST_FILTER];
	const struct pf_rule *missed = NULL;
	enum model_miss why = MODEL_HIT;
	enum step s = GO_ON;

	for (size_t i = 0; i < l->n && s == GO_ON; i++) {
		const struct pf_rule *r = &l->v[i];
		bool skipped = missed && model_same_question(why, missed, r);
		struct model_count *count = &w->m->counts[in->first + i];
		enum model_miss miss;

		if (++w->a->steps > MODEL_STEPS_MOST)
			return TOO_DEEP;
		if (has_expired(w->m, count)) {
			missed = skipped ? missed : NULL;
			continue;
		}
		miss = model_ask(w->m, in, r, &w->t->now, w->a->tag, &w->a->draws);
		if (miss == MODEL_HIT && skipped)
			abort();
		if (skipped)
			continue;
		missed = miss < MODEL_MISS ? r : NULL;
		why = miss;
		count->evaluations++;
		if (miss == MODEL_HIT)
			s = enter_rule(w, in, r, call, depth);
	}
	return s;
}

bool model_walk(struct model *m, struct model_translation *t, struct model_answer *a)
{
	struct walk w = {.m = m, .t = t, .a = a};

	a->from_rules = true;
	return walk_ruleset(&w, &m->rulesets[0], NULL, 0) != TOO_DEEP;
}

/* --- after the walk --- */

/* RFC 1122 section 3.2.2: nobody is answered by fragments, nor groups and broadcasts. */
static bool may_be_answered(const struct model_packet *p)
{
	if (p->frag != MODEL_WHOLE)
		return false;
	if (p->af == PF_FAMILY_INET6)
		return p->src.b[0] != 0xff && p->dst.b[0] != 0xff;
	return p->src.b[0] < 224 && p->dst.b[0] < 224 && p->src.b[0] && p->dst.b[0];
}

/* Errors and redirects are not answered by errors. */
static bool icmp_may_be_answered(const struct model_packet *p)
{
	if (p->proto == MODEL_P_ICMP6 && p->icmp_type == MODEL_REDIRECT6)
		return false;
	return model_icmp_role(p->af, p->icmp_type) != MODEL_ERROR;
}

static void block(const struct model_packet *p, struct model_answer *a)
{
	const struct pf_rule *r = a->rule;
	uint16_t icmp = p->af == PF_FAMILY_INET ? r->return_icmp : r->return_icmp6;

	a->verdict = MODEL_DROP;
	if (r->block_kind == PF_BLOCK_DROP || !may_be_answered(p))
		return;
	if (p->proto == MODEL_P_TCP && r->block_kind != PF_BLOCK_RETURN_ICMP) {
		if (!(p->flags & TH_RST))
			a->verdict = MODEL_RST;
		return;
	}
	if (p->proto == MODEL_P_SCTP && r->block_kind == PF_BLOCK_RETURN) {
		if (model_sctp_answerable(p))
			a->verdict = MODEL_ABORT;
		return;
	}
	if (r->block_kind == PF_BLOCK_RETURN_RST || !icmp)
		return;
	if (model_is_icmp(p) && !icmp_may_be_answered(p))
		return;
	a->verdict = MODEL_ICMP;
	a->icmp = icmp;
}

static bool keeps_state(const struct pf_rule *r, const struct model_packet *p)
{
	if (!r || !r->keep_state || p->frag == MODEL_FRAG_LATER)
		return false;
	if (p->proto == MODEL_P_ICMP6 && p->icmp_type == MODEL_NA)
		return false;
	return !model_is_icmp(p) || model_icmp_role(p->af, p->icmp_type) != MODEL_ERROR;
}

static void drop(struct model_answer *a, enum model_reason why)
{
	a->verdict = MODEL_DROP;
	a->reason = why;
}

static void pass(struct model *m, const struct model_packet *p, struct model_answer *a)
{
	a->verdict = MODEL_PASS;
	if (a->rule && pf_rule_ext_of(a->rule)->route_kind == PF_ROUTE_TO)
		a->gateway = &pf_rule_ext_of(a->rule)->route->hosts[0];
	count_packet(m, a, p->dir);
	if (a->rule && a->rule->log)
		model_log(m, a, a->rule);
}

/* What is found only when the state is made. */
static bool why_is_later(enum model_settled settled, enum model_reason why)
{
	return settled == MODEL_SETTLED || why == MODEL_R_STATEINS;
}

/* A rule that keeps state passes it.  false: the rules must be asked once more. */
static bool pass_with_state(struct model *m, const struct model_packet *p,
			    struct model_translation *t, struct model_answer *a, bool may_repeat)
{
	enum model_settled settled;
	enum model_reason why;

	settled = model_settle(m, p, a->rule, t, &why);
	if (settled == MODEL_AGAIN && may_repeat)
		return false;
	/* that a port could not be had is known before */
	if (why_is_later(settled, why)) {
		if (model_source_is_full(m, a->rule, p)) {
			settled = MODEL_NO_PLACE;
			why = MODEL_R_SRCLIMIT;
		} else if (model_rule_is_full(m, a->rule)) {
			settled = MODEL_NO_PLACE;
			why = MODEL_R_MAXSTATES;
		}
	}
	if (settled != MODEL_SETTLED) {
		drop(a, why);
		if (a->rule->log)
			model_log(m, a, a->rule);
		return true;
	}
	pass(m, p, a);
	model_copy_ends(&a->out, &t->now);
	model_make_state(m, p, &t->now, a);
	count_state(m, a);
	return true;
}

/* What was translated is undone for all but those that make a state. */
static bool judge_once(struct model *m, const struct model_packet *p, struct model_translation *t,
		       struct model_answer *a, bool may_repeat)
{
	const struct pf_rule *r;

	if (!model_walk(m, t, a)) {
		drop(a, a->steps > MODEL_STEPS_MOST ? MODEL_R_STEPS : MODEL_R_DEPTH);
		return true;
	}
	if (a->nmatches > MODEL_MATCHES_MOST) {
		drop(a, MODEL_R_MATCHES);
		return true;
	}
	r = a->rule;
	if (a->limited) {
		drop(a, a->reason);
		if (r->log)
			model_log(m, a, r);
		return true;
	}
	if (r && r->action == PF_RULE_ACTION_BLOCK) {
		block(p, a);
		count_packet(m, a, p->dir);
		if (r->log)
			model_log(m, a, r);
		return true;
	}
	if (r)
		model_translate(t, r, &a->draws);
	if (p->options && !(r && r->allow_opts)) {
		drop(a, MODEL_R_IPOPTION);
		model_log(m, a, r);
		return true;
	}
	/* it was let through for what it cannot become: there is no state for it */
	if (r && r->keep_state && p->frag == MODEL_FRAG_LATER && !model_same_ends(p, &t->now)) {
		drop(a, MODEL_R_FRAG);
		if (r->log)
			model_log(m, a, r);
		return true;
	}
	if (keeps_state(r, p))
		return pass_with_state(m, p, t, a, may_repeat);
	pass(m, p, a);
	return true;
}

/* Another walk begins anew, but for what has been counted. */
static void forget_walk(struct model_answer *a)
{
	a->matches = a->logs = NULL;
	a->nmatches = a->nlogs = 0;
	a->rule = a->anchor = NULL;
	a->tag = NULL;
	a->draws = 0;
	a->limited = false;
}

static void judge(struct model *m, const struct model_packet *p, struct model_answer *a)
{
	struct model_translation t = {.now = *p};

	m->packet = p;
	for (m->repeats = 0; !judge_once(m, p, &t, a, m->repeats < MODEL_REPEATS_MOST);
	     m->repeats++) {
		forget_walk(a);
		t.now = *p;
		t.nat = NULL;
	}
}

/* --- gateways --- */

bool model_goes_on(const struct model_answer *a)
{
	return a->verdict == MODEL_PASS || a->verdict == MODEL_AWAY;
}

/* What comes in has one hop less; all that are here fit. */
static void send_away(const struct model_packet *p, struct model_answer *a)
{
	if (p->dir == PF_RULE_OUT || p->ttl > 1) {
		a->verdict = MODEL_AWAY;
		a->out.ttl -= p->dir == PF_RULE_IN;
		a->out.vlans = 0;
		return;
	}
	drop(a, MODEL_R_NOROUTE);
	if (!may_be_answered(p) || (model_is_icmp(p) && !icmp_may_be_answered(p)))
		return;
	a->verdict = MODEL_ICMP;
	a->icmp = p->af == PF_FAMILY_INET ? 11 << 8 : 3 << 8;
}

/* --- around it --- */

/* RFC 4861: nobody further away than a link talks of neighbours. */
static bool is_from_afar(const struct model_packet *p)
{
	return p->proto == MODEL_P_ICMP6 && p->frag != MODEL_FRAG_LATER && p->icmp_type >= 133 &&
	       p->icmp_type <= 137 && p->ttl != 255;
}

/* What must not be, of TCP and of neighbours; false: drop.  FIN is taken off a SYN. */
static bool normalise(struct model_packet *p)
{
	const uint8_t f = p->flags;

	if (is_from_afar(p))
		return false;
	if (p->proto != MODEL_P_TCP || p->frag == MODEL_FRAG_LATER)
		return true;
	if ((f & TH_SYN) && (f & TH_RST))
		return false;
	if (!(f & (TH_SYN | TH_ACK | TH_RST)))
		return false;
	if (f & TH_SYN)
		p->flags &= (uint8_t)~TH_FIN;
	return (f & TH_ACK) || !(p->flags & (TH_FIN | TH_PUSH | TH_URG));
}

void model_packet(struct model *m, const struct model_packet *given, struct model_answer *a)
{
	struct model_packet p = *given;

	memset(a, 0, sizeof(*a));
	m->npackets++;
	if (p.proto == MODEL_P_SCTP && p.frag != MODEL_FRAG_LATER && !model_sctp_well_formed(&p)) {
		a->verdict = MODEL_DROP;
		a->reason = MODEL_R_SHORT;
		model_log(m, a, NULL);
		return;
	}
	if (!normalise(&p)) {
		a->verdict = MODEL_DROP;
		a->reason = MODEL_R_NORM;
		model_log(m, a, NULL);
		return;
	}
	a->out = p;
	if (p.frag == MODEL_FRAG_LATER || !model_track(m, &p, a))
		judge(m, &p, a);
	model_limiters_fall(m);
	if (a->verdict == MODEL_PASS && a->gateway)
		send_away(&p, a);
	a->translated = !model_same_ends(given, &a->out) ||
			!model_same_quoted(&given->quote, &a->out.quote);
}

static void make_counts(struct model *m)
{
	free(m->counts);
	m->counts = calloc(m->nrules + 1, sizeof(*m->counts));
	if (!m->counts)
		abort();
}

void model_init(struct model *m, const struct pf_ruleset *rs)
{
	memset(m, 0, sizeof(*m));
	m->rs = rs;
	add_ruleset(m, join_path("", ""), &rs->main);
	make_counts(m);
}

/* Is it in braces without a name, right below the path or in such ones? */
static bool is_nameless_in(const char *path, const char *parent)
{
	size_t n = strlen(parent);

	if (strncmp(path, parent, n) != 0)
		return false;
	if (n && path[n++] != '/')
		return false;
	return path[n] == '_';
}

static bool gives_way(const struct model *m, const struct model_ruleset *old, size_t fresh)
{
	bool gone = false;

	for (size_t i = fresh; i < m->nrulesets; i++) {
		struct model_ruleset *now = &m->rulesets[i];

		if (strcmp(old->path, now->path) == 0)
			now->before = old->block;
		gone |= now->before == old->block || is_nameless_in(old->path, now->path);
	}
	return gone;
}

void model_load_anchor(struct model *m, const char *path, const struct pf_ruleset *rs)
{
	size_t fresh = m->nrulesets, kept = 0;

	add_ruleset(m, join_path("", path), &rs->main);
	for (size_t i = 0; i < m->nrulesets; i++) {
		if (i < fresh && gives_way(m, &m->rulesets[i], fresh)) {
			free(m->rulesets[i].path);
			m->rulesets[i].path = NULL;
		}
	}
	for (size_t i = 0; i < m->nrulesets; i++)
		if (m->rulesets[i].path)
			m->rulesets[kept++] = m->rulesets[i];
	m->nrulesets = kept;
	make_counts(m);
}

void model_free(struct model *m)
{
	for (size_t i = 0; i < m->nrulesets; i++)
		free(m->rulesets[i].path);
	free(m->rulesets);
	for (size_t i = 0; i < m->nstates; i++)
		free(m->states[i].matches);
	free(m->states);
	free(m->held);
	free(m->counts);
	free(m->matches);
	free(m->logs);
}
