/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing BPF instructions: a growing program with relocations. */
#ifndef PF_COMPILER_CODE_H
#define PF_COMPILER_CODE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

struct pf_code {
	struct bpf_insn *insns;
	size_t n, capacity;
	struct pf_reloc *relocs;
	size_t nrelocs, relocs_capacity;
	size_t branches; /* conditional jumps */
	size_t calls;	 /* of helpers */
	bool failed;	 /* memory was short: what follows is not worth having */
};

void pf_code_free(struct pf_code *c);

/* Each returns the instruction's number. */
size_t pf_code_put(struct pf_code *c, struct bpf_insn insn);
size_t pf_code_map(struct pf_code *c, int reg, enum pf_code_map map);

/* dst = *(u8, u16, u32, u64 *)(src + off) */
size_t pf_code_load(struct pf_code *c, int size, int dst, int src, size_t off);
/* *(size *)(dst + off) = src; = imm */
size_t pf_code_store(struct pf_code *c, int size, int dst, size_t off, int src);
size_t pf_code_store_imm(struct pf_code *c, int size, int dst, int off, int32_t imm);
/* 64-bit dst op= src, op= imm; 32-bit dst op= imm, op= src */
size_t pf_code_alu(struct pf_code *c, int op, int dst, int src);
size_t pf_code_alu_imm(struct pf_code *c, int op, int dst, int32_t imm);
size_t pf_code_alu32(struct pf_code *c, int op, int dst, int src);
size_t pf_code_alu32_imm(struct pf_code *c, int op, int dst, int32_t imm);
/* dst from network to host order */
size_t pf_code_host_order32(struct pf_code *c, int reg);
/* if (dst op imm) goto: 32-bit, and 64-bit for pointers; pf_code_land() says where. */
size_t pf_code_jump32(struct pf_code *c, int op, int reg, int32_t imm);
size_t pf_code_jump(struct pf_code *c, int op, int reg, int32_t imm);
size_t pf_code_goto(struct pf_code *c);
size_t pf_code_call(struct pf_code *c, int helper);
size_t pf_code_exit(struct pf_code *c);

/* Functions behind a program. */
enum pf_code_func {
	PF_CODE_IN_TABLE,
	PF_CODE_TRANSLATE,
	PF_CODE_ASK_LIMITS,
	PF_CODE_METER,
};

/* A call of a function that pf_code_function() gives its place; and its instructions. */
size_t pf_code_call_function(struct pf_code *c, enum pf_code_func which);
void pf_code_function(struct pf_code *c, enum pf_code_func which, const uint64_t *insns, size_t n);

/* Lets the jump at `from` land on `to`; false if that is too far for 16 bits. */
bool pf_code_land(struct pf_code *c, size_t from, size_t to);

#endif /* PF_COMPILER_CODE_H */
