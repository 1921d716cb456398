// SPDX-License-Identifier: BSD-2-Clause
/*
 * written PINDIR TABLE on|off: tells a firewall whose pfd is not there that the datapath
 * adds addresses to one of its tables, or does no more; as pfd will for `overload'.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../loader/pin.h"
#include "../../loader/tabledelta.h"

static struct pf_table *find(const struct pf_tables *t, const char *name)
{
	for (uint32_t i = 1; i < PF_MAX_TABLES; i++)
		if (t->slot[i] && strcmp(t->slot[i]->name, name) == 0)
			return t->slot[i];
	return NULL;
}

static int change(struct pf_tables *t, const char *name, bool on, struct pf_error_text *e)
{
	int err = pf_tables_adopt(t, e);
	struct pf_table *table = err ? NULL : find(t, name);

	if (err)
		return err;
	return table ? pf_table_set_written(t, table, on, e)
		     : pf_fail(e, -1, "no table <%s>", name);
}

int main(int argc, char **argv)
{
	static struct pf_datapath dp;
	static struct pf_tables t;
	struct pf_error_text e;
	int err;

	if (argc != 4)
		return 2;
	pf_say_init(false);
	pf_libbpf_quiet();
	err = pf_datapath_open(&dp, argv[1], 1, &e);
	if (!err && !dp.adopted)
		err = pf_fail(&e, -1, "%s holds no firewall", argv[1]);
	if (!err)
		err = pf_tables_open(&t, &dp, &e);
	if (!err)
		err = change(&t, argv[2], strcmp(argv[3], "on") == 0, &e);
	if (err)
		fprintf(stderr, "%s\n", e.text);
	pf_tables_close(&t);
	pf_datapath_close(&dp);
	return err ? 1 : 0;
}
