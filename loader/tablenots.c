// SPDX-License-Identifier: BSD-2-Clause
#include "tablenots.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "tablelist.h"

static int map_of(const struct pf_tables *t)
{
	return pf_datapath_map(t->dp, "pf_table_nots");
}

static struct pf_table_not key_of(uint32_t slot, int f, const struct pf_prefix *p)
{
	return (struct pf_table_not){.bits = PF_TABLE_NOT_BITS + p->bits,
				     .slot = slot,
				     .af = pf_content_af(f),
				     .addr = pf_prefix_addr(p, pf_content_af(f))};
}

int pf_nots_add(const struct pf_tables *t, uint32_t slot, int f, const struct pf_prefix *p)
{
	const struct pf_table_not key = key_of(slot, f, p);
	const uint32_t value = p->bits;

	if (!p->neg)
		return 0;
	return bpf_map_update_elem(map_of(t), &key, &value, BPF_ANY);
}

void pf_nots_remove(const struct pf_tables *t, uint32_t slot, int f, const struct pf_prefix *p)
{
	const struct pf_table_not key = key_of(slot, f, p);

	if (p->neg)
		bpf_map_delete_elem(map_of(t), &key);
}

int pf_nots_add_all(const struct pf_tables *t, uint32_t slot, const struct pf_prefixes *set)
{
	int err = 0;

	for (int f = 0; f < 2; f++) {
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(&set[f], at) && !err; pf_prefixes_next(&set[f], &at)) {
			struct pf_prefix p = pf_prefixes_get(&set[f], at);

			err = pf_nots_add(t, slot, f, &p);
		}
	}
	return err;
}

static bool has(const struct pf_prefixes *set, const struct pf_prefix *p)
{
	struct pf_prefix_place at;
	bool exact;

	at = pf_prefixes_find(set, p, &exact);
	return exact && pf_prefixes_get(set, at).neg;
}

void pf_nots_remove_all(const struct pf_tables *t, uint32_t slot, const struct pf_prefixes *set,
			const struct pf_prefixes *keep)
{
	for (int f = 0; f < 2; f++) {
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(&set[f], at); pf_prefixes_next(&set[f], &at)) {
			struct pf_prefix p = pf_prefixes_get(&set[f], at);

			if (!(keep && has(&keep[f], &p)))
				pf_nots_remove(t, slot, f, &p);
		}
	}
}

static bool is_entry(const struct pf_tables *t, const struct pf_table_not *n)
{
	const struct pf_table *table = n->slot < PF_MAX_TABLES ? t->slot[n->slot] : NULL;
	int f = n->af == PF_AF_INET6;
	struct pf_prefix_key k = pf_prefix_key_of(pf_content_af(f), &n->addr,
						  (uint8_t)(n->bits - PF_TABLE_NOT_BITS), true, 0);
	struct pf_prefix p = pf_prefix_of_key(&k);

	return table && table->written && has(&table->set[f], &p);
}

void pf_nots_clean(const struct pf_tables *t)
{
	struct pf_table_not key, next;
	int err = bpf_map_get_next_key(map_of(t), NULL, &next);

	while (!err) {
		key = next;
		err = bpf_map_get_next_key(map_of(t), &key, &next);
		if (!is_entry(t, &key))
			bpf_map_delete_elem(map_of(t), &key);
	}
}
