/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers that can be had again: splitmix64. */
#ifndef PF_SELFTESTS_UNIT_RND_H
#define PF_SELFTESTS_UNIT_RND_H

#include <stdbool.h>
#include <stdint.h>

struct rnd {
	uint64_t s;
};

static inline uint64_t rnd_next(struct rnd *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline uint32_t rnd_below(struct rnd *r, uint32_t n)
{
	return (uint32_t)(rnd_next(r) >> 16) % n;
}

static inline bool rnd_percent(struct rnd *r, uint32_t percent)
{
	return rnd_below(r, 100) < percent;
}

#define rnd_pick(r, array) ((array)[rnd_below((r), sizeof(array) / sizeof((array)[0]))])

#endif /* PF_SELFTESTS_UNIT_RND_H */
