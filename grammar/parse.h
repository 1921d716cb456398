/* SPDX-License-Identifier: BSD-2-Clause */
/* From the text of a pf.conf to the rule model. */
#ifndef PF_GRAMMAR_PARSE_H
#define PF_GRAMMAR_PARSE_H

#include <stddef.h>
#include <stdio.h>

#include "rule.h"

/* A macro given on the command line: it wins over one of the same name in the file. */
struct pf_define {
	const char *name;
	const char *value;
};

struct pf_parse_options {
	const char *name; /* of the source, for messages */
	const struct pf_define *defines;
	size_t ndefines;
	FILE *err;		 /* where messages go; NULL is stderr */
	unsigned int max_errors; /* then it stops; 0 is 20 */
};

/*
 * Parses len bytes of text.  0 and a ruleset in *out, which the caller frees;
 * -EINVAL when the text has errors, which have been written to opt->err as
 * "name:line:column: message" with the line and a caret; -ENOMEM.  *nerrors, if
 * not NULL, is set in every case; *out only on success.
 */
int pf_parse_text(const char *text, size_t len, const struct pf_parse_options *opt,
		  struct pf_ruleset **out, unsigned int *nerrors);

/*
 * The same for a file, "-" being standard input.  A file that cannot be read is
 * a negative errno with nothing written to opt->err.
 */
int pf_parse_file(const char *path, const struct pf_parse_options *opt, struct pf_ruleset **out,
		  unsigned int *nerrors);

#endif /* PF_GRAMMAR_PARSE_H */
