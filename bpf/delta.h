/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The datapath adds an address or a network to a table, in the packet's own path: every
 * packet after it, on every CPU, finds it there (ranges.h).  pfd puts it into the table's
 * list and ranges, and only then takes it out of the delta.
 */
#ifndef PF_BPF_DELTA_H
#define PF_BPF_DELTA_H

#include "pf.h"

#define DELTA_EEXIST 17 /* errno */

enum delta_result {
	DELTA_ADDED,
	DELTA_THERE, /* added already, or an entry of the table denies it: as pf, nothing changes */
	DELTA_LOST,  /* no room; counted.  What was to be kept out must be stopped otherwise. */
};

/*
 * The state of the delta is told before there is anything in it.  One that was told
 * already holds: pfd takes it back only after all programs that have read it are over.
 */
inline_always int delta_write(struct pf_table_roots *roots, const struct pf_table_net *key)
{
	const __u32 since = bpf_ktime_get_boot_ns() / 1000000000;
	long err;

	if (READ_ONCE(roots->delta) != PF_DELTA_SOME)
		__sync_lock_test_and_set(&roots->delta, PF_DELTA_SOME);
	err = bpf_map_update_elem(&pf_table_delta, key, &since, BPF_NOEXIST);
	if (!err)
		return DELTA_ADDED;
	/* another CPU was first */
	return err == -DELTA_EEXIST ? DELTA_THERE : DELTA_LOST;
}

/* One after the other, in the same place: 6.1 counts each byte of the stack. */
union delta_key {
	struct pf_table_not denial;
	struct pf_table_net net;
};

/* Does the table deny this prefix, by an entry of just its length? */
inline_always int table_denies(union delta_key *key, __u32 slot, __u32 af, __u32 bits,
			       const struct pf_addr *addr)
{
	const __u32 *of;

	key->denial.bits = PF_TABLE_NOT_BITS + bits;
	key->denial.slot = slot;
	key->denial.af = af;
	for (int i = 0; i < 4; i++)
		key->denial.addr.w[i] = i && af != PF_AF_INET6 ? 0 : addr->w[i];
	of = bpf_map_lookup_elem(&pf_table_nots, &key->denial);
	return of && *of == bits;
}

/*
 * As `pfctl -T add ADDR/BITS': the prefix becomes an entry, even inside of a wider one,
 * unless it is one already, be it negated.  The address is masked, and the length one of
 * roots->nets or a host's.  enum delta_result.
 */
inline_always int table_add_net(__u32 slot, __u32 af, __u32 bits, const struct pf_addr *addr)
{
	struct pf_table_roots *roots = bpf_map_lookup_elem(&pf_tables, &slot);
	int result = DELTA_LOST;
	union delta_key key;

	if (roots && READ_ONCE(roots->writes) == PF_TABLE_OPEN) {
		if (table_denies(&key, slot, af, bits, addr))
			return DELTA_THERE;
		barrier();
		key.net.slot = slot;
		key.net.af = af;
		key.net.bits = bits;
		key.net.pad = 0;
		for (int i = 0; i < 4; i++)
			key.net.addr.w[i] = i && af != PF_AF_INET6 ? 0 : addr->w[i];
		if (bpf_map_lookup_elem(&pf_table_delta, &key.net))
			return DELTA_THERE;
		result = delta_write(roots, &key.net);
	}
	if (result == DELTA_LOST)
		count(PF_CNT_NO_ROOM);
	return result;
}

inline_always int table_add_host(__u32 slot, __u32 af, const struct pf_addr *addr)
{
	return table_add_net(slot, af, af == PF_AF_INET ? 32 : 128, addr);
}

#endif /* PF_BPF_DELTA_H */
