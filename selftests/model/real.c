// SPDX-License-Identifier: BSD-2-Clause
#include "real.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/model.h"
#include "../../loader/kill.h"
#include "../../loader/limiters.h"
#include "../../loader/pin.h"
#include "../../loader/states.h"

#define STATES	     8192
#define NO_RULE	     0xfffffffeU /* in scratch memory, where no rules have been walked */
#define VERDICT_NEXT (-1)
#define VERDICT_SHOT 2
#define VERDICT_AWAY 7 /* redirected: an answer */

/* --- interfaces --- */

static int command(const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status ? -EIO : 0;
}

/* The fourth one's number is beyond those that the programs keep in an array. */
static int make_interfaces(struct real *r)
{
	for (int i = 0; i < GEN_IFACES; i++) {
		const char *name = gen_ifaces[i];
		char mac[32], peer[32], index[16];
		int err;

		if (strcmp(name, "lo") != 0) {
			r->mac[i][0] = 2;
			r->mac[i][5] = (uint8_t)(i + 1);
			snprintf(mac, sizeof(mac), "02:00:00:00:00:%02x", i + 1);
			snprintf(peer, sizeof(peer), "%s-p", name);
			snprintf(index, sizeof(index), "%d", i == 3 ? 70000 : 10 + i);
			err = command((const char *[]){"ip", "link", "add", name, "index", index,
						       "address", mac, "type", "veth", "peer",
						       "name", peer, NULL});
			if (err)
				return err;
		}
		r->ifindex[i] = (int)if_nametoindex(name);
		if (!r->ifindex[i])
			return -errno;
	}
	return 0;
}

