/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An interpreter of the eBPF that the compiler writes, as strict as the verifier
 * where that is cheap: a register or a byte of the stack is read only after it
 * was written, memory only inside of a region and aligned.  Jumps go forward, but in
 * a function that the program calls, which has only so many steps.
 */
#ifndef PF_SELFTESTS_UNIT_BPFVM_H
#define PF_SELFTESTS_UNIT_BPFVM_H

#include <endian.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VM_STACK       512
#define VM_REGIONS     16
#define VM_HELPER_RUIN 0x3e /* registers that a call leaves undefined: r1 to r5 */
#define VM_STEPS       5000 /* of a function */

struct vm_region {
	uint64_t base;
	size_t size;
	bool writable;
};

enum vm_end { VM_EXIT, VM_TAIL_CALL, VM_ERROR };

struct vm {
	const struct bpf_insn *insns;
	size_t ninsns;
	struct vm_region regions[VM_REGIONS];
	size_t nregions;
	/* Size of the key of the map behind a handle, 0 if it is none; the value, 0 if there is
	 * none. */
	size_t (*key_size)(void *ctx, uint64_t map);
	uint64_t (*lookup)(void *ctx, uint64_t map, const void *key);
	void *ctx;
	uint64_t prog_ctx; /* what the program got in r1 */
	bool tail_call_fails;
	bool *visited; /* NULL, or ninsns of them */

	/* the result */
	uint64_t r0;
	uint64_t tail_map, tail_index;
	const char *error;
	size_t pc, steps;

	uint64_t reg[11];
	unsigned int known; /* registers with a value: a bit for each */
	uint8_t stack[VM_STACK] __attribute__((aligned(8)));
	bool stack_known[VM_STACK];
	/* a function's frame is the stack's lower half; who called it */
	bool in_function;
	size_t return_to, function_steps;
	uint64_t saved[11];
};

static inline void vm_region_add(struct vm *vm, const void *base, size_t size, bool writable)
{
	vm->regions[vm->nregions++] = (struct vm_region){(uint64_t)(uintptr_t)base, size, writable};
}

static inline enum vm_end vm_fail(struct vm *vm, const char *what)
{
	vm->error = what;
	return VM_ERROR;
}

static inline size_t vm_size_of(uint8_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return 1;
	case BPF_H:
		return 2;
	case BPF_W:
		return 4;
	default:
		return 8;
	}
}

/* Bytes of the stack have a state of their own. */
static inline bool vm_stack_ok(struct vm *vm, uint64_t addr, size_t size, bool write)
{
	size_t at = (size_t)(addr - (uint64_t)(uintptr_t)vm->stack);

	for (size_t i = 0; i < size; i++) {
		if (write)
			vm->stack_known[at + i] = true;
		else if (!vm->stack_known[at + i])
			return false;
	}
	return true;
}

/* The memory at addr, or NULL with an error. */
static inline void *vm_memory(struct vm *vm, uint64_t addr, size_t size, bool write)
{
	const uint64_t stack = (uint64_t)(uintptr_t)vm->stack;

	if (addr >= stack && addr - stack <= VM_STACK - size) {
		if (vm_stack_ok(vm, addr, size, write))
			return (void *)(uintptr_t)addr;
		vm->error = "read of a part of the stack that was not written";
		return NULL;
	}
	for (size_t i = 0; i < vm->nregions; i++) {
		const struct vm_region *r = &vm->regions[i];

		if (addr < r->base || size > r->size || addr - r->base > r->size - size)
			continue;
		if (!write || r->writable)
			return (void *)(uintptr_t)addr;
		vm->error = "write to memory that is read only";
		return NULL;
	}
	vm->error = addr < 4096 ? "access through a null pointer" : "access out of bounds";
	return NULL;
}

static inline bool vm_alu(uint8_t op, bool wide, uint64_t *dst, uint64_t src)
{
	uint64_t a = *dst, r;

	switch (op) {
	case BPF_ADD:
		r = a + src;
		break;
	case BPF_SUB:
		r = a - src;
		break;
	case BPF_AND:
		r = a & src;
		break;
	case BPF_OR:
		r = a | src;
		break;
	case BPF_XOR:
		r = a ^ src;
		break;
	case BPF_LSH:
		r = a << (src & (wide ? 63 : 31));
		break;
	case BPF_RSH:
		r = wide ? a >> (src & 63) : (uint32_t)a >> (src & 31);
		break;
	case BPF_ARSH:
		r = wide ? (uint64_t)((int64_t)a >> (src & 63))
			 : (uint64_t)((int32_t)a >> (src & 31));
		break;
	case BPF_MOV:
		r = src;
		break;
	default:
		return false;
	}
	*dst = wide ? r : (uint32_t)r;
	return true;
}

/* To big-endian: the bits of the number are given. */
static inline bool vm_swap(int32_t bits, uint64_t *v)
{
	switch (bits) {
	case 16:
		*v = htobe16((uint16_t)*v);
		return true;
	case 32:
		*v = htobe32((uint32_t)*v);
		return true;
	case 64:
		*v = htobe64(*v);
		return true;
	default:
		return false;
	}
}

