// SPDX-License-Identifier: BSD-2-Clause
#include "program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/rules.skel.h"
#include "btf.h"
#include "pin.h"

/* Interfaces whose number is PF_IFACE_DIRECT or more, at one time: at least so many. */
#define FAR_LEAST 2048

#define NFDS	  (sizeof(struct pf_program) / sizeof(int))

void pf_program_init(struct pf_program *p)
{
	int *fd = (int *)p;

	for (size_t i = 0; i < NFDS; i++)
		fd[i] = -1;
}

void pf_program_close(struct pf_program *p)
{
	const int *fd = (const int *)p;

	for (size_t i = 0; i < NFDS; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	pf_program_init(p);
}

/* --- maps --- */

static int new_array(const struct pf_datapath *dp, const char *name, const char *value_type,
		     size_t value_size, size_t n, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);

	pf_btf_map_types(dp, "u32", value_type, &opts);
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), (uint32_t)value_size,
			      (uint32_t)(n ? n : 1), &opts);
}

/* Where no rule names an interface nobody looks; their buckets are there from the start. */
static uint32_t far_entries(const struct pf_compiled *c, const struct pf_netifs *ifs)
{
	uint32_t n = 0;

	for (const struct pf_netif *i = ifs->first; i; i = i->next)
		n++;
	if (!c->nifaces)
		return 1;
	return n < FAR_LEAST / 4 ? FAR_LEAST : 4 * n;
}

static uint32_t direct_entries(const struct pf_compiled *c)
{
	return c->nifaces ? PF_IFACE_DIRECT : 1;
}

static int new_far(const struct pf_datapath *dp, const struct pf_compiled *c,
		   const struct pf_netifs *ifs)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);

	pf_btf_map_types(dp, "u32", "pf_ifmask", &opts);
	return bpf_map_create(BPF_MAP_TYPE_HASH, "pf_ifaces_far", sizeof(uint32_t),
			      sizeof(struct pf_ifmask), far_entries(c, ifs), &opts);
}

/* One value of many numbers, so that it is looked up once a packet. */
static int new_evals(const struct pf_compiled *c)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	uint32_t n = (uint32_t)pf_compiled_nevals(c);
	int btf = pf_btf_numbers(n, sizeof(uint64_t), &opts);
	int fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "pf_evals", sizeof(uint32_t),
				n * (uint32_t)sizeof(uint64_t), 1, &opts);

	if (btf >= 0)
		close(btf);
	return fd;
}

static int make_linear_maps(struct pf_program *p, const struct pf_datapath *dp,
			    const struct pf_compiled *c, const struct pf_netifs *ifs,
			    struct pf_error_text *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, jump);

	p->infos = new_array(dp, "pf_infos", "pf_rule_info", sizeof(struct pf_rule_info), c->ninfos,
			     BPF_F_MMAPABLE);
	p->nats = new_array(dp, "pf_nats", "pf_nat", sizeof(struct pf_nat), c->nnats,
			    BPF_F_MMAPABLE);
	p->evals = new_evals(c);
	p->ifaces = new_array(dp, "pf_ifaces", "pf_ifmask", sizeof(struct pf_ifmask),
			      direct_entries(c), 0);
	p->ifaces_far = new_far(dp, c, ifs);
	pf_btf_map_types(dp, "u32", "u32", &jump);
	p->jump = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "pf_jump", sizeof(uint32_t),
				 sizeof(uint32_t), PF_GEN_MAX, &jump);
	if (p->infos < 0 || p->nats < 0 || p->evals < 0 || p->ifaces < 0 || p->ifaces_far < 0 ||
	    p->jump < 0)
		return pf_fail(e, -errno, "cannot make maps for the rules: %s", strerror(errno));
	return 0;
}

/*
 * Into an mmapable array, which takes a memcpy where updates would take a second;
 * from byte `from` on.
 */