/* Scratch memory is per CPU: we stay on one. */
static int stay_here(struct real *r)
{
	cpu_set_t set;
	int n, which;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	n = CPU_COUNT(&set);
	which = (int)(getpid() % n);
	for (r->cpu = 0; !CPU_ISSET(r->cpu, &set) || which--; r->cpu++)
		;
	CPU_ZERO(&set);
	CPU_SET(r->cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/* --- life --- */

static int open_scratch(struct real *r)
{
	r->scratch = pf_datapath_map(&r->dp, "pf_scratch");
	r->scratch_size = (sizeof(struct pf_pkt) + 7) / 8 * 8;
	r->before = calloc((size_t)r->dp.ncpus, r->scratch_size);
	r->after = calloc((size_t)r->dp.ncpus, r->scratch_size);
	if (!r->before || !r->after)
		return -ENOMEM;
	for (int i = 0; i < r->dp.ncpus; i++) {
		struct pf_pkt *p = (struct pf_pkt *)(r->before + (size_t)i * r->scratch_size);

		p->rule.id = p->logged.id = NO_RULE;
	}
	return 0;
}

/* As pfd does, for options that are never set here. */
static void configure(struct real *r)
{
	struct pf_options o;

	pf_options_init(&o);
	pf_options_finish(&o);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++) {
		bool count = i == PF_TIMEOUT_ADAPTIVE_START || i == PF_TIMEOUT_ADAPTIVE_END;

		r->dp.config->timeout[i] = count ? 0
						 : 1000 * pf_datapath_ticks(&r->dp, o.timeout[i]);
	}
	/* nothing ends while we look elsewhere, not even what adaptive timeouts leave no time */
	r->dp.config->sweep_slice = 0;
	r->dp.config->source_limit = PF_SOURCES_MOST;
	r->tables.limit_tables = PF_MAX_TABLES;
	r->tables.limit_entries = 1000000;
}

int real_open(struct real *r, const char *pin_dir, struct pf_error_text *e)
{
	int err;

	memset(r, 0, sizeof(*r));
	r->loop.epoll_fd = r->ifs.source.fd = -1;
	if (access(pin_dir, F_OK) == 0)
		return pf_fail(e, -EEXIST, "%s is there already", pin_dir);
	if (unshare(CLONE_NEWNET))
		return pf_fail(e, -errno, "cannot make a network namespace: %s", strerror(errno));
	err = make_interfaces(r);
	if (err)
		return pf_fail(e, err, "cannot make interfaces: %s", strerror(-err));
	err = stay_here(r);
	if (!err)
		err = pf_loop_init(&r->loop);
	if (err)
		return pf_fail(e, err, "cannot begin: %s", strerror(-err));
	snprintf(r->pin_dir, sizeof(r->pin_dir), "%s", pin_dir);
	err = pf_pin_prepare(pin_dir, e);
	if (!err)
		err = pf_datapath_open(&r->dp, pin_dir, STATES, e);
	if (!err)
		err = pf_netifs_open(&r->ifs, &r->loop, NULL, NULL, e);
	if (err)
		return err;
	r->ifs.egress = &r->egress;
	err = pf_tables_open(&r->tables, &r->dp, e);
	if (err)
		return err;
	err = pf_generations_open(&r->gens, &r->dp, &r->tables, &r->ifs, e);
	if (err)
		return err;
	configure(r);
	err = open_scratch(r);
	return err ? pf_fail(e, err, "out of memory") : 0;
}

void real_close(struct real *r)
{
	struct pf_error_text e;

	free(r->nr_of);
	pf_generation_destroy(&r->gens, r->active);
	pf_generations_close(&r->gens);
	pf_tables_close(&r->tables);
	pf_netifs_close(&r->ifs, &r->loop);
	pf_datapath_close(&r->dp);
	pf_loop_close(&r->loop);
	if (*r->pin_dir)
		pf_datapath_unpin(r->pin_dir, &e);
	free(r->before);
	free(r->after);
}

/* --- rulesets --- */

/* By way of its encoding, as rules come to pfd. */
static int copy_ruleset(const struct pf_ruleset *rs, struct pf_ruleset **out,
			struct pf_error_text *e)
{
	pf_buf_auto b = {0};
	char why[256] = "";
	int err;

	pf_model_encode(rs, &b);
	err = pf_model_decode(b.data, b.len, out, why, sizeof(why));
	return err ? pf_fail(e, err, "decoding: %s", why) : 0;
}

static const struct model_ruleset *ruleset_at(const struct model *m, const char *path)
{
	for (size_t i = 0; i < m->nrulesets; i++)
		if (strcmp(m->rulesets[i].path, path) == 0)
			return &m->rulesets[i];
	return NULL;
}

/* Both know a ruleset by its path, and its rules in their order. */
int real_number(struct real *r, const struct model *m)
{
	const struct pf_policy *p = r->active->policy;

	free(r->nr_of);
	r->nr_of = calloc(p->nrules + 1, sizeof(*r->nr_of));
	if (!r->nr_of)
		return -ENOMEM;
	for (size_t s = 0; s < p->nsets; s++) {
		const struct model_ruleset *in = ruleset_at(m, p->sets[s].path);

		if (in && in->block->list[PF_LIST_FILTER].n != p->sets[s].n)
			in = NULL;
		for (uint32_t i = 0; i < p->sets[s].n; i++)
			r->nr_of[p->sets[s].first + i] = in ? (uint32_t)in->first + i
							    : REAL_UNKNOWN;
	}
	return 0;
}

uint32_t real_rule(const struct real *r, uint32_t id)
{
	uint32_t i;

	if (id == PF_RULE_DEFAULT)
		return REAL_NONE;
	i = pf_generation_rule(r->active, id);
	return i == UINT32_MAX || !r->nr_of ? REAL_UNKNOWN : r->nr_of[i];
}

static int load_in_place(struct real *r, const char *path, struct pf_ruleset *rs,
			 struct pf_error_text *e)
{
	struct pf_patch patch;
	int err = pf_generation_patch(&r->gens, r->active, path, rs, &patch, e);

	if (err)
		return err;
	r->patched++;
	r->patched_nats += r->active->code->nnats > patch.code.from.nats;
	pf_patch_free(&r->gens, &patch);
	return 0;
}

static int load_anew(struct real *r, const char *path, struct pf_ruleset *rs,
		     enum pf_emitter emitter, struct pf_error_text *e)
{
	struct pf_generation *gen = NULL;
	int err;

	r->gens.emitter = emitter;
	err = pf_generation_make(&r->gens, path, rs, *path ? r->active : NULL, &gen, e);
	if (err)
		return err;
	err = pf_limiters_define(&r->tables, gen, e);
	if (!err)
		err = pf_generation_switch(&r->gens, gen, e);
	if (err) {
		pf_generation_destroy(&r->gens, gen);
		return err;
	}
	pf_generation_destroy(&r->gens, r->active);
	r->active = gen;
	return 0;
}

static void drop_translation(struct pf_ruleset *rs, struct pf_rule *r)
{
	struct pf_rule_ext *x;

	if (!pf_rule_ext_of(r)->nat && !pf_rule_ext_of(r)->rdr)
		return;
	x = pf_arena_alloc(&rs->arena, sizeof(*x));
	if (!x)
		abort();
	*x = *r->x;
	x->nat = x->rdr = NULL;
	r->x = x;
}

/*
 * The same rules the wrong way round, so that there is something to be replaced; some
 * without what they translate, which is then new.
 */
static int load_reversed(struct real *r, const char *path, const struct pf_ruleset *rs,
			 enum pf_emitter emitter, struct pf_error_text *e)
{
	struct pf_ruleset *copy = NULL;
	int err = copy_ruleset(rs, &copy, e);
	struct pf_rule_list *l;

	if (err)
		return err;
	l = &copy->main.list[PF_LIST_FILTER];
	for (size_t i = 0; i < l->n / 2; i++) {
		struct pf_rule rule = l->v[i];

		l->v[i] = l->v[l->n - 1 - i];
		l->v[l->n - 1 - i] = rule;
	}
	for (size_t i = 0; i < l->n && l->n % 2; i++)
		drop_translation(copy, &l->v[i]);
	return load_anew(r, path, copy, emitter, e);
}

int real_load(struct real *r, const char *path, const struct pf_ruleset *rs,
	      enum pf_emitter emitter, struct pf_error_text *e)
{
	struct pf_ruleset *copy = NULL;
	int err;

	free(r->nr_of);
	r->nr_of = NULL; /* until real_number() */
	err = *path ? load_reversed(r, path, rs, emitter, e) : 0;
	if (!err)
		err = copy_ruleset(rs, &copy, e);
	if (err)
		return err;
	err = *path ? load_in_place(r, path, copy, e) : -EOPNOTSUPP;
	return err == -EOPNOTSUPP ? load_anew(r, path, copy, emitter, e) : err;
}

int real_change(struct real *r, const char *table, const struct pf_table_entry *entry, bool add,
		struct pf_error_text *e)
{
	struct pf_binding *b = pf_generation_table(r->active, "", table);
	struct pf_wire_entry w = {.af = entry->af, .bits = entry->bits, .neg = entry->neg};
	struct pf_table_result result = {0};

	if (!b)
		return 0;
	memcpy(w.addr, entry->ip.b, sizeof(w.addr));
	if (add)
		return pf_table_add(&r->tables, b->table, &w, 1, false, &result, e);
	return pf_table_delete(&r->tables, b->table, &w, 1, false, &result, e);
}

/* Without states as well they would remember that they are in a table. */
static void forget_limited(const struct real *r)
{
	int map = pf_datapath_map(&r->dp, "pf_limited");
	struct pf_src_key key;

	while (bpf_map_get_next_key(map, NULL, &key) == 0)
		if (!pf_datapath_forget_limited(&r->dp, &key))
			break;
}

void real_flush(struct real *r)
{
	uint32_t n;

	if (pf_states_kill(&r->dp, &(struct pf_kill){.ports = false}, &n))
		abort();
	forget_limited(r);
}

struct pf_rule_stats *real_stats(struct real *r, uint64_t **evaluations)
{
	size_t n = r->active->policy->nrules;
	struct pf_rule_stats *stats = calloc(n + 1, sizeof(*stats));
	uint64_t *evals = calloc(n + 1, sizeof(*evals));

	if (!stats || !evals || pf_generation_stats(&r->gens, r->active, stats, evals))
		abort();
	pf_states_add_to_rules(&r->dp, r->active, stats);
	*evaluations = evals;
	return stats;
}

uint64_t real_logged(const struct real *r)
{
	return pf_datapath_counter(&r->dp, PF_CNT_LOGGED);
}

struct real_reasons real_reasons(const struct real *r)
{
	struct real_reasons now;

	for (int i = 0; i < PFRES_MAX; i++)
		now.n[i] = pf_datapath_counter(&r->dp, (enum pf_counter)(PF_CNT_REASON + i));
	return now;
}

/* --- packets --- */

static int iface_nr(const char *name)
{
	for (int i = 0; i < GEN_IFACES; i++)
		if (name && strcmp(gen_ifaces[i], name) == 0)
			return i;
	return -1;
}

static enum model_verdict verdict_of(int retval, const struct pf_pkt *p, bool loopback)
{
	if (retval == VERDICT_SHOT)
		return MODEL_DROP;
	if (retval != VERDICT_AWAY && !(retval == VERDICT_NEXT && loopback && p->answer))
		return MODEL_PASS;
	if (p->answer == PF_ANSWER_NONE)
		return MODEL_AWAY;
	if (p->answer == PF_ANSWER_ICMP)
		return MODEL_ICMP;
	if (p->answer == PF_ANSWER_SCTP)
		return MODEL_ABORT;
	return p->answer_flags & TH_RST ? MODEL_RST : MODEL_ACK;
}

/* What a packet has asked for is done a moment later. */
static void wait_for_flush(const struct real *r)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	const struct pf_status *st = r->dp.status;

	while (__atomic_load_n(&st->flush_asked, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&st->flush_on, __ATOMIC_SEQ_CST))
		nanosleep(&ms, NULL);
}

