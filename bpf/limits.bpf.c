// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The question to limiters as a function for generated programs, as bpf/ranges.bpf.c is. */
#include "insns.h"

#define LIMITS_LIMITERS map_by_number(PF_CODE_LIMITERS)
#define LIMITS_SOURCES	map_by_number(PF_CODE_LIMITED)
#include "limits.h"

int pf_ask_limits(__u32 limits)
{
	__u32 zero = 0;
	struct pf_pkt *p = bpf_map_lookup_elem(map_by_number(PF_CODE_SCRATCH), &zero);

	return p ? ask_limits(p, limits) : LIMITS_NO_ROOM;
}
