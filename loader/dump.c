// SPDX-License-Identifier: BSD-2-Clause
#include "dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct part {
	const char *name;
	size_t fd; /* offset of the descriptor in struct pf_generation */
};

/* Named as below PINDIR/gen/ID, where all of them are pinned. */
static const struct part parts[] = {
	{"rules", offsetof(struct pf_generation, program.prog)},
	{"infos", offsetof(struct pf_generation, program.infos)},
	{"nats", offsetof(struct pf_generation, program.nats)},
	{"evals", offsetof(struct pf_generation, program.evals)},
	{"ifaces", offsetof(struct pf_generation, program.ifaces)},
	{"ifaces_far", offsetof(struct pf_generation, program.ifaces_far)},
	{"jump", offsetof(struct pf_generation, program.jump)},
	{"sets", offsetof(struct pf_generation, program.sets)},
	{"calls", offsetof(struct pf_generation, program.calls)},
	{"callees", offsetof(struct pf_generation, program.callees)},
	{"nodes", offsetof(struct pf_generation, program.nodes)},
	{"entries", offsetof(struct pf_generation, program.entries)},
	{"tree_rules", offsetof(struct pf_generation, program.rules)},
	{"tables", offsetof(struct pf_generation, bound)},
	{"model", offsetof(struct pf_generation, model)},
};
#define NPARTS (sizeof(parts) / sizeof(parts[0]))

/* What the kernel holds for a map or a program; 0 if it does not say. */
static uint64_t kernel_bytes(int fd)
{
	char path[64], line[128];
	uint64_t bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock:\t%" SCNu64, &bytes) == 1)
			break;
	if (f)
		fclose(f);
	return bytes;
}

static size_t measure(const struct pf_generation *gen, struct pf_describe_part out[NPARTS])
{
	size_t n = 0;

	for (size_t i = 0; i < NPARTS; i++) {
		int fd = *(const int *)((const char *)gen + parts[i].fd);

		if (fd >= 0)
			out[n++] = (struct pf_describe_part){parts[i].name, kernel_bytes(fd)};
	}
	return n;
}

static struct pf_describe_table table(void *ctx, uint32_t set, const char *name)
{
	const struct pf_generation *gen = ctx;
	const struct pf_binding *b = pf_generation_table(gen, gen->policy->sets[set].path, name);

	if (!b)
		b = pf_generation_table(gen, "", name);
	return (struct pf_describe_table){.name = name,
					  .path = b ? b->table->path : "",
					  .addresses = b ? b->table->entries : 0};
}

int pf_dump_text(const struct pf_generation *gen, enum pf_emitter asked, bool all, char **text,
		 size_t *len)
{
	struct pf_describe_part have[NPARTS];
	const struct pf_describe_env env = {.asked = asked,
					    .all = all,
					    .parts = have,
					    .nparts = measure(gen, have),
					    .table = table,
					    .ctx = (void *)gen};
	char *buf = NULL;
	size_t n;
	FILE *f = open_memstream(&buf, &n);
	int err;

	if (!f)
		return -ENOMEM;
	err = pf_compiled_describe(f, gen->policy, gen->code, &env);
	/* ferror: memory was short in between */
	if (ferror(f))
		err = -ENOMEM;
	if (fclose(f))
		err = -ENOMEM;
	if (err) {
		free(buf);
		return err;
	}
	*text = buf;
	*len = n;
	return 0;
}
