// SPDX-License-Identifier: BSD-2-Clause
#include "code.h"

#include <stdlib.h>
#include <string.h>

static bool room(void **array, size_t n, size_t *capacity, size_t size)
{
	size_t want;
	void *p;

	if (n < *capacity)
		return true;
	want = *capacity ? *capacity * 2 : 1024;
	p = reallocarray(*array, want, size);
	if (!p)
		return false;
	*array = p;
	*capacity = want;
	return true;
}

void pf_code_free(struct pf_code *c)
{
	free(c->insns);
	free(c->relocs);
	c->insns = NULL;
	c->relocs = NULL;
}

size_t pf_code_put(struct pf_code *c, struct bpf_insn insn)
{
	if (c->failed || !room((void **)&c->insns, c->n, &c->capacity, sizeof(insn))) {
		c->failed = true;
		return 0;
	}
	c->insns[c->n] = insn;
	return c->n++;
}

static size_t put(struct pf_code *c, int code, int dst, int src, int off, int32_t imm)
{
	return pf_code_put(c, (struct bpf_insn){.code = (__u8)code,
						.dst_reg = (__u8)(dst & 15),
						.src_reg = (__u8)(src & 15),
						.off = (__s16)off,
						.imm = imm});
}

size_t pf_code_map(struct pf_code *c, int reg, enum pf_code_map map)
{
	size_t at = put(c, BPF_LD | BPF_IMM | BPF_DW, reg, BPF_PSEUDO_MAP_FD, 0, 0);

	put(c, 0, 0, 0, 0, 0);
	if (c->failed ||
	    !room((void **)&c->relocs, c->nrelocs, &c->relocs_capacity, sizeof(*c->relocs))) {
		c->failed = true;
		return 0;
	}
	c->relocs[c->nrelocs++] = (struct pf_reloc){.insn = (uint32_t)at, .map = map};
	return at;
}

size_t pf_code_load(struct pf_code *c, int size, int dst, int src, size_t off)
{
	return put(c, BPF_LDX | BPF_MEM | size, dst, src, (int)off, 0);
}

size_t pf_code_store(struct pf_code *c, int size, int dst, size_t off, int src)
{
	return put(c, BPF_STX | BPF_MEM | size, dst, src, (int)off, 0);
}

size_t pf_code_store_imm(struct pf_code *c, int size, int dst, int off, int32_t imm)
{
	return put(c, BPF_ST | BPF_MEM | size, dst, 0, off, imm);
}

size_t pf_code_alu(struct pf_code *c, int op, int dst, int src)
{
	return put(c, BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
}

size_t pf_code_alu_imm(struct pf_code *c, int op, int dst, int32_t imm)
{
	return put(c, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

size_t pf_code_alu32(struct pf_code *c, int op, int dst, int src)
{
	return put(c, BPF_ALU | op | BPF_X, dst, src, 0, 0);
}

size_t pf_code_alu32_imm(struct pf_code *c, int op, int dst, int32_t imm)
{
	return put(c, BPF_ALU | op | BPF_K, dst, 0, 0, imm);
}

size_t pf_code_host_order32(struct pf_code *c, int reg)
{
	return put(c, BPF_ALU | BPF_END | BPF_TO_BE, reg, 0, 0, 32);
}

size_t pf_code_jump32(struct pf_code *c, int op, int reg, int32_t imm)
{
	c->branches++;
	return put(c, BPF_JMP32 | op | BPF_K, reg, 0, 0, imm);
}

size_t pf_code_jump(struct pf_code *c, int op, int reg, int32_t imm)
{
	c->branches++;
	return put(c, BPF_JMP | op | BPF_K, reg, 0, 0, imm);
}

size_t pf_code_goto(struct pf_code *c)
{
	return put(c, BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

size_t pf_code_call(struct pf_code *c, int helper)
{
	c->calls++;
	return put(c, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

/* Until it has its place, a call says by its offset which one it calls. */
size_t pf_code_call_function(struct pf_code *c, enum pf_code_func which)
{
	return put(c, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, (int)which + 1, 0);
}

static void land_calls(struct pf_code *c, enum pf_code_func which, size_t end)
{
	for (size_t i = 0; i < end && !c->failed; i++) {
		struct bpf_insn *in = &c->insns[i];

		if (in->code != (BPF_JMP | BPF_CALL) || in->src_reg != BPF_PSEUDO_CALL ||
		    in->off != (int)which + 1)
			continue;
		in->imm = (int32_t)(end - i - 1);
		in->off = 0;
	}
}

void pf_code_function(struct pf_code *c, enum pf_code_func which, const uint64_t *insns, size_t n)
{
	land_calls(c, which, c->n);
	for (size_t i = 0; i < n; i++) {
		struct bpf_insn in;

		memcpy(&in, &insns[i], sizeof(in));
		if (in.code != (BPF_LD | BPF_IMM | BPF_DW) ||
		    (uint32_t)in.imm - PF_CODE_MAP_MARK >= PF_CODE_MAP_MAX) {
			pf_code_put(c, in);
			continue;
		}
		/* of two; the first names the map, if it is no number */
		pf_code_map(c, in.dst_reg, (enum pf_code_map)(in.imm - PF_CODE_MAP_MARK));
		i++;
	}
}

size_t pf_code_exit(struct pf_code *c)
{
	return put(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

bool pf_code_land(struct pf_code *c, size_t from, size_t to)
{
	long off = (long)to - (long)from - 1;

	if (c->failed)
		return true;
	if (off < INT16_MIN || off > INT16_MAX)
		return false;
	c->insns[from].off = (__s16)off;
	return true;
}