static int write_array(int fd, size_t from, const void *data, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = from % page;
	size_t len = (skip + size + page - 1) / page * page;
	uint8_t *at;

	if (!size)
		return 0;
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(from - skip));
	if (at == MAP_FAILED)
		return -errno;
	memcpy(at + skip, data, size);
	munmap(at, len);
	return 0;
}

static int fill_array(int fd, const void *data, size_t size)
{
	return write_array(fd, 0, data, size);
}

static void iface_mask(const struct pf_compiled *c, const struct pf_netifs *ifs,
		       const struct pf_netif *i, struct pf_ifmask *m)
{
	memset(m, 0, sizeof(*m));
	for (size_t bit = 0; bit < c->nifaces; bit++) {
		if (!pf_netif_meant(ifs, i, c->ifaces[bit]))
			continue;
		m->w[bit / 32] |= 1U << bit % 32;
		if (c->iface_own[bit])
			m->name = (uint32_t)bit + 1;
	}
}

int pf_program_netif(const struct pf_program *p, const struct pf_compiled *c,
		     const struct pf_netifs *ifs, const struct pf_netif *i, bool gone)
{
	uint32_t ifindex = (uint32_t)i->ifindex;
	struct pf_ifmask m;

	if (!c->nifaces)
		return 0;
	iface_mask(c, ifs, i, &m);
	if (gone)
		memset(&m, 0, sizeof(m));
	if (ifindex < PF_IFACE_DIRECT)
		return bpf_map_update_elem(p->ifaces, &ifindex, &m, BPF_ANY);
	if (!gone)
		return bpf_map_update_elem(p->ifaces_far, &ifindex, &m, BPF_ANY);
	bpf_map_delete_elem(p->ifaces_far, &ifindex); /* there, or never in it */
	return 0;
}

static int refill_tree(const struct pf_program *p, const struct pf_compiled *c)
{
	const struct pf_tree *t = &c->tree;
	const struct {
		int fd;
		const void *data;
		size_t size;
	} arrays[] = {
		{p->sets, t->sets, t->nsets * sizeof(*t->sets)},
		{p->calls, t->calls, t->ncalls * sizeof(*t->calls)},
		{p->callees, t->callees, t->ncallees * sizeof(*t->callees)},
		{p->nodes, t->nodes, t->nnodes * sizeof(*t->nodes)},
		{p->entries, t->entries, t->nentries * sizeof(*t->entries)},
		{p->rules, t->rules, c->nrules * sizeof(*t->rules)},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]) && !err; i++)
		err = fill_array(arrays[i].fd, arrays[i].data, arrays[i].size);
	return err;
}

int pf_program_refill(const struct pf_program *p, const struct pf_datapath *dp,
		      const struct pf_compiled *c, const struct pf_netifs *ifs,
		      struct pf_error_text *e)
{
	const uint32_t slot = PF_GEN_APPLY;
	int apply = pf_datapath_apply(dp);
	int err = fill_array(p->infos, c->infos, c->ninfos * sizeof(*c->infos));

	if (!err)
		err = fill_array(p->nats, c->nats, c->nnats * sizeof(*c->nats));
	if (!err)
		err = bpf_map_update_elem(p->jump, &slot, &apply, BPF_ANY);
	if (!err && c->emitter == PF_EMITTER_TREE)
		err = refill_tree(p, c);
	for (const struct pf_netif *i = ifs->first; i && !err; i = i->next)
		err = pf_program_netif(p, c, ifs, i, false);
	return err ? pf_fail(e, err, "cannot fill the maps of the rules: %s", strerror(-err)) : 0;
}

/* --- one set anew --- */

