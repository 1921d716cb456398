/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Is an address in a table?  See abi.h for what the words and nodes are.
 *
 * The includer defines RANGE_TABLES, RANGE_NODES, RANGE_DELTA and RANGE_NOTS, the maps, and
 * RANGE_SUB, how a function is declared that is seldom called.  In a leaf nothing is decided by a
 * branch: it could not be foretold, and would cost more than all of the search.  Masks and limits
 * that the nodes themselves would not need are for the verifier, which does not know what stands in
 * them.
 */
#ifndef PF_BPF_RANGES_H
#define PF_BPF_RANGES_H

#include "abi.h"

/* The chunk that a word leads into, and where in it. */
inline_always const __u8 *range_chunk(__u32 word)
{
	__u32 at = word >> PF_RANGE_CHUNK_SHIFT, zero = 0;
	void *chunk = bpf_map_lookup_elem(RANGE_NODES, &at);

	return chunk ? bpf_map_lookup_elem(chunk, &zero) : NULL;
}

inline_always __u64 range_offset(__u32 word)
{
	return (__u64)(word & PF_RANGE_UNIT) * PF_RANGE_UNIT_BYTES;
}

inline_always __u32 range_slot(const __u8 *chunk, __u64 node, __u64 i)
{
	__u64 off = node + sizeof(struct pf_range_split) + i * sizeof(__u32);

	off &= PF_NODE_CHUNK - sizeof(__u32);
	return READ_ONCE(*(const __u32 *)(chunk + off));
}

inline_always int range_verdict(__u32 word, __u64 changes)
{
	return ((word >> PF_RANGE_IN_SHIFT) ^ changes) & 1;
}

/* --- IPv4 --- */

/* 1 if a < b, of numbers below 1 << 63 */
inline_always __u64 below(__u64 a, __u64 b)
{
	a -= b;
	opaque(a);
	return a >> 63;
}

/* How many of k[0], k[step], k[2 * step] are below: with step and all before them sorted. */
inline_always __u64 below4(const __u32 *k, __u64 step, __u64 addr)
{
	return below(k[step - 1], addr) + below(k[2 * step - 1], addr) +
	       below(k[3 * step - 1], addr);
}

inline_always __u64 leaf4_changes(const __u8 *chunk, __u64 node, __u64 addr)
{
	const __u32 *k = (const void *)(chunk + node);
	__u64 n = below4(k, 16, addr) * 16;

	n += below4(k + n, 4, addr) * 4;
	return n + below4(k + n, 1, addr);
}

inline_always int in_ranges4(__u32 word, __u64 addr)
{
	const __u8 *chunk;
	__u64 node;

	for (int depth = 0; depth < PF_RANGE_DEPTH4; depth++) {
		const struct pf_range_split *s;
		__u64 i;

		if (!(word & PF_RANGE_KIND))
			break;
		chunk = range_chunk(word);
		if (!chunk)
			return 0;
		node = range_offset(word);
		if (word & PF_RANGE_LEAF)
			goto leaf;
		s = (const void *)(chunk + node);
		i = addr < s->base.lo ? 0 : (addr - s->base.lo) >> (s->shift & 31);
		if (i > s->last)
			i = s->last;
		word = range_slot(chunk, node, i);
	}
	return range_verdict(word, 0);
leaf: /* out of the loop: it is verified once, and not for each depth */
	return range_verdict(word, leaf4_changes(chunk, node, addr));
}

/* --- IPv6 --- */

/* What a - b - lent borrows from the digit above: the top bit of it. */
inline_always __u64 borrows(__u64 a, __u64 b, __u64 lent)
{
	__u64 d = a - b - lent;

	opaque(d);
	return ((~a & b) | (~(a ^ b) & d)) >> 63;
}

inline_always __u64 below6(const struct pf_range_addr *a, __u64 hi, __u64 lo)
{
	return borrows(a->hi, hi, borrows(a->lo, lo, 0));
}

inline_always __u64 leaf6_changes(const __u8 *chunk, __u64 node, __u64 hi, __u64 lo)
{
	const struct pf_range_addr *k = (const void *)(chunk + node);
	__u64 n = (below6(&k[7], hi, lo) + below6(&k[15], hi, lo) + below6(&k[23], hi, lo)) * 8;

	k += n;
	n += (below6(&k[1], hi, lo) + below6(&k[3], hi, lo) + below6(&k[5], hi, lo)) * 2;
	k = (const struct pf_range_addr *)(const void *)(chunk + node) + n;
	return n + below6(k, hi, lo);
}

/* The slot, or more than the last one. */
inline_always __u64 slot6(const struct pf_range_split *s, __u64 hi, __u64 lo)
{
	__u32 shift = s->shift;
	__u64 less = lo < s->base.lo;

	if (hi < s->base.hi || (hi == s->base.hi && less))
		return 0;
	hi -= s->base.hi + less;
	lo -= s->base.lo;
	if (shift & 64)
		return hi >> (shift & 63);
	shift &= 63;
	if (hi >> shift)
		return ~0ULL;
	return lo >> shift | hi << 1 << (63 - shift);
}

