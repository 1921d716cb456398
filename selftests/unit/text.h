/* SPDX-License-Identifier: BSD-2-Clause */
/* Text in memory, and rules as text; the caller frees it, or text_auto does. */
#ifndef PF_SELFTESTS_UNIT_TEXT_H
#define PF_SELFTESTS_UNIT_TEXT_H

#include <stdio.h>
#include <stdlib.h>

#include "../../grammar/print.h"
#include "../../grammar/rule.h"

/* Freed at the end of the block. */
typedef char *text_pointer; /* so that one line declares several */
static inline void text_freep(text_pointer *p)
{
	free(*p);
	*p = NULL;
}
#define text_auto __attribute__((cleanup(text_freep))) text_pointer

/* What is written to the stream is in *text when it is closed. */
static inline FILE *text_open(char **text)
{
	static size_t n; /* of whichever was closed last: nobody asks */
	FILE *f;

	*text = NULL;
	f = open_memstream(text, &n);
	if (!f)
		abort();
	return f;
}

static inline char *rule_text(const struct pf_rule *r, size_t nr, unsigned int flags)
{
	char *text;
	FILE *f = text_open(&text);

	pf_rule_print(f, r, nr, flags);
	fclose(f);
	return text;
}

static inline char *ruleset_text(const struct pf_ruleset *rs, unsigned int flags)
{
	char *text;
	FILE *f = text_open(&text);

	pf_ruleset_print(f, rs, flags);
	fclose(f);
	return text;
}

/* Tables and rules of the main ruleset: what -v echoes of a file is not sent to pfd. */
static inline char *content_text(const struct pf_ruleset *rs)
{
	char *text;
	FILE *f = text_open(&text);

	for (size_t i = 0; i < rs->main.ntables; i++)
		pf_table_print(f, &rs->main.tables[i]);
	for (size_t i = 0; i < pf_filter(rs)->n; i++)
		pf_rule_print(f, &pf_filter(rs)->v[i], i, 0);
	fclose(f);
	return text;
}

#endif /* PF_SELFTESTS_UNIT_TEXT_H */