static int append(const struct pf_program *p, const struct pf_compiled *c,
		  const struct pf_compiled_patch *patch)
{
	const struct pf_tree *t = &c->tree;
	const struct pf_tree_counts *from = &patch->from;
	const struct {
		int fd;
		const void *data;
		size_t size, from, to;
	} parts[] = {
		{p->infos, c->infos, sizeof(*c->infos), from->rules, c->nrules},
		{p->nats, c->nats, sizeof(*c->nats), from->nats, c->nnats},
		{p->rules, t->rules, sizeof(*t->rules), from->rules, c->nrules},
		{p->nodes, t->nodes, sizeof(*t->nodes), from->nodes, t->nnodes},
		{p->entries, t->entries, sizeof(*t->entries), from->entries, t->nentries},
	};
	int err = write_array(p->sets, from->sets * sizeof(patch->set), &patch->set,
			      sizeof(patch->set));

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !err; i++)
		err = write_array(parts[i].fd, parts[i].from * parts[i].size,
				  (const uint8_t *)parts[i].data + parts[i].from * parts[i].size,
				  (parts[i].to - parts[i].from) * parts[i].size);
	return err;
}

/* The page of the callee, and where it is there. */
static size_t callee_page(const struct pf_compiled_patch *patch, size_t *skip)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t from = patch->callee * sizeof(struct pf_tree_callee);

	*skip = from % page;
	return from - *skip;
}

int pf_program_append(const struct pf_program *p, const struct pf_compiled *c,
		      const struct pf_compiled_patch *patch, void **lead)
{
	size_t skip, from = callee_page(patch, &skip);
	void *at;
	int err = append(p, c, patch);

	if (err)
		return err;
	at = mmap(NULL, skip + sizeof(struct pf_tree_callee), PROT_READ | PROT_WRITE, MAP_SHARED,
		  p->callees, (off_t)from);
	if (at == MAP_FAILED)
		return -errno;
	*lead = at;
	return 0;
}

void pf_program_lead(void *lead, const struct pf_compiled_patch *patch, bool wanted)
{
	struct pf_tree_callee *callee;
	size_t skip;

	callee_page(patch, &skip);
	callee = (void *)((uint8_t *)lead + skip);
	/* behind all that it leads to */
	if (wanted)
		__atomic_store_n(&callee->set, patch->from.sets, __ATOMIC_RELEASE);
	munmap(lead, skip + sizeof(*callee));
}

/* --- emitter A --- */

static void relocate(const struct pf_program *p, const struct pf_datapath *dp,
		     struct pf_compiled *c)
{
	const int fds[PF_CODE_MAP_MAX] = {
		[PF_CODE_SCRATCH] = pf_datapath_map(dp, "pf_scratch"),
		[PF_CODE_COUNTERS] = pf_datapath_map(dp, "pf_counters"),
		[PF_CODE_TABLES] = pf_datapath_map(dp, "pf_tables"),
		[PF_CODE_TABLE_NODES] = pf_datapath_map(dp, "pf_table_nodes"),
		[PF_CODE_TABLE_DELTA] = pf_datapath_map(dp, "pf_table_delta"),
		[PF_CODE_TABLE_NOTS] = pf_datapath_map(dp, "pf_table_nots"),
		[PF_CODE_CONFIG] = pf_datapath_map(dp, "pf_config"),
		[PF_CODE_LIMITERS] = pf_datapath_map(dp, "pf_limiters"),
		[PF_CODE_LIMITED] = pf_datapath_map(dp, "pf_limited"),
		[PF_CODE_INFOS] = p->infos,
		[PF_CODE_EVALS] = p->evals,
		[PF_CODE_IFACES] = p->ifaces,
		[PF_CODE_IFACES_FAR] = p->ifaces_far,
		[PF_CODE_NATS] = p->nats,
		[PF_CODE_METERS] = pf_datapath_map(dp, "pf_meters"),
		[PF_CODE_JUMP] = p->jump,
	};

	for (size_t i = 0; i < c->nrelocs; i++)
		c->insns[c->relocs[i].insn].imm = fds[c->relocs[i].map];
}

static int load_insns(struct pf_program *p, const struct pf_compiled *c,
		      const struct bpf_prog_load_opts *opts)
{
	p->prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pf_rules", "Dual BSD/GPL", c->insns,
				c->ninsns, opts);
	return p->prog < 0 ? p->prog : 0;
}

