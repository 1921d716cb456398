/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps that a generated program refers to; the loader puts their descriptors in. */
#ifndef PF_COMPILER_CODE_MAPS_H
#define PF_COMPILER_CODE_MAPS_H

enum pf_code_map {
	PF_CODE_SCRATCH,
	PF_CODE_COUNTERS,
	PF_CODE_TABLES,
	PF_CODE_TABLE_NODES,
	PF_CODE_TABLE_DELTA,
	PF_CODE_TABLE_NOTS,
	PF_CODE_CONFIG,
	PF_CODE_INFOS,	    /* ARRAY of struct pf_rule_info, see struct pf_compiled */
	PF_CODE_EVALS,	    /* PERCPU_ARRAY, one value of nevals u64 */
	PF_CODE_IFACES,	    /* ARRAY of struct pf_ifmask, by ifindex below PF_IFACE_DIRECT */
	PF_CODE_IFACES_FAR, /* HASH of the same, by any other ifindex */
	PF_CODE_NATS,	    /* ARRAY of struct pf_nat */
	PF_CODE_LIMITERS,   /* ARRAY of struct pf_limiter */
	PF_CODE_LIMITED,    /* HASH of struct pf_limited: their sources */
	PF_CODE_METERS,	    /* HASH of struct pf_meter, by the ids of rules */
	PF_CODE_JUMP,	    /* the generation's PROG_ARRAY */
	PF_CODE_MAP_MAX,
};

/* In instructions that clang has made: the immediate that stands for map 0. */
#define PF_CODE_MAP_MARK 0x70660000

#endif /* PF_COMPILER_CODE_MAPS_H */
