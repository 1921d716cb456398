// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* The meters of rules as a function for generated programs, as bpf/ranges.bpf.c is for tables. */
#include "insns.h"
#define THRESHOLD_SUB inline_always
#include "meter.h"

int pf_meter(__u32 rule, __u32 ask)
{
	__u32 zero = 0, id = rule;
	struct pf_pkt *p = bpf_map_lookup_elem(map_by_number(PF_CODE_SCRATCH), &zero);
	struct pf_meter *m = bpf_map_lookup_elem(map_by_number(PF_CODE_METERS), &id);

	return meter_ask(m, p, ask);
}
