// SPDX-License-Identifier: BSD-2-Clause
#include "datapath.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/datapath.skel.h"
#include "bpf/states.skel.h"
#include "copies.h"
#include "netif.h"
#include "pin.h"

#define SWEEP_NS      10000000 /* 10 ms */
#define GRACE_SECONDS 2
#define BUCKETS_LEAST 1024
#define RESTING_LEAST 1024
#define MEMORY_PART   8 /* the table gets an eighth of what is free, at the most */

/*
 * Maps that a restarted pfd needs again; the others are scratch.  The
 * configuration is pinned last: where it stands, all is there.
 */
static const char *const pinned_maps[] = {
	"pf_states",	  "pf_buckets",	      "pf_free",	 "pf_limbo",	   "pf_tcp_locks",
	"pf_status",	  "pf_counters",      "pf_rule_stats",	 "pf_ifaces",	   "pf_scratch",
	"pf_progs",	  "pf_top",	      "pf_log",		 "pf_tables",	   "pf_table_nodes",
	"pf_table_names", "pf_table_anchors", "pf_sweeper",	 "pf_config",	   "pf_match_more",
	"pf_tags",	  "pf_table_delta",   "pf_table_nots",	 "pf_events",	   "pf_opt_sets",
	"pf_rule_states", "pf_sources",	      "pf_flushes",	 "pf_limiters",	   "pf_limited",
	"pf_meters",	  "pf_labels",	      "pf_table_counts", "pf_rule_tables",
};
#define NPINNED (sizeof(pinned_maps) / sizeof(pinned_maps[0]))

static const char *const hook_names[PF_HOOK_MAX] = {
	[PF_HOOK_IN] = "pf_in",		  [PF_HOOK_OUT] = "pf_out",
	[PF_HOOK_IN_L3] = "pf_in_l3",	  [PF_HOOK_OUT_L3] = "pf_out_l3",
	[PF_HOOK_UNKNOWN] = "pf_unknown",
};

static const char *const prog_names[PF_PROG_MAX] = {
	[PF_PROG_SLOW] = "pf_slow",	      [PF_PROG_TRACK] = "pf_track",
	[PF_PROG_ICMP] = "pf_icmp",	      [PF_PROG_ICMP_ERROR] = "pf_icmp_error",
	[PF_PROG_ANSWER] = "pf_answer",	      [PF_PROG_NAT] = "pf_nat",
	[PF_PROG_NAT_ERROR] = "pf_nat_error", [PF_PROG_ROUTE] = "pf_route",
};

int pf_datapath_map(const struct pf_datapath *dp, const char *name)
{
	const struct bpf_map *m = bpf_object__find_map_by_name(dp->skel->obj, name);

	return m ? bpf_map__fd(m) : -ENOENT;
}

static int prog_fd(const struct pf_datapath *dp, const char *name)
{
	const struct bpf_program *p = bpf_object__find_program_by_name(dp->skel->obj, name);

	return p ? bpf_program__fd(p) : -ENOENT;
}

int pf_datapath_hook(const struct pf_datapath *dp, enum pf_hook hook)
{
	return prog_fd(dp, hook_names[hook]);
}

int pf_datapath_apply(const struct pf_datapath *dp)
{
	return prog_fd(dp, "pf_apply");
}

/* --- the clock --- */

/* Jiffies a second: the resolution of the coarse clocks is one jiffy. */
static uint32_t kernel_hz(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) || ts.tv_sec || !ts.tv_nsec)
		return 250;
	return (uint32_t)((1000000000L + ts.tv_nsec / 2) / ts.tv_nsec);
}

uint32_t pf_datapath_ticks(const struct pf_datapath *dp, uint64_t seconds)
{
	const uint64_t tick = 1U << PF_TICK_SHIFT;

	return (uint32_t)((seconds * dp->config->hz + tick - 1) / tick);
}

/* --- running programs by hand --- */

struct run {
	uint32_t cb[5]; /* in and out */
	const void *data;
	uint32_t len;
};