/* 1 if the condition holds, 0 if not, -1 if it is none. */
static inline int vm_compare(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return (a & b) != 0;
	default:
		return -1;
	}
}

static inline bool vm_known(struct vm *vm, unsigned int reg)
{
	if (reg <= 10 && vm->known & 1U << reg)
		return true;
	vm->error = "read of a register without a value";
	return false;
}

static inline bool vm_set(struct vm *vm, unsigned int reg, uint64_t v)
{
	if (reg >= 10) {
		vm->error = "write to r10";
		return false;
	}
	vm->reg[reg] = v;
	vm->known |= 1U << reg;
	return true;
}

/* Loads and stores; false is an error. */
static inline bool vm_access(struct vm *vm, const struct bpf_insn *in)
{
	const bool load = BPF_CLASS(in->code) == BPF_LDX;
	const unsigned int base = load ? in->src_reg : in->dst_reg;
	const size_t size = vm_size_of(in->code);
	uint64_t addr, v = 0;
	void *p;

	if (BPF_MODE(in->code) != BPF_MEM || !vm_known(vm, base))
		return false;
	addr = vm->reg[base] + (uint64_t)(int64_t)in->off;
	if (addr % size) {
		vm->error = "access that is not aligned";
		return false;
	}
	p = vm_memory(vm, addr, size, !load);
	if (!p)
		return false;
	if (load) {
		switch (size) {
		case 1:
			v = *(uint8_t *)p;
			break;
		case 2:
			v = *(uint16_t *)p;
			break;
		case 4:
			v = *(uint32_t *)p;
			break;
		default:
			v = *(uint64_t *)p;
			break;
		}
		return vm_set(vm, in->dst_reg, v);
	}
	if (BPF_CLASS(in->code) == BPF_STX) {
		if (!vm_known(vm, in->src_reg))
			return false;
		v = vm->reg[in->src_reg];
	} else {
		v = (uint64_t)(int64_t)in->imm;
	}
	switch (size) {
	case 1:
		*(uint8_t *)p = (uint8_t)v;
		break;
	case 2:
		*(uint16_t *)p = (uint16_t)v;
		break;
	case 4:
		*(uint32_t *)p = (uint32_t)v;
		break;
	default:
		*(uint64_t *)p = v;
		break;
	}
	return true;
}

/* True if the program goes on behind the call. */
static inline bool vm_call(struct vm *vm, int32_t helper, enum vm_end *end)
{
	const uint64_t *r = vm->reg;
	size_t size;
	void *key;

	*end = VM_ERROR;
	if (helper == BPF_FUNC_tail_call) {
		if (!vm_known(vm, 1) || !vm_known(vm, 2) || !vm_known(vm, 3))
			return false;
		if (r[1] != vm->prog_ctx || vm->key_size(vm->ctx, r[2]) != 4) {
			vm->error = "tail call with bad arguments";
			return false;
		}
		vm->tail_map = r[2];
		vm->tail_index = r[3];
		*end = VM_TAIL_CALL;
		vm->known &= ~(unsigned int)VM_HELPER_RUIN;
		vm_set(vm, 0, (uint64_t)-2);
		return vm->tail_call_fails;
	}
	if (helper != BPF_FUNC_map_lookup_elem) {
		vm->error = "call of a helper that is not known";
		return false;
	}
	if (!vm_known(vm, 1) || !vm_known(vm, 2))
		return false;
	size = vm->key_size(vm->ctx, r[1]);
	if (!size) {
		vm->error = "look-up in what is no map";
		return false;
	}
	key = vm_memory(vm, r[2], size, false);
	if (!key)
		return false;
	vm->known &= ~(unsigned int)VM_HELPER_RUIN;
	return vm_set(vm, 0, vm->lookup(vm->ctx, r[1], key));
}

/* *target: where it goes on; false is an error. */
static inline bool vm_jump(struct vm *vm, const struct bpf_insn *in, size_t *target)
{
	const bool wide = BPF_CLASS(in->code) == BPF_JMP;
	uint64_t a, b;
	int yes = 1;

	if (BPF_OP(in->code) != BPF_JA) {
		if (!vm_known(vm, in->dst_reg))
			return false;
		if (BPF_SRC(in->code) == BPF_X && !vm_known(vm, in->src_reg))
			return false;
		a = vm->reg[in->dst_reg];
		b = BPF_SRC(in->code) == BPF_X ? vm->reg[in->src_reg] : (uint64_t)(int64_t)in->imm;
		yes = vm_compare(BPF_OP(in->code), wide ? a : (uint32_t)a, wide ? b : (uint32_t)b);
	}
	if (yes < 0 || (in->off < 0 && !vm->in_function)) {
		vm->error = yes < 0 ? "jump that is not known" : "jump backwards";
		return false;
	}
	*target = (size_t)((long)vm->pc + 1 + (yes ? in->off : 0));
	return true;
}