static int load_linear(struct pf_program *p, const struct pf_datapath *dp, struct pf_compiled *c,
		       struct pf_error_text *e)
{
	static char log[65536];
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct bpf_func_info funcs[PF_BTF_FUNCS];
	const size_t at[PF_BTF_FUNCS - 1] = {c->in_table, c->translate, c->ask_limits, c->meter};
	const bool calls = c->in_table || c->translate || c->ask_limits || c->meter;
	int err = 0, btf = -1;

	relocate(p, dp, c);
	if (calls) {
		/* a function with a type is looked at once, others at each call */
		btf = pf_btf_functions(funcs, at, &opts.func_info_cnt);
		err = btf < 0 ? btf : 0;
		opts.prog_btf_fd = (uint32_t)btf;
		opts.func_info = funcs;
		opts.func_info_rec_size = sizeof(funcs[0]);
	}
	if (!err)
		err = load_insns(p, c, &opts);
	if (err && (btf >= 0 || !calls)) {
		/* once more for the reason: a log costs time, so there was none */
		opts.log_level = 1;
		opts.log_buf = log;
		opts.log_size = sizeof(log);
		log[0] = '\0';
		err = load_insns(p, c, &opts);
	}
	if (btf >= 0)
		close(btf);
	if (!err)
		return 0;
	pf_say(LOG_DEBUG, "verifier: %s", log);
	return pf_fail(e, err, "the kernel does not take the program of %zu rules: %s", c->nrules,
		       strerror(-err));
}

/* --- emitter B --- */

static int share_maps(const struct pf_rules_skel *s, const struct pf_datapath *dp)
{
	struct bpf_map *const shared[] = {s->maps.pf_scratch,	  s->maps.pf_counters,
					  s->maps.pf_config,	  s->maps.pf_tables,
					  s->maps.pf_table_nodes, s->maps.pf_table_delta,
					  s->maps.pf_table_nots,  s->maps.pf_limiters,
					  s->maps.pf_limited,	  s->maps.pf_meters};
	int err = 0;

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]) && !err; i++)
		err = bpf_map__reuse_fd(shared[i], pf_datapath_map(dp, bpf_map__name(shared[i])));
	return err;
}

static int size_maps(const struct pf_rules_skel *s, const struct pf_compiled *c,
		     const struct pf_netifs *ifs)
{
	const struct {
		struct bpf_map *map;
		size_t n;
	} sizes[] = {
		{s->maps.pf_ifaces, direct_entries(c)},
		{s->maps.pf_ifaces_far, far_entries(c, ifs)},
		{s->maps.pf_infos, c->ninfos},
		{s->maps.pf_nats, c->tree.most.nats},
		{s->maps.pf_evals, (pf_compiled_nevals(c) - 1) / PF_EVALS_EACH + 1},
		{s->maps.pf_sets, c->tree.most.sets},
		{s->maps.pf_calls, c->tree.ncalls},
		{s->maps.pf_callees, c->tree.ncallees},
		{s->maps.pf_nodes, c->tree.most.nodes},
		{s->maps.pf_entries, ((size_t)c->tree.most.entries + 1) / 2},
		{s->maps.pf_rules, c->tree.most.rules},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !err; i++)
		err = bpf_map__set_max_entries(sizes[i].map, sizes[i].n ? (uint32_t)sizes[i].n : 1);
	return err;
}