/* As pfd does, though later: sources that have fallen leave the tables of limiters. */
static int let_out(struct real *r)
{
	struct pf_error_text e;
	uint64_t said = 0;

	for (uint32_t i = PF_SOURCE_LIMITERS; i < PF_LIMITERS; i++)
		said += r->dp.limiters[i].leaves;
	if (said == r->leaves)
		return 0;
	r->leaves = said;
	return pf_limiters_let_out(&r->tables, &e);
}

/* The default route leads there from now on. */
static void lead(struct real *r, const char *name)
{
	const int nr = iface_nr(name), to = nr < 0 ? 0 : r->ifindex[nr];

	if (r->hop.index == to)
		return;
	r->hop.index = to;
	r->egress.hops.v = &r->hop;
	r->egress.hops.n = to != 0;
	for (const struct pf_netif *i = r->ifs.first; i; i = i->next)
		if (pf_program_netif(&r->active->program, r->active->code, &r->ifs, i, false))
			abort();
}

int real_run(struct real *r, const struct model_packet *p, struct real_answer *a)
{
	static const uint8_t gateway[6] = {2, 0, 0, 0, 0xff, 2};
	const int nr = iface_nr(p->ifname), received = iface_nr(p->received);
	const bool in = p->dir == PF_RULE_IN;
	const struct pf_pkt *pkt;
	struct __sk_buff ctx = {0};
	LIBBPF_OPTS(bpf_test_run_opts, o, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .data_in = a->sent, .data_out = a->left, .data_size_out = sizeof(a->left),
		    .repeat = 1);
	uint32_t zero = 0;
	int err;

	lead(r, p->egress);
	ctx.ifindex = (uint32_t)r->ifindex[nr];
	ctx.ingress_ifindex = received < 0 ? 0 : (uint32_t)r->ifindex[received];
	a->nsent = frame_build(p, in ? r->mac[nr] : gateway, a->sent);
	o.data_size_in = (uint32_t)a->nsent;
	r->dp.config->random_seed = p->seed;
	err = bpf_map_update_elem(r->scratch, &zero, r->before, BPF_ANY);
	if (!err)
		err = bpf_prog_test_run_opts(
			pf_datapath_hook(&r->dp, in ? PF_HOOK_IN : PF_HOOK_OUT), &o);
	if (!err)
		err = bpf_map_lookup_elem(r->scratch, &zero, r->after);
	if (err)
		return err;
	wait_for_flush(r);
	err = let_out(r);
	if (err)
		return err;
	pkt = (const struct pf_pkt *)(r->after + (size_t)r->cpu * r->scratch_size);
	a->verdict = verdict_of((int)o.retval, pkt, strcmp(p->ifname, "lo") == 0);
	a->hop = pkt->hop % PF_MAX_OPT_SETS;
	a->icmp = a->verdict == MODEL_ICMP ? pkt->answer_icmp : 0;
	a->from_rules = pkt->rule.id != NO_RULE;
	a->rule = real_rule(r, pkt->rule.id);
	a->logged = pkt->logged.id != NO_RULE;
	a->logged_rule = real_rule(r, pkt->logged.id);
	a->anchor = real_rule(r, pkt->rule.anchor);
	a->nmatches = pkt->nmatched < PF_MATCH_MOST ? pkt->nmatched : PF_MATCH_MOST;
	for (uint32_t i = 0; i < a->nmatches; i++)
		a->match[i] = real_rule(r, pkt->matched[i].id);
	a->tag = pf_tag_name(&r->gens.tags, pkt->tag);
	a->draws = pkt->draws;
	a->nleft = o.data_size_out;
	return 0;
}
