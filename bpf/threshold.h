/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * pf's threshold: what was counted fades over the time that the rate is of.  One word
 * holds the tick of the last one << 32 | thousandths, so that all CPUs count together.
 */
#ifndef PF_BPF_THRESHOLD_H
#define PF_BPF_THRESHOLD_H

#include "base.h"

#define THRESHOLD_TRIES 32 /* each one that fails is another CPU's success */

/* The thousandths that are left of what the word says. */
inline_always __u64 threshold_left(__u64 word, __u32 ticks, __u32 now)
{
	__u32 since = now - (__u32)(word >> 32);
	__u64 n = (__u32)word;

	if ((__s32)since < 0) /* another CPU's clock is ahead */
		since = 0;
	if (!ticks || since >= ticks)
		return 0;
	return n - n * since / ticks;
}

#ifndef THRESHOLD_SUB
#define THRESHOLD_SUB global_sub /* or the verifier looks at it for each try */
#endif

/* One more: the thousandths with this one; 0 if another CPU was faster. */
THRESHOLD_SUB __u32 threshold_try(__u64 *word, __u32 ticks, __u32 now)
{
	__u64 was, n;

	if (!word)
		return 0;
	was = READ_ONCE(*word);
	n = threshold_left(was, ticks, now) + PF_THRESHOLD_ONE;
	if (n > 0xffffffff)
		n = 0xffffffff;
	return __sync_val_compare_and_swap(word, was, (__u64)now << 32 | n) == was ? n : 0;
}

inline_always __u32 threshold_add(__u64 *word, __u32 ticks, __u32 now)
{
	for (int i = 0; i < THRESHOLD_TRIES; i++) {
		__u32 n = threshold_try(word, ticks, now);

		if (n)
			return n;
	}
	return 0xffffffff;
}

#endif /* PF_BPF_THRESHOLD_H */