/* The program's return value, or a negative errno. */
static int run(const struct pf_datapath *dp, const char *name, struct run *r)
{
	static const uint8_t frame[64];
	struct __sk_buff ctx = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .ctx_out = &ctx, .ctx_size_out = sizeof(ctx), .data_in = frame,
		    .data_size_in = sizeof(frame), .repeat = 1);
	int err;

	memcpy(ctx.cb, r->cb, sizeof(ctx.cb));
	if (r->data) {
		opts.data_in = r->data;
		opts.data_size_in = r->len;
	}
	err = bpf_prog_test_run_opts(prog_fd(dp, name), &opts);
	if (err)
		return err;
	memcpy(r->cb, ctx.cb, sizeof(ctx.cb));
	return (int)opts.retval;
}

uint64_t pf_datapath_jiffies(const struct pf_datapath *dp)
{
	struct run r = {.cb = {0}};

	if (run(dp, "pf_clock", &r) < 0)
		return 0;
	return r.cb[0] | (uint64_t)r.cb[1] << 32;
}

int pf_datapath_insert(const struct pf_datapath *dp, const struct pf_state *st, bool fresh)
{
	struct pf_state copy = *st;
	struct run r = {.cb = {fresh}, .data = &copy, .len = sizeof(copy)};

	copy.status = PF_SLOT_EMBRYO;
	return run(dp, "pf_insert", &r);
}

bool pf_datapath_forget_source(const struct pf_datapath *dp, const struct pf_src_key *key)
{
	struct run r = {.data = key, .len = sizeof(*key)};

	return run(dp, "pf_forget_source", &r) == 1;
}

bool pf_datapath_forget_limited(const struct pf_datapath *dp, const struct pf_src_key *key)
{
	struct run r = {.data = key, .len = sizeof(*key)};

	return run(dp, "pf_forget_limited", &r) == 1;
}

bool pf_datapath_left(const struct pf_datapath *dp, const struct pf_src_key *key)
{
	struct run r = {.data = key, .len = sizeof(*key)};

	return run(dp, "pf_left", &r) == 1;
}

void pf_datapath_sweep(const struct pf_datapath *dp)
{
	struct run r = {.cb = {0}};

	run(dp, "pf_sweep", &r);
}

void pf_datapath_purge(const struct pf_datapath *dp, uint32_t from, uint32_t to)
{
	const uint32_t chunk = 65536;

	for (uint32_t at = from; at < to; at += chunk) {
		struct run r = {.cb = {at, to - at < chunk ? to - at : chunk}};

		run(dp, "pf_purge", &r);
	}
}

uint32_t pf_datapath_tick(const struct pf_datapath *dp)
{
	return (uint32_t)(pf_datapath_jiffies(dp) >> PF_TICK_SHIFT);
}

bool pf_datapath_drain(const struct pf_datapath *dp, uint32_t tick)
{
	struct run r = {.cb = {tick}};

	if (pf_datapath_tick(dp) == tick)
		return false;
	/*
	 * An RCU grace period, and no packet holds one of them any more: they need
	 * not rest.  It begins in a later tick than the last of which slots are given
	 * back, for packets and the sweep end states meanwhile.  Without the system call
	 * all of them rest as others do.
	 */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0)
		run(dp, "pf_drain", &r);
	return true;
}

uint64_t pf_datapath_counter(const struct pf_datapath *dp, uint32_t which)
{
	uint64_t sum = 0, *v = calloc((size_t)dp->ncpus, sizeof(*v));

	if (v && bpf_map_lookup_elem(pf_datapath_map(dp, "pf_counters"), &which, v) == 0)
		for (int i = 0; i < dp->ncpus; i++)
			sum += v[i];
	free(v);
	return sum;
}

/* --- making it --- */

/*
 * Slots beyond the limit are for states that have died and rest for the grace
 * period: a twentieth, and some.
 */
static uint32_t slots_for(uint32_t states)
{
	return states + states / 20 + RESTING_LEAST;
}

/*
 * Three for four states.  If all of them are translated that is 2.7 keys for the 8 places
 * of a bucket, and when the table is full about three in a million find both buckets full.
 */