/* Into a function of the program's own: it gets r1 to r5, and a frame. */
static inline bool vm_enter(struct vm *vm, const struct bpf_insn *in, size_t *target)
{
	if (vm->in_function || in->imm < 0) {
		vm->error = "call in a function, or backwards";
		return false;
	}
	memcpy(vm->saved, vm->reg, sizeof(vm->saved));
	memset(vm->stack_known, 0, VM_STACK / 2);
	vm->in_function = true;
	vm->function_steps = 0;
	vm->return_to = vm->pc + 1;
	vm->reg[10] -= VM_STACK / 2;
	vm->known = (vm->known & VM_HELPER_RUIN) | 1U << 10;
	*target = vm->pc + 1 + (size_t)in->imm;
	return true;
}

static inline bool vm_leave(struct vm *vm)
{
	if (!vm_known(vm, 0))
		return false;
	/* r6 to r9 are as they were; all of them had a value, or will not be read */
	memcpy(&vm->reg[6], &vm->saved[6], 5 * sizeof(vm->reg[0]));
	vm->known = 1U | 0x7c0U;
	vm->in_function = false;
	vm->pc = vm->return_to;
	return true;
}

/* One instruction but for the end of the program; false is an error, or *end. */
static inline bool vm_step(struct vm *vm, enum vm_end *end)
{
	const struct bpf_insn *in = &vm->insns[vm->pc];
	const uint8_t cls = BPF_CLASS(in->code);
	size_t next = vm->pc + 1;

	*end = VM_ERROR;
	switch (cls) {
	case BPF_LD:
		if (in->code != (BPF_LD | BPF_IMM | BPF_DW) || next >= vm->ninsns ||
		    vm->insns[next].code)
			return false;
		if (!vm_set(vm, in->dst_reg,
			    (uint32_t)in->imm | (uint64_t)(uint32_t)vm->insns[next].imm << 32))
			return false;
		next++;
		break;
	case BPF_LDX:
	case BPF_ST:
	case BPF_STX:
		if (!vm_access(vm, in))
			return false;
		break;
	case BPF_ALU:
	case BPF_ALU64: {
		const bool x = BPF_SRC(in->code) == BPF_X;
		uint64_t v;

		if (in->code == (BPF_ALU | BPF_END | BPF_TO_BE)) {
			if (!vm_known(vm, in->dst_reg) || !vm_swap(in->imm, &vm->reg[in->dst_reg]))
				return false;
			break;
		}
		if ((x && !vm_known(vm, in->src_reg)) ||
		    (BPF_OP(in->code) != BPF_MOV && !vm_known(vm, in->dst_reg)))
			return false;
		v = vm->reg[in->dst_reg];
		if (!vm_alu(BPF_OP(in->code), cls == BPF_ALU64, &v,
			    x ? vm->reg[in->src_reg] : (uint64_t)(int64_t)in->imm))
			return false;
		if (!vm_set(vm, in->dst_reg, v))
			return false;
		break;
	}
	default:
		if (in->code == (BPF_JMP | BPF_CALL) && in->src_reg == BPF_PSEUDO_CALL) {
			if (!vm_enter(vm, in, &next))
				return false;
		} else if (in->code == (BPF_JMP | BPF_CALL)) {
			if (!vm_call(vm, in->imm, end))
				return false;
		} else if (!vm_jump(vm, in, &next)) {
			return false;
		}
		break;
	}
	vm->pc = next;
	return true;
}

static inline enum vm_end vm_run(struct vm *vm)
{
	enum vm_end end = VM_ERROR;

	vm->known = 1U << 1 | 1U << 10;
	vm->reg[1] = vm->prog_ctx;
	vm->reg[10] = (uint64_t)(uintptr_t)vm->stack + VM_STACK;
	memset(vm->stack_known, 0, sizeof(vm->stack_known));
	vm->error = NULL;
	vm->in_function = false;
	vm->pc = 0;
	/* forward jumps only, and functions end: it ends */
	for (vm->steps = 0; vm->pc < vm->ninsns; vm->steps++) {
		if (vm->visited)
			vm->visited[vm->pc] = true;
		if (vm->in_function && ++vm->function_steps > VM_STEPS)
			return vm_fail(vm, "a function that does not end");
		if (vm->in_function && vm->insns[vm->pc].code == (BPF_JMP | BPF_EXIT)) {
			if (!vm_leave(vm))
				return VM_ERROR;
			continue;
		}
		if (vm->insns[vm->pc].code == (BPF_JMP | BPF_EXIT)) {
			if (!vm_known(vm, 0))
				return VM_ERROR;
			vm->r0 = vm->reg[0];
			return VM_EXIT;
		}
		if (!vm_step(vm, &end)) {
			if (end == VM_ERROR && !vm->error)
				vm->error = "instruction that is not known";
			return end;
		}
	}
	return vm_fail(vm, "it runs off its end");
}

#endif /* PF_SELFTESTS_UNIT_BPFVM_H */
