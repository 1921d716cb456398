// SPDX-License-Identifier: BSD-2-Clause
/* The model's answers and the real ones, side by side. */
#include <bpf/bpf.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

/* What does not fit is cut off: the last byte stays the end of the text. */
static FILE *text_begin(char *buf, size_t size)
{
	FILE *f;

	memset(buf, 0, size);
	f = fmemopen(buf, size - 1, "w");
	if (!f)
		abort();
	return f;
}

/* --- a packet --- */

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
		tell_rule(f, m, number_of(m, a->logs[a->nlogs - 1]));
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

/*
 * Is the frame that left the packet that should have left, byte for byte, checksums too?
 * Of a quote only a part is there: nobody can verify its transport's checksum, and it may be
 * mended or not.  *at: the first byte that is not.
 */
static bool same_frame(const struct model_packet *want, const struct real_answer *got,
		       uint8_t frame[FRAME_MOST], size_t *at)
{
	static const uint8_t nobody[6]; /* who the neighbour is shows later */
	struct model_packet p = *want, left;
	size_t n;

	if (frame_read(got->left, got->nleft, want, &left)) {
		p.quote.sum = left.quote.sum;
		if (p.quote.proto == MODEL_P_UDP)
			p.quote.seq = left.quote.seq;
	}
	n = frame_build(&p, got->verdict == MODEL_AWAY ? nobody : got->sent, frame);
	for (*at = 0; *at < n && *at < got->nleft; ++*at)
		if (frame[*at] != got->left[*at])
			return false;
	return n == got->nleft;
}

static void tell_left(FILE *f, const struct model_answer *want, const struct real_answer *got)
{
	struct model_packet left;
	uint8_t frame[FRAME_MOST];
	char line[512];
	size_t at;

	if (!model_goes_on(want) || want->verdict != got->verdict ||
	    same_frame(&want->out, got, frame, &at))
		return;
	frame_describe(&want->out, line, sizeof(line));
	fprintf(f, "  model: leaves %s\n", line);
	if (!frame_read(got->left, got->nleft, &want->out, &left)) {
		fprintf(f, "  real:  leaves %zu bytes\n", got->nleft);
		return;
	}
	frame_describe(&left, line, sizeof(line));
	fprintf(f, "  real:  leaves %s\n  byte %zu of %zu: model 0x%02x, real 0x%02x\n", line, at,
		got->nleft, frame[at], got->left[at]);
}

void compare_tell(char *buf, size_t size, const struct model *m, const struct model_answer *want,
		  const struct real *real, const struct real_answer *got)
{
	FILE *f = text_begin(buf, size);

	tell_want(f, m, want);
	tell_got(f, m, real, got);
	tell_left(f, want, got);
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
	return number_of(m, want->logs[want->nlogs - 1]) == got->logged_rule;
}

static bool leave_alike(const struct model_answer *want, const struct real_answer *got)
{
	uint8_t frame[FRAME_MOST];
	size_t at;

	return !model_goes_on(want) || same_frame(&want->out, got, frame, &at);
}

static bool same_gateway(const struct pf_pool_host *want, const struct pf_hop *got)
{
	return memcmp(want->host.ip.b, &got->addr, sizeof(got->addr)) == 0 &&
	       want->host.af == got->af && got->ifindex == if_nametoindex(want->ifname);
}

bool compare_packet(const struct test *t, const struct model *m, const struct model_answer *want,
		    const struct real *real, const struct real_answer *got)
{
	if (want->verdict != got->verdict || want->icmp != got->icmp)
		return false;
	if (want->verdict == MODEL_AWAY &&
	    !same_gateway(want->gateway, &real->dp.opt_sets[got->hop].hop))
		return false;
	/* a drop before the rules may be logged, as no rule's */
	if (want->from_rules != got->from_rules && want->verdict != MODEL_DROP)
		return false;
	if (live_states(m) != real->dp.status->states || !leave_alike(want, got))
		return false;
	if (is_optimized(t))
		return true;
	if (!logs_agree(m, want, got))
		return false;
	if (!want->from_rules || gave_up(want))
		return true;
	return walks_agree(m, want, got);
}

