// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The look-up of tables as a function for generated programs: the build takes its
 * instructions out of the object, compiler/linear.c puts them behind the rules'.
 */
#include "insns.h"

#define RANGE_TABLES map_by_number(PF_CODE_TABLES)
#define RANGE_NODES  map_by_number(PF_CODE_TABLE_NODES)
#define RANGE_DELTA  map_by_number(PF_CODE_TABLE_DELTA)
#define RANGE_NOTS   map_by_number(PF_CODE_TABLE_NOTS)
#define RANGE_SUB    inline_always
#include "ranges.h"

int pf_in_table(__u32 slot, __u32 af, __u64 hi, __u64 lo)
{
	return in_ranges(slot, af, hi, lo);
}