inline_always int in_ranges6(__u32 word, __u64 hi, __u64 lo)
{
	const __u8 *chunk;
	__u64 node;

	for (int depth = 0; depth < PF_RANGE_DEPTH6; depth++) {
		const struct pf_range_split *s;
		__u64 i;

		if (!(word & PF_RANGE_KIND))
			break;
		chunk = range_chunk(word);
		if (!chunk)
			return 0;
		node = range_offset(word);
		if (word & PF_RANGE_LEAF)
			goto leaf;
		s = (const void *)(chunk + node);
		i = slot6(s, hi, lo);
		if (i > s->last)
			i = s->last;
		word = range_slot(chunk, node, i);
	}
	return range_verdict(word, 0);
leaf: /* out of the loop: it is verified once, and not for each depth */
	return range_verdict(word, leaf6_changes(chunk, node, hi, lo));
}

/* --- */

inline_always void delta_addr(struct pf_addr *addr, __u32 af, __u64 hi, __u64 lo)
{
	if (af == PF_AF_INET) {
		addr->w[0] = (__u32)hi;
	} else {
		__builtin_memcpy(&addr->w[0], &hi, sizeof(hi));
		__builtin_memcpy(&addr->w[2], &lo, sizeof(lo));
	}
}

/* The mask of a prefix in the first word of an address. */
inline_always __u64 net_mask(__u32 bits)
{
	return bits < 64 ? bpf_cpu_to_be64(~(~0ULL >> bits)) : ~0ULL;
}

/*
 * Has the table an entry that is longer than these bits and denies the address?  Then none
 * so short decides: that one does, or one that is longer still, and the ranges tell which.
 */
inline_always int denied_within(__u32 slot, __u32 af, __u32 bits, __u64 hi, __u64 lo)
{
	struct pf_table_not key = {.slot = slot, .af = af};
	const __u32 *most;

	key.bits = PF_TABLE_NOT_BITS + (af == PF_AF_INET ? 32 : 128);
	delta_addr(&key.addr, af, hi, lo);
	most = bpf_map_lookup_elem(RANGE_NOTS, &key);
	return most && *most > bits;
}

/* Of the networks whose lengths are in `nets`, is there one that decides? */
inline_always int in_delta_net(struct pf_table_net *key, __u64 nets, __u64 hi, __u64 lo)
{
	const __u32 af = key->af;

	for (int i = 0; i < PF_TABLE_NETS && nets; i++, nets >>= 8) {
		const __u32 bits = (nets & 0xff) - 1;

		key->bits = bits;
		delta_addr(&key->addr, af, hi & net_mask(bits),
			   bits > 64 ? lo & net_mask(bits - 64) : 0);
		if (bpf_map_lookup_elem(RANGE_DELTA, key) &&
		    !denied_within(key->slot, af, bits, hi, lo))
			return 1;
	}
	return 0;
}

/*
 * Has the datapath added it, or a network of its, and the loader not yet put that into the
 * ranges?  A host is the most specific entry, so it decides.  What is in the ranges is in
 * with the network as well; so it decides unless a longer entry denies the address.
 */
RANGE_SUB int in_delta(__u32 slot, __u32 af, __u64 hi, __u64 lo)
{
	const int v4 = af == PF_AF_INET;
	struct pf_table_net key = {.slot = slot, .af = af, .bits = v4 ? 32 : 128};
	const struct pf_table_roots *roots;
	__u64 nets;

	delta_addr(&key.addr, af, hi, lo);
	if (bpf_map_lookup_elem(RANGE_DELTA, &key))
		return 1;
	roots = bpf_map_lookup_elem(RANGE_TABLES, &slot);
	if (!roots)
		return 0;
	nets = v4 ? READ_ONCE(roots->nets[0]) : READ_ONCE(roots->nets[1]);
	return nets && in_delta_net(&key, nets, hi, lo);
}

/*
 * hi, lo: the words of the address as they lie in the packet, an IPv4 one in the first.
 * For tables of which nothing is in the delta that is a load from the line where the words
 * stand, and a jump that is never taken.
 */
inline_always int in_ranges(__u32 slot, __u32 af, __u64 hi, __u64 lo)
{
	const struct pf_table_roots *roots = bpf_map_lookup_elem(RANGE_TABLES, &slot);

	if (!roots)
		return 0;
	if (__builtin_expect(READ_ONCE(roots->delta) != PF_DELTA_NONE, 0) &&
	    in_delta(slot, af, hi, lo))
		return 1;
	if (af == PF_AF_INET)
		return in_ranges4(READ_ONCE(roots->word[0]), bpf_ntohl((__u32)hi));
	return in_ranges6(READ_ONCE(roots->word[1]), bpf_be64_to_cpu(hi), bpf_be64_to_cpu(lo));
}

#endif /* PF_BPF_RANGES_H */