static uint32_t buckets_for(uint32_t states)
{
	uint32_t n = states / 4 * 3;

	return n > BUCKETS_LEAST ? n : BUCKETS_LEAST;
}

uint32_t pf_datapath_capacity(const struct pf_datapath *dp)
{
	uint32_t slots = dp->config->slots - RESTING_LEAST;

	/* what slots_for() was given: its rounding down is undone by rounding up */
	return (uint32_t)(((uint64_t)slots * 20 + 20) / 21);
}

/* Bytes of memory that can be had without swapping, proc_meminfo(5); 0: unknown. */
static uint64_t memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kb = 0;
	char line[128];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
			break;
	fclose(f);
	return kb * 1024;
}

uint32_t pf_datapath_affordable(uint32_t states)
{
	/* slots with their place in the two queues; buckets */
	const uint64_t each =
		(sizeof(struct pf_state) + sizeof(struct pf_limbo_entry) + sizeof(uint32_t)) * 21 /
			20 +
		sizeof(struct pf_bucket) * 3 / 4;
	uint64_t most = memory_available() / MEMORY_PART / each;

	return most && states > most ? (uint32_t)most : states;
}

static int size_maps(struct pf_datapath *dp, uint32_t states)
{
	struct pf_datapath_skel *s = dp->skel;
	int err = bpf_map__set_max_entries(s->maps.pf_states, slots_for(states));

	if (!err)
		err = bpf_map__set_max_entries(s->maps.pf_free, slots_for(states));
	if (!err)
		err = bpf_map__set_max_entries(s->maps.pf_limbo, slots_for(states));
	if (!err)
		err = bpf_map__set_max_entries(s->maps.pf_buckets, buckets_for(states));
	if (!err)
		err = bpf_map__set_max_entries(s->maps.pf_events, (uint32_t)dp->ncpus);
	return err;
}

static int random_bytes(void *p, size_t len)
{
	return getrandom(p, len, 0) == (ssize_t)len ? 0 : -EIO;
}