/* --- what is left at the end --- */

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

static bool same_sctp(const struct model_state *want, const struct pf_state *got)
{
	for (int i = 0; i < 2; i++) {
		const struct model_peer *w = &want->peer[i];

		if (got->peer_state[i] != w->state || got->peer[i].seqlo != w->seqlo)
			return false;
	}
	return got->timeout == PFTM_SCTP_FIRST_PACKET + want->sctp_time;
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

static uint8_t other_dir(uint8_t dir)
{
	return dir == PF_IN ? PF_OUT : PF_IN;
}

/* Where it holds, how it is looked after, and how long it lives. */
static bool same_options(const struct real *real, const struct model_state *want,
			 const struct pf_state *got)
{
	const struct pf_state_opts *o = pf_rule_ext_of(want->rule)->state;
	const struct pf_opt_set *set = &real->dp.opt_sets[got->peer[0].opts];
	char name[IF_NAMESIZE] = "";

	if (got->flags & PF_SF_IFBOUND && !if_indextoname(got->ifindex, name))
		return false;
	if (strcmp(name, want->ifname ? want->ifname : "") != 0 ||
	    !(got->flags & PF_SF_SLOPPY) != !want->sloppy)
		return false;
	if (want->gateway ? got->route != (want->gateway_from ? other_dir(got->dir) : got->dir) ||
				    !same_gateway(want->gateway, &set->hop)
			  : got->route || set->hop.af)
		return false;
	for (int i = 0; i < PF_TIMEOUT_MAX; i++) {
		uint32_t n = o ? o->timeout[i] : 0;

		if (i != PF_TIMEOUT_ADAPTIVE_START && i != PF_TIMEOUT_ADAPTIVE_END)
			n = pf_datapath_ticks(&real->dp, n);
		if (set->timeout[i] != n)
			return false;
	}
	return set->max == (o ? o->max : 0);
}

static bool same_state(const struct test *t, const struct real *real, const struct model *m,
		       const struct model_state *want, const struct pf_state *got)
{
	const struct model_key wire = real_key(&got->key), stack = real_key(&got->stack);

	if (!model_same_key(&wire, &want->key[MODEL_WIRE]) ||
	    !model_same_key(&stack, &want->key[MODEL_STACK]))
		return false;
	for (int i = 0; i < 2; i++)
		if (got->peer[i].packets != want->peer[i].packets)
			return false;
	if (wire.proto == MODEL_P_TCP && !same_tcp(want, got))
		return false;
	if (!same_options(real, want, got))
		return false;
	if (wire.proto == MODEL_P_SCTP && !same_sctp(want, got))
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

static bool compare_limiters(const struct real *real, const struct model *m, struct result *r)
{
	for (size_t i = 0; i < m->rs->nlimiters; i++) {
		const struct pf_limiter_def *d = &m->rs->limiters[i];
		uint32_t at = (d->source ? PF_SOURCE_LIMITERS : 0U) + d->id;

		if (model_limiter_states(m, d) == real->dp.limiters[at].inuse)
			continue;
		snprintf(r->text, sizeof(r->text),
			 "  at the end states of limiter %s: model %zu, real %u\n", d->name,
			 model_limiter_states(m, d), real->dp.limiters[at].inuse);
		return false;
	}
	return true;
}

/* Their number has been compared already. */
bool compare_states(const struct test *t, const struct real *real, const struct model *m,
		    struct result *r)
{
	if (model_nodes(m, NULL) != real->dp.status->sources) {
		snprintf(r->text, sizeof(r->text), "  at the end sources: model %zu, real %u\n",
			 model_nodes(m, NULL), real->dp.status->sources);
		return false;
	}
	if (!compare_limiters(real, m, r))
		return false;
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

/* Why packets were dropped, as far as the model has pf's own reasons. */
bool compare_reasons(const struct real_reasons *before, const struct real_reasons *after,
		     const uint64_t want[MODEL_REASONS], struct result *r)
{
	static const struct {
		enum model_reason model;
		enum pf_reason real;
		const char *name;
	} reasons[] = {
		{MODEL_R_FRAG, PFRES_FRAG, "fragment"},
		{MODEL_R_SHORT, PFRES_SHORT, "short"},
		{MODEL_R_NORM, PFRES_NORM, "normalize"},
		{MODEL_R_IPOPTION, PFRES_IPOPTIONS, "ip-option"},
		{MODEL_R_BADSTATE, PFRES_BADSTATE, "state-mismatch"},
		{MODEL_R_STATEINS, PFRES_STATEINS, "state-insert"},
		{MODEL_R_TRANSLATE, PFRES_TRANSLATE, "translate"},
		{MODEL_R_MAXSTATES, PFRES_MAXSTATES, "state-limit"},
		{MODEL_R_SRCLIMIT, PFRES_SRCLIMIT, "src-limit"},
		{MODEL_R_NOROUTE, PFRES_NOROUTE, "no-route"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		enum pf_reason k = reasons[i].real;
		uint64_t got = after->n[k] - before->n[k];

		if (want[reasons[i].model] == got)
			continue;
		snprintf(r->text, sizeof(r->text),
			 "  at the end packets dropped for reason %s: model %llu, real %llu\n",
			 reasons[i].name, (unsigned long long)want[reasons[i].model],
			 (unsigned long long)got);
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
	FILE *f = text_begin(buf, size);

	fprintf(f, "  at the end rule %zu has, in the model and really, evaluations %llu %llu, ",
		nr, (unsigned long long)want->evaluations, (unsigned long long)evaluations);
	for (int i = 0; i < 2; i++)
		fprintf(f, "packets %s %llu %llu, ", i ? "out" : "in",
			(unsigned long long)want->packets[i], (unsigned long long)got->packets[i]);
	fprintf(f, "states %llu %llu\n", (unsigned long long)want->states,
		(unsigned long long)got->states);
	fclose(f);
}

/* How many states a rule with a limit has, as the datapath counts them. */
static bool same_limit(const struct real *real, const struct model *m, size_t rule)
{
	const struct pf_state_opts *o = pf_rule_ext_of(real->active->policy->rules[rule])->state;
	uint32_t id = real->active->rule_ids[rule], want = 0;
	const bool nodes = o && o->source_track == PF_TRACK_RULE;
	const struct pf_rule *of = NULL;
	struct pf_rule_count got;
	bool found;

	if (!o || (!o->max && !nodes))
		return true;
	for (size_t i = 0; i < m->nstates; i++) {
		if (m->states[i].dead || number_of(m, m->states[i].rule) != real->nr_of[rule])
			continue;
		of = m->states[i].rule;
		want++;
	}
	found = !bpf_map_lookup_elem(pf_datapath_map(&real->dp, "pf_rule_states"), &id, &got);
	return found && got.states == want && got.nodes == (nodes && of ? model_nodes(m, of) : 0);
}

bool compare_counts(struct real *real, const struct model *m, struct result *r)
{
	uint64_t *evals;
	struct pf_rule_stats *stats = real_stats(real, &evals);
	bool same = true;

	for (size_t i = 0; i < real->active->policy->nrules && same; i++) {
		const struct model_count *want;

		if (real->active->policy->rules[i] == &pf_policy_dead)
			continue;
		if (real->nr_of[i] == REAL_UNKNOWN) {
			snprintf(r->text, sizeof(r->text),
				 "  the model does not have the rules at \"%s\"\n",
				 real->active->policy->sets[real->active->policy->set_of[i]].path);
			same = false;
			break;
		}
		want = &m->counts[real->nr_of[i]];
		same = same_count(real, want, &stats[i], evals[i]) && same_limit(real, m, i);
		if (!same)
			tell_count(r->text, sizeof(r->text), real->nr_of[i], want, &stats[i],
				   evals[i]);
	}
	free(stats);
	free(evals);
	return same;
}
