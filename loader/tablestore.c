// SPDX-License-Identifier: BSD-2-Clause
#include "tablestore.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "btf.h"

static size_t pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static void *map_shared(int fd, size_t size)
{
	void *p = mmap(NULL, pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int new_array(const struct pf_datapath *dp, const char *name, const char *type,
		     uint32_t value_size, uint32_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	if (type)
		pf_btf_map_types(dp, "u32", type, &opts);
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size, n, &opts);
}

/* --- chunks --- */

static int outer(const struct pf_tablestore *s)
{
	return pf_datapath_map(s->dp, "pf_table_nodes");
}

static void *make_chunk(void *ctx, uint32_t at)
{
	struct pf_tablestore *s = ctx;
	const uint32_t size = sizeof(struct pf_node_chunk);
	int fd = new_array(s->dp, "pf_table_node", NULL, size, 1);
	void *mem = fd < 0 ? NULL : map_shared(fd, size);
	int err = 0;

	if (mem)
		err = bpf_map_update_elem(outer(s), &at, &fd, BPF_ANY);
	if (mem && !err) {
		s->chunk_fd[at] = fd;
		return mem;
	}
	err = err ? -err : errno;
	if (mem)
		munmap(mem, pages(size));
	if (fd >= 0)
		close(fd);
	errno = err;
	return NULL;
}

static void unmake_chunk(void *ctx, uint32_t at, void *mem)
{
	struct pf_tablestore *s = ctx;

	bpf_map_delete_elem(outer(s), &at);
	munmap(mem, pages(sizeof(struct pf_node_chunk)));
	close(s->chunk_fd[at]);
	s->chunk_fd[at] = -1;
}

/* The kernel does not return from an update of an array of maps before an RCU period is over. */
static int wait_for_packets(void *ctx)
{
	struct pf_tablestore *s = ctx;

	for (uint32_t at = 0; at < PF_NODE_CHUNKS; at++)
		if (s->chunk_fd[at] >= 0)
			return bpf_map_update_elem(outer(s), &at, &s->chunk_fd[at], BPF_ANY);
	return 0;
}

int pf_tablestore_open(struct pf_tablestore *s, const struct pf_datapath *dp)
{
	const struct pf_nodes_source source = {
		.make = make_chunk, .unmake = unmake_chunk, .grace = wait_for_packets, .ctx = s};

	s->dp = dp;
	memset(s->chunk_fd, 0xff, sizeof(s->chunk_fd));
	pf_nodes_init(&s->nodes, &source);
	s->roots = map_shared(pf_datapath_map(dp, "pf_tables"), PF_MAX_TABLES * sizeof(*s->roots));
	if (!s->roots)
		return -errno;
	for (uint32_t at = 0; dp->adopted && at < PF_NODE_CHUNKS; at++) {
		uint32_t id;

		s->nodes.foreign[at] = bpf_map_lookup_elem(outer(s), &at, &id) == 0;
	}
	return 0;
}

void pf_tablestore_close(struct pf_tablestore *s)
{
	if (!s->dp)
		return;
	/* chunks and what is in them go on: their mappings end with us */
	for (uint32_t at = 0; at < PF_NODE_CHUNKS; at++)
		if (s->chunk_fd[at] >= 0)
			close(s->chunk_fd[at]);
	pf_nodes_close(&s->nodes);
	if (s->roots)
		munmap(s->roots, pages(PF_MAX_TABLES * sizeof(*s->roots)));
	memset(s, 0, sizeof(*s));
}

int pf_tablestore_wait(struct pf_tablestore *s)
{
	uint32_t word;
	int err;

	if (!s->nodes.nchunks) { /* the wait needs one */
		pf_nodes_alloc(&s->nodes, 1, &word);
		err = pf_nodes_abort(&s->nodes);
		if (err)
			return err;
	}
	return wait_for_packets(s);
}

int pf_tablestore_forget(struct pf_tablestore *s)
{
	bool waited = false;

	for (uint32_t at = 0; at < PF_NODE_CHUNKS; at++) {
		int err = 0;

		if (!s->nodes.foreign[at])
			continue;
		/* packets that came before the words were changed may look at them still */
		if (!waited)
			err = pf_tablestore_wait(s);
		waited = true;
		if (!err)
			err = bpf_map_delete_elem(outer(s), &at);
		if (err)
			return err;
		s->nodes.foreign[at] = false;
	}
	return 0;
}

void pf_tablestore_set_word(uint32_t *at, uint32_t word)
{
	__atomic_store_n(at, word, __ATOMIC_RELEASE);
}

void pf_tablestore_set(struct pf_tablestore *s, uint32_t slot, struct pf_table_roots roots)
{
	uint64_t both;

	memcpy(&both, &roots, sizeof(both));
	__atomic_store_n((uint64_t *)(void *)&s->roots[slot], both, __ATOMIC_RELEASE);
}

/* --- entries --- */

int pf_entries_make(const struct pf_datapath *dp, uint32_t room, struct pf_entries *out)
{
	int err;

	/* what the last page has room for */
	room = (uint32_t)(pages(((size_t)room + !room) * sizeof(*out->item)) / sizeof(*out->item));
	memset(out, 0, sizeof(*out));
	out->fd = new_array(dp, "pf_table", "pf_table_item", sizeof(*out->item), room);
	if (out->fd < 0)
		return out->fd;
	out->item = map_shared(out->fd, room * sizeof(*out->item));
	out->room = room;
	if (out->item)
		return 0;
	err = -errno;
	pf_entries_close(out);
	return err;
}

int pf_entries_pin(struct pf_entries *e, const char *path)
{
	char next[600];
	int err;

	snprintf(next, sizeof(next), "%s_next", path);
	unlink(next); /* of a pfd that was killed here */
	err = bpf_obj_pin(e->fd, next);
	if (!err && rename(next, path)) {
		err = -errno;
		unlink(next);
	}
	if (err)
		return err;
	close(e->fd);
	e->fd = -1;
	return 0;
}

int pf_entries_open(const char *path, struct pf_entries *out)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int err = 0;

	memset(out, 0, sizeof(*out));
	out->fd = bpf_obj_get(path);
	if (out->fd < 0)
		return out->fd;
	if (bpf_obj_get_info_by_fd(out->fd, &info, &len))
		err = -errno;
	else if (info.value_size != sizeof(*out->item))
		err = -EPROTO;
	if (!err) {
		out->room = info.max_entries;
		out->item = map_shared(out->fd, out->room * sizeof(*out->item));
		err = out->item ? 0 : -errno;
	}
	close(out->fd);
	out->fd = -1;
	return err;
}

void pf_entries_close(struct pf_entries *e)
{
	if (e->item)
		munmap(e->item, pages(e->room * sizeof(*e->item)));
	if (e->fd >= 0)
		close(e->fd);
	memset(e, 0, sizeof(*e));
	e->fd = -1;
}
