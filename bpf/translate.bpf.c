// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Translation as a function for generated programs, as bpf/ranges.bpf.c is for the
 * look-up of tables.
 */
#include "insns.h"
#include "translate.h"

/* nat: 1 + its index; 0 if all went well. */
int pf_translate(__u32 nat)
{
	__u32 zero = 0, index = nat - 1;
	struct pf_pkt *p = bpf_map_lookup_elem(map_by_number(PF_CODE_SCRATCH), &zero);
	struct pf_nat *n = bpf_map_lookup_elem(map_by_number(PF_CODE_NATS), &index);

	if (!p || !n)
		return 1;
	translate(p, n, nat);
	return 0;
}