/* The skeleton goes, its descriptors stay. */
static int keep_fds(struct pf_program *p, const struct pf_rules_skel *s)
{
	const struct {
		int *to, from;
	} fds[] = {
		{&p->infos, bpf_map__fd(s->maps.pf_infos)},
		{&p->nats, bpf_map__fd(s->maps.pf_nats)},
		{&p->evals, bpf_map__fd(s->maps.pf_evals)},
		{&p->ifaces, bpf_map__fd(s->maps.pf_ifaces)},
		{&p->ifaces_far, bpf_map__fd(s->maps.pf_ifaces_far)},
		{&p->jump, bpf_map__fd(s->maps.pf_jump)},
		{&p->sets, bpf_map__fd(s->maps.pf_sets)},
		{&p->calls, bpf_map__fd(s->maps.pf_calls)},
		{&p->callees, bpf_map__fd(s->maps.pf_callees)},
		{&p->nodes, bpf_map__fd(s->maps.pf_nodes)},
		{&p->entries, bpf_map__fd(s->maps.pf_entries)},
		{&p->rules, bpf_map__fd(s->maps.pf_rules)},
		{&p->prog, bpf_program__fd(s->progs.pf_rules_tree)},
	};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		*fds[i].to = fcntl(fds[i].from, F_DUPFD_CLOEXEC, 0);
		if (*fds[i].to < 0)
			return -errno;
	}
	return 0;
}

static int load_tree(struct pf_program *p, const struct pf_datapath *dp,
		     const struct pf_compiled *c, const struct pf_netifs *ifs,
		     struct pf_error_text *e)
{
	struct pf_rules_skel *s = pf_rules_skel__open();
	int err = s ? share_maps(s, dp) : -errno;

	if (!err)
		err = size_maps(s, c, ifs);
	if (!err) {
		s->rodata->nrules = c->tree.most.rules;
		s->rodata->name_ifaces = c->nifaces > 0;
		s->rodata->name_received = c->received;
		s->rodata->random_rules = c->random;
		s->rodata->metered_rules = c->metered;
		err = pf_rules_skel__load(s);
	}
	if (!err)
		err = keep_fds(p, s);
	pf_rules_skel__destroy(s);
	if (!err)
		return 0;
	return pf_fail(e, err, "the kernel does not take the program of the rules: %s%s%s",
		       strerror(-err), *pf_libbpf_words() ? ": " : "", pf_libbpf_words());
}

int pf_program_load(struct pf_program *p, const struct pf_datapath *dp, struct pf_compiled *c,
		    const struct pf_netifs *ifs, struct pf_error_text *e)
{
	int err;

	if (c->emitter == PF_EMITTER_TREE) {
		err = load_tree(p, dp, c, ifs, e);
		return err ? err : pf_program_refill(p, dp, c, ifs, e);
	}
	err = make_linear_maps(p, dp, c, ifs, e);
	if (!err)
		err = pf_program_refill(p, dp, c, ifs, e);
	return err ? err : load_linear(p, dp, c, e);
}

/* --- counters --- */

/* All n values of the map, of `numbers` numbers each: each CPU's after the other's. */
static int read_evals(int fd, size_t n, size_t numbers, uint64_t *out)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t *keys = calloc(n, sizeof(*keys)), cursor, got = (uint32_t)n;
	int err = keys ? bpf_map_lookup_batch(fd, NULL, &cursor, keys, out, &got, &opts) : -ENOMEM;

	free(keys);
	if ((!err || err == -ENOENT) && got == n)
		return 0;
	err = 0;
	for (uint32_t i = 0; i < n && !err; i++)
		err = bpf_map_lookup_elem(fd, &i, out + i * numbers);
	return err;
}

int pf_program_evaluations(const struct pf_program *p, const struct pf_datapath *dp,
			   const struct pf_compiled *c, uint64_t *out)
{
	size_t n = pf_compiled_nevals(c), ncpus = (size_t)dp->ncpus;
	size_t each = c->emitter == PF_EMITTER_LINEAR ? n : PF_EVALS_EACH;
	size_t values = (n - 1) / each + 1;
	uint64_t *v = calloc(values * each * ncpus, sizeof(*v)), *sum = calloc(n, sizeof(*sum));
	int err = v && sum ? read_evals(p->evals, values, each * ncpus, v) : -ENOMEM;

	for (size_t i = 0; i < n && !err; i++)
		for (size_t cpu = 0; cpu < ncpus; cpu++)
			sum[i] += v[(i / each * ncpus + cpu) * each + i % each];
	if (!err)
		err = pf_compiled_evaluations(c, sum, out);
	free(v);
	free(sum);
	return err;
}