/* Opens the pinned map of that name into the skeleton's. */
static int reuse_map(struct pf_datapath *dp, const char *name)
{
	struct bpf_map *m = bpf_object__find_map_by_name(dp->skel->obj, name);
	char path[512];
	int fd, err;

	snprintf(path, sizeof(path), "%s/maps/%s", dp->pin_dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	err = bpf_map__reuse_fd(m, fd);
	close(fd);
	return err;
}

/* The configuration that an earlier pfd has left, before anything is loaded. */
static int read_config(const char *pin_dir, struct pf_config *out)
{
	char path[512];
	uint32_t zero = 0;
	int fd, err;

	snprintf(path, sizeof(path), "%s/maps/pf_config", pin_dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	/* the version stands first in every version */
	memset(out, 0, sizeof(*out));
	{
		struct bpf_map_info info = {0};
		uint32_t len = sizeof(info);
		uint8_t *value;

		err = bpf_obj_get_info_by_fd(fd, &info, &len);
		value = err ? NULL : calloc(1, info.value_size);
		if (!err && !value)
			err = -ENOMEM;
		if (!err)
			err = bpf_map_lookup_elem(fd, &zero, value);
		if (!err)
			memcpy(out, value,
			       info.value_size < sizeof(*out) ? info.value_size : sizeof(*out));
		free(value);
	}
	close(fd);
	return err;
}

static int adopt_maps(struct pf_datapath *dp, const struct pf_config *old, struct pf_error_text *e)
{
	if (old->abi_version != PF_ABI_VERSION)
		return pf_fail(
			e, -EPROTO,
			"%s holds a firewall of layout %u, this pfd speaks %u: it goes on as "
			"it is; `pfd -P %s -X' takes it out",
			dp->pin_dir, old->abi_version, PF_ABI_VERSION, dp->pin_dir);
	for (size_t i = 0; i < NPINNED; i++) {
		int err = reuse_map(dp, pinned_maps[i]);

		if (err)
			return pf_fail(e, err, "%s/maps/%s: %s", dp->pin_dir, pinned_maps[i],
				       strerror(-err));
	}
	memcpy(dp->skel->rodata->hash_key, old->hash_key, sizeof(dp->skel->rodata->hash_key));
	dp->skel->rodata->buckets = old->buckets;
	dp->adopted = true;
	return 0;
}

static int new_maps(struct pf_datapath *dp, uint32_t states, struct pf_config *cfg,
		    struct pf_error_text *e)
{
	int err = size_maps(dp, states);

	if (err)
		return pf_fail(e, err, "cannot size the maps: %s", strerror(-err));
	memset(cfg, 0, sizeof(*cfg));
	cfg->abi_version = PF_ABI_VERSION;
	cfg->hz = kernel_hz();
	cfg->debug = LOG_ERR;
	cfg->slots = slots_for(states);
	cfg->buckets = buckets_for(states);
	cfg->state_limit = states;
	err = random_bytes(cfg->hash_key, sizeof(cfg->hash_key));
	if (!err)
		err = random_bytes(cfg->mark, sizeof(cfg->mark));
	if (!err)
		err = random_bytes(&cfg->mark16, sizeof(cfg->mark16));
	if (err)
		return pf_fail(e, err, "no random numbers: %s", strerror(-err));
	cfg->mark16 = (cfg->mark16 & 0xffff) | 1;
	memcpy(dp->skel->rodata->hash_key, cfg->hash_key, sizeof(dp->skel->rodata->hash_key));
	dp->skel->rodata->buckets = cfg->buckets;
	return 0;
}

static void *map_shared(const struct pf_datapath *dp, const char *name, size_t size)
{
	long page = sysconf(_SC_PAGESIZE);
	void *p;

	size = (size + (size_t)page - 1) / (size_t)page * (size_t)page;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, pf_datapath_map(dp, name), 0);
	return p == MAP_FAILED ? NULL : p;
}

static int map_all(struct pf_datapath *dp, uint32_t slots, struct pf_error_text *e)
{
	dp->states_size = (size_t)slots * sizeof(struct pf_state);
	dp->config = map_shared(dp, "pf_config", sizeof(struct pf_config));
	dp->status = map_shared(dp, "pf_status", sizeof(struct pf_status));
	dp->states = map_shared(dp, "pf_states", dp->states_size);
	dp->opt_sets = map_shared(dp, "pf_opt_sets", PF_MAX_OPT_SETS * sizeof(struct pf_opt_set));
	dp->limiters = map_shared(dp, "pf_limiters", PF_LIMITERS * sizeof(struct pf_limiter));
	if (!dp->config || !dp->status || !dp->states || !dp->opt_sets || !dp->limiters)
		return pf_fail(e, -errno, "cannot map the states: %s", strerror(errno));
	return 0;
}

/* Static programs into their array; the array is pinned, so they stay. */
static int fill_progs(struct pf_datapath *dp, struct pf_error_text *e)
{
	int array = pf_datapath_map(dp, "pf_progs");

	for (uint32_t i = 0; i < PF_PROG_MAX; i++) {
		int fd = prog_fd(dp, prog_names[i]);
		int err = bpf_map_update_elem(array, &i, &fd, BPF_ANY);

		if (err)
			return pf_fail(e, err, "%s: %s", prog_names[i], strerror(-err));
	}
	return 0;
}

static int fill_free(struct pf_datapath *dp, struct pf_error_text *e)
{
	const uint32_t chunk = 1 << 20;

	for (uint32_t at = 0; at < dp->config->slots; at += chunk) {
		uint32_t left = dp->config->slots - at, n = left < chunk ? left : chunk;
		struct run r = {.cb = {at, n}};
		int err = run(dp, "pf_fill", &r);

		if (err || r.cb[2] != n)
			return pf_fail(e, err ? err : -EIO, "cannot fill the table of states");
	}
	dp->status->next_id = (uint64_t)time(NULL) << 32;
	return 0;
}

static int pin_maps(struct pf_datapath *dp, struct pf_error_text *e)
{
	char path[512];

	for (size_t i = 0; i < NPINNED; i++) {
		int err;

		snprintf(path, sizeof(path), "%s/maps/%s", dp->pin_dir, pinned_maps[i]);
		unlink(path); /* of a pfd that did not get this far */
		err = bpf_obj_pin(pf_datapath_map(dp, pinned_maps[i]), path);
		if (err)
			return pf_fail(e, err, "%s: %s", path, strerror(-err));
	}
	return 0;
}

static void start_sweep(struct pf_datapath *dp)
{
	struct run r = {.cb = {0}};
	int err = run(dp, "pf_start", &r);

	dp->timer_failed = err != 0;
	if (err)
		pf_say(LOG_NOTICE, "no timer in the kernel (%s): pfd itself ends old states",
		       strerror(err < 0 ? -err : err));
}

/* "cat PINDIR/states".  Not vital: a kernel without it still filters. */
static void pin_iterator(struct pf_datapath *dp)
{
	LIBBPF_OPTS(bpf_iter_attach_opts, opts);
	union bpf_iter_link_info info = {0};
	struct pf_states_skel *s = pf_states_skel__open();
	struct bpf_link *link = NULL;
	char path[512];
	int err = s ? 0 : -errno;

	if (!err)
		err = bpf_map__reuse_fd(s->maps.pf_states, pf_datapath_map(dp, "pf_states"));
	if (!err)
		err = pf_states_skel__load(s);
	if (!err) {
		info.map.map_fd = (__u32)pf_datapath_map(dp, "pf_states");
		opts.link_info = &info;
		opts.link_info_len = sizeof(info);
		link = bpf_program__attach_iter(s->progs.pf_states_text, &opts);
		err = link ? 0 : -errno;
	}
	if (!err) {
		snprintf(path, sizeof(path), "%s/states", dp->pin_dir);
		unlink(path);
		err = bpf_link__pin(link, path);
	}
	if (err)
		pf_say(LOG_WARNING, "%s/states cannot be had: %s", dp->pin_dir, strerror(-err));
	bpf_link__destroy(link);
	pf_states_skel__destroy(s);
}

static int load_programs(struct pf_datapath *dp, struct pf_error_text *e)
{
	int err = pf_datapath_skel__load(dp->skel);

	if (err)
		return pf_fail(e, err, "the kernel does not take the programs: %s%s%s",
			       strerror(-err), *pf_libbpf_words() ? ": " : "", pf_libbpf_words());
	return 0;
}

int pf_datapath_open(struct pf_datapath *dp, const char *pin_dir, uint32_t states,
		     struct pf_error_text *e)
{
	struct pf_config cfg = {0};
	int err;

	memset(dp, 0, sizeof(*dp));
	snprintf(dp->pin_dir, sizeof(dp->pin_dir), "%s", pin_dir);
	dp->ncpus = libbpf_num_possible_cpus();
	if (dp->ncpus < 1)
		return pf_fail(e, dp->ncpus, "cannot count the CPUs");
	dp->skel = pf_datapath_skel__open();
	if (!dp->skel)
		return pf_fail(e, -errno, "cannot open the programs: %s", strerror(errno));
	if (read_config(pin_dir, &cfg) == 0)
		err = adopt_maps(dp, &cfg, e);
	else
		err = new_maps(dp, states, &cfg, e);
	if (!err)
		err = load_programs(dp, e);
	if (!err)
		err = map_all(dp, cfg.slots, e);
	if (err)
		return err;
	if (!dp->adopted) {
		*dp->config = cfg;
		dp->config->netns = pf_netns_cookie();
		dp->config->sweep_ns = SWEEP_NS;
		dp->config->grace = pf_datapath_ticks(dp, GRACE_SECONDS);
		err = fill_free(dp, e);
	}
	if (!err)
		err = fill_progs(dp, e);
	if (!err && !dp->adopted)
		err = pin_maps(dp, e);
	if (err)
		return err;
	start_sweep(dp);
	pin_iterator(dp);
	return 0;
}

/* --- growing --- */

/* Maps of the state table itself; the others go on from one to the next. */
static bool is_table_map(const char *name)
{
	static const char *const names[] = {
		"pf_states", "pf_buckets", "pf_free",	     "pf_limbo",  "pf_status",
		"pf_progs",  "pf_sweeper", "pf_rule_states", "pf_config", "pf_sources"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int share_maps(struct pf_datapath *dp, const struct pf_datapath *old)
{
	for (size_t i = 0; i < NPINNED; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(dp->skel->obj, pinned_maps[i]);
		int err;

		if (is_table_map(pinned_maps[i]))
			continue;
		err = bpf_map__reuse_fd(m, pf_datapath_map(old, pinned_maps[i]));
		if (err)
			return err;
	}
	return 0;
}

/* The rules whose states are counted; the counts are of the states that come. */
static int copy_counted_rules(const struct pf_datapath *dp, const struct pf_datapath *old)
{
	int from = pf_datapath_map(old, "pf_rule_states");
	int to = pf_datapath_map(dp, "pf_rule_states");
	const struct pf_rule_count none = {0};
	uint32_t rule;
	const uint32_t *at = NULL;
	int err = 0;

	for (; !err && bpf_map_get_next_key(from, at, &rule) == 0; at = &rule)
		err = bpf_map_update_elem(to, &rule, &none, BPF_ANY);
	return err;
}

/* The nodes of sources; their states and connections are of the states that come. */
static int copy_sources(const struct pf_datapath *dp, const struct pf_datapath *old)
{
	int from = pf_datapath_map(old, "pf_sources"), to = pf_datapath_map(dp, "pf_sources");
	int rules = pf_datapath_map(dp, "pf_rule_states");
	const struct pf_src_key *at = NULL;
	struct pf_src_key key;
	struct pf_src_node v;
	int err = 0;

	for (; !err && bpf_map_get_next_key(from, at, &key) == 0; at = &key) {
		struct pf_rule_count n;

		if (bpf_map_lookup_elem(from, &key, &v) || (uint32_t)v.states & PF_SOURCE_DEAD)
			continue;
		v.states &= ~(uint64_t)UINT32_MAX;
		v.conns &= ~(uint64_t)UINT32_MAX;
		err = bpf_map_update_elem(to, &key, &v, BPF_ANY);
		if (err)
			break;
		dp->status->sources++;
		if (!key.rule || bpf_map_lookup_elem(rules, &key.rule, &n))
			continue;
		n.nodes++;
		err = bpf_map_update_elem(rules, &key.rule, &n, BPF_ANY);
	}
	return err;
}

/*
 * A copy of a TCP state falls behind while packets still move the original: it
 * takes up the sequence numbers again from the next segments that it sees, or
 * from the original when that is still.
 */
static void loosen(struct pf_state *s)
{
	if (s->key.proto != 6 || (s->flags & PF_SF_SLOPPY))
		return;
	s->flags |= PF_SF_LOOSE;
	for (int i = 0; i < 2; i++) {
		s->peer[i].seqlo = 0;
		s->peer[i].other_seqhi = 1;
		s->peer[i].max_win = 65535;
	}
}

/*
 * All live states of `old` that `dp` does not have: those that are bound, or the others.
 * `still`: packets go by `dp` already.
 */
static void copy_some(const struct pf_datapath *dp, const struct pf_datapath *old, bool bound,
		      bool still)
{
	for (uint32_t i = 0; i < old->config->slots; i++) {
		struct pf_state s;

		if (__atomic_load_n(&old->states[i].status, __ATOMIC_ACQUIRE) != PF_SLOT_LIVE)
			continue;
		s = old->states[i];
		if (!(s.flags & PF_SF_IFBOUND) == bound)
			continue;
		if (!still)
			loosen(&s);
		pf_datapath_insert(dp, &s, false);
	}
}

/* A floating one would keep bound ones of its key out, which it did not when it was made. */
static void copy_states(const struct pf_datapath *dp, const struct pf_datapath *old, bool still)
{
	copy_some(dp, old, true, still);
	copy_some(dp, old, false, still);
}

/* States of the table that goes give their limiters up: the copies have taken them anew. */
static void abandon(const struct pf_datapath *old)
{
	struct run r = {.cb = {0, old->config->slots}};

	run(old, "pf_abandon", &r);
}

int pf_datapath_grow(struct pf_datapath *dp, const struct pf_datapath *old, uint32_t states,
		     struct pf_error_text *e)
{
	struct pf_config cfg = {0};
	int err;

	memset(dp, 0, sizeof(*dp));
	memcpy(dp->pin_dir, old->pin_dir, sizeof(dp->pin_dir));
	dp->ncpus = old->ncpus;
	dp->skel = pf_datapath_skel__open();
	if (!dp->skel)
		return pf_fail(e, -errno, "cannot open the programs: %s", strerror(errno));
	err = new_maps(dp, states, &cfg, e);
	if (!err && share_maps(dp, old))
		err = pf_fail(e, -EINVAL, "cannot share the maps");
	if (!err)
		err = load_programs(dp, e);
	if (!err)
		err = map_all(dp, cfg.slots, e);
	if (err)
		return err;
	/* all but what belongs to the table's size and hash */
	*dp->config = *old->config;
	dp->config->slots = cfg.slots;
	dp->config->buckets = cfg.buckets;
	memcpy(dp->config->hash_key, cfg.hash_key, sizeof(cfg.hash_key));
	err = fill_free(dp, e);
	if (!err)
		err = fill_progs(dp, e);
	if (!err && (copy_counted_rules(dp, old) || copy_sources(dp, old)))
		err = pf_fail(e, -ENOMEM, "cannot copy the counts of states");
	if (err)
		return err;
	dp->status->next_id = old->status->next_id + (1U << 20);
	dp->status->next_source = old->status->next_source + (1U << 20);
	/* the limit of before would refuse what is beyond it */
	dp->config->state_limit = states;
	/* what has ended but is not out yet has no copy that would count its end */
	pf_datapath_purge(old, 0, old->config->slots);
	copy_states(dp, old, false);
	dp->config->state_limit = old->config->state_limit;
	/* see pf_copies_settle() */
	old->config->sweep_slice = 0;
	return 0;
}

int pf_datapath_grown(struct pf_datapath *dp, struct pf_datapath *old, struct pf_error_text *e)
{
	int err;

	pf_copies_settle(dp, old);
	copy_states(dp, old, true);
	abandon(old);
	/* what was asked of the old one's sweep is this one's */
	__atomic_store_n(&dp->status->flush_asked, 1, __ATOMIC_RELEASE);
	err = pin_maps(dp, e);
	pf_datapath_close(old);
	if (err)
		return err;
	start_sweep(dp);
	pin_iterator(dp);
	return 0;
}

void pf_datapath_close(struct pf_datapath *dp)
{
	long page = sysconf(_SC_PAGESIZE);

	if (dp->config)
		munmap(dp->config, (size_t)page);
	if (dp->status)
		munmap(dp->status, (size_t)page);
	if (dp->states)
		munmap(dp->states, dp->states_size);
	if (dp->opt_sets)
		munmap(dp->opt_sets, PF_MAX_OPT_SETS * sizeof(struct pf_opt_set));
	if (dp->limiters)
		munmap(dp->limiters, PF_LIMITERS * sizeof(struct pf_limiter));
	pf_datapath_skel__destroy(dp->skel);
	memset(dp, 0, sizeof(*dp));
}

uint64_t pf_datapath_owner(const char *pin_dir)
{
	struct pf_config cfg;

	return read_config(pin_dir, &cfg) ? 0 : cfg.netns;
}

int pf_datapath_unpin(const char *pin_dir, struct pf_error_text *e)
{
	int err = pf_pin_remove_tree(pin_dir);

	return err && err != -ENOENT ? pf_fail(e, err, "%s: %s", pin_dir, strerror(-err)) : 0;
}
