// SPDX-License-Identifier: BSD-2-Clause
#include "srcmap.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datapath.h"

static_assert(offsetof(struct pf_src_node, states) == 0 && offsetof(struct pf_limited, states) == 0,
	      "states come first");
static_assert(sizeof(struct pf_src_key) % _Alignof(struct pf_src_node) == 0 &&
		      sizeof(struct pf_src_key) % _Alignof(struct pf_limited) == 0,
	      "a value is right behind its key");

/* Is it in the map, and to stay? */
static bool look_up(int map, const struct pf_src_key *key, uint8_t *elem)
{
	uint64_t states;

	memcpy(elem, key, sizeof(*key));
	if (bpf_map_lookup_elem(map, key, elem + sizeof(*key)))
		return false;
	memcpy(&states, elem + sizeof(*key), sizeof(states));
	return !((uint32_t)states & PF_SOURCE_DEAD);
}

static int walk(int map, size_t size, size_t most, uint8_t **v, size_t *have)
{
	struct pf_src_key key;
	size_t room = 0;
	int err;

	err = bpf_map_get_next_key(map, NULL, &key);
	/* one that goes sends the walk back to the start: no more than there can be */
	while (!err && *have < 2 * most) {
		if (*have == room) {
			uint8_t *more;

			room = room ? 2 * room : 256;
			more = reallocarray(*v, room, size);
			if (!more)
				return -ENOMEM;
			*v = more;
		}
		*have += look_up(map, &key, *v + *have * size);
		err = bpf_map_get_next_key(map, &key, &key);
	}
	return err == -ENOENT ? 0 : err;
}

int pf_srcmap_read(int map, size_t size, size_t most, int (*compare)(const void *, const void *),
		   void *out, size_t *n)
{
	uint8_t *v = NULL, *end;
	size_t have = 0;
	int err = walk(map, size, most, &v, &have);

	if (err) {
		free(v);
		return err;
	}
	if (have)
		qsort(v, have, size, compare);
	end = v;
	for (size_t i = 0; i < have; i++) {
		const uint8_t *elem = v + i * size;

		if (i && compare(end - size, elem) == 0)
			continue;
		memmove(end, elem, size);
		end += size;
	}
	*n = have ? (size_t)(end - v) / size : 0;
	memcpy(out, &v, sizeof(v));
	return 0;
}
