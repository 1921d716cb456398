/* SPDX-License-Identifier: BSD-2-Clause */
/* From the text of a pf.conf to the rule model. */
#ifndef PF_GRAMMAR_PARSE_H
#define PF_GRAMMAR_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "rule.h"

struct pf_file;

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
	/*
	 * The rules are to be put in force: what the datapath cannot enforce is an error.
	 * Otherwise all of the language is accepted.
	 */
	bool enforce;
	/* Unknown interfaces are taken as there, names are not looked up, missing files are empty.
	 */
	bool offline;
	bool lint;	      /* warnings about what looks wrong */
	bool lint_interfaces; /* also about interfaces that are not there now */
	bool no_dns;	      /* host names are errors */
	bool no_files; /* include, load anchor and table files are errors: for untrusted text */
	/* The path of the anchor that it is for; NULL or "": it is the main ruleset. */
	const char *anchor;
	/* load anchor: where; for messages */
	const struct pf_file *loaded_by;
	unsigned int loaded_line;
	unsigned int load_depth; /* files that load anchors from files; 0 outside */
	/*
	 * enum pf_optimize.  DEFAULT: as set ruleset-optimization says, or basic; others:
	 * set ruleset-optimization is not heeded, nor printed.
	 */
	int optimize;
	/*
	 * For PROFILE: how often each of the main filter rules has matched, an array that is
	 * free()d, or NULL.
	 */
	uint64_t *(*weights)(void *ctx, const struct pf_ruleset *rs);
	void *weights_ctx;
};

/* How parsing went, besides the ruleset. */
struct pf_parse_result {
	unsigned int errors;
	unsigned int warnings;
	/* "file:line: message" of the first error that is not in the first file; or empty */
	char elsewhere[256];
};

/*
 * Parses len bytes of text.  0 and a ruleset in *out, which the caller frees;
 * -EINVAL when the text has errors, which have been written to opt->err as
 * "name:line:column: message" with the line and a caret; -ENOMEM.  *result, if
 * not NULL, is set in every case; *out only on success.
 */
int pf_parse_text(const char *text, size_t len, const struct pf_parse_options *opt,
		  struct pf_ruleset **out, struct pf_parse_result *result);

/*
 * The same for a file, "-" being standard input.  A file that cannot be read is
 * a negative errno with nothing written to opt->err: -EISDIR for a directory,
 * -EFBIG when it is larger than PF_FILES_LARGEST.
 */
int pf_parse_file(const char *path, const struct pf_parse_options *opt, struct pf_ruleset **out,
		  struct pf_parse_result *result);

/* Bytes of one pf.conf with all that it includes. */
#define PF_FILES_LARGEST ((size_t)64 << 20)

#endif /* PF_GRAMMAR_PARSE_H */
