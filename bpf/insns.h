/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Functions that go into generated programs: maps are numbers, for the emitter to replace. */
#ifndef PF_BPF_INSNS_H
#define PF_BPF_INSNS_H

#include "base.h"

#include "../compiler/code_maps.h"

#define map_by_number(number)                                                      \
	({                                                                         \
		void *map_;                                                        \
		asm("%0 = %1 ll" : "=r"(map_) : "i"(PF_CODE_MAP_MARK + (number))); \
		map_;                                                              \
	})

#endif /* PF_BPF_INSNS_H */
