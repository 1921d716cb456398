/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the parser: what lexer, grammar, expansion and diagnostics share.
 * Nodes live in the parser's statement arena, which is emptied after each
 * statement; what outlives one is copied into the ruleset.
 */
#ifndef PF_GRAMMAR_PARSER_H
#define PF_GRAMMAR_PARSER_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "arena.h"
#include "parse.h"
#include "rule.h"

/* A place in the text: a token, or a run of them that begins there. */
struct pf_loc {
	uint32_t line;
	uint32_t col;	  /* both from 1 */
	uint32_t end_col; /* behind the last character, on the same line */
	size_t line_at;	  /* offset of the line's first character */
};

/* A list is linked in the order of the text. */
struct pf_node_if {
	struct pf_node_if *next;
	struct pf_loc loc;
	const char *name;
	bool neg;
};

struct pf_node_proto {
	struct pf_node_proto *next;
	uint8_t proto;
};

struct pf_node_icmp {
	struct pf_node_icmp *next;
	struct pf_loc loc;
	uint16_t type; /* + 1 */
	uint16_t code; /* + 1 */
	uint8_t proto;
};

struct pf_node_host {
	struct pf_node_host *next;
	struct pf_loc loc;
	struct pf_rule_host host;
};

struct pf_node_port {
	struct pf_node_port *next;
	struct pf_loc loc;
	struct pf_rule_port port;
};

/* A list's two ends; appending costs nothing. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type */
#define PF_LIST(type)        \
	struct {             \
		type *first; \
		type *last;  \
	}
/* NOLINTEND(bugprone-macro-parentheses) */
typedef PF_LIST(struct pf_node_if) pf_if_list;
typedef PF_LIST(struct pf_node_proto) pf_proto_list;
typedef PF_LIST(struct pf_node_icmp) pf_icmp_list;
typedef PF_LIST(struct pf_node_host) pf_host_list;
typedef PF_LIST(struct pf_node_port) pf_port_list;

#define pf_list_join(a, b)                          \
	do {                                        \
		if ((a).last)                       \
			(a).last->next = (b).first; \
		else                                \
			(a).first = (b).first;      \
		if ((b).last)                       \
			(a).last = (b).last;        \
	} while (0)

#define pf_list_one(node)      \
	{                      \
		(node), (node) \
	}

/* What a token or a part of a statement means to the grammar. */
union pf_value {
	const char *string;
	long long number;
	int code;
	pf_if_list ifs;
	pf_proto_list protos;
	pf_icmp_list icmp;
	pf_host_list hosts;
	pf_port_list ports;
	struct {
		pf_host_list hosts;
		pf_port_list ports;
	} peer;
	struct pf_rule_port port;
};

/* Options of a filter rule; `seen` has a bit for each that was given. */
enum {
	PF_OPT_FLAGS = 1,
	PF_OPT_ICMP = 2,
	PF_OPT_STATE = 4,
	PF_OPT_LABEL = 8,
	PF_OPT_ALLOW_OPTS = 16,
	PF_OPT_FRAGMENT = 32,
};

/* One filter rule as written, before its lists are multiplied. */
struct pf_stmt_rule {
	struct pf_loc loc;
	struct pf_rule rule; /* all that is no list */
	pf_if_list ifs;
	pf_proto_list protos;
	pf_host_list src, dst;
	pf_port_list sport, dport;
	pf_icmp_list icmp;
	struct pf_loc flags_loc, icmp_loc, state_loc, label_loc, block_loc;
	unsigned int seen;
};

struct pf_macro {
	struct pf_macro *next;
	const char *name;
	const char *value;
	bool define; /* from the command line: stays */
};

#define PF_MACRO_BUCKETS  256
#define PF_EXPAND_DEPTH	  32
#define PF_EXPAND_LARGEST ((size_t)8 << 20) /* bytes in one statement */

/* Text that grows; with a NUL behind it. */
struct pf_text {
	char *text;
	size_t len, size;
};

/* Longer than anybody writes: a list of all networks of the world in one macro. */
#define PF_STRING_LARGEST ((size_t)1 << 20)

struct pf_parser {
	const struct pf_parse_options *opt;
	struct pf_ruleset *rs;
	FILE *err;
	unsigned int nerrors, max_errors;
	bool nomem;

	/* the text and where the lexer stands in it */
	const char *text;
	size_t len;
	size_t fed; /* given to flex */
	size_t at;  /* matched by flex */
	size_t line_at;
	uint32_t line;
	bool ended; /* the last newline has been made */

	/* macros being expanded: tokens from them have the place of the outermost use */
	unsigned int depth;
	size_t expanded;
	struct pf_loc expand_loc;

	/* the quoted string at hand */
	struct pf_text string;
	struct pf_loc string_loc;
	char string_quote;
	bool string_bad; /* an error has been reported */

	/* statements: braces open, and skipping after an error */
	unsigned int braces;
	bool recover;
	bool skip_block; /* what is skipped may have a block of statements */
	bool have_pending;
	int pending;
	union pf_value pending_value;
	struct pf_loc pending_loc;

	/* the value of the macro at hand, put together */
	struct pf_text value;

	struct pf_arena macro_arena;
	struct pf_macro *macros[PF_MACRO_BUCKETS];

	struct pf_arena stmt_arena;
	struct pf_stmt_rule stmt;
	const char *unbuilt; /* the newest word that is known, but not built */
	struct pf_table_def *table;
	bool table_scrap; /* it is not the ruleset's: its name was bad */
};

/* --- diag.c --- */

/* Writes one error with its line and a caret, and counts it. */
__attribute__((format(printf, 3, 4))) void pf_error(struct pf_parser *p, const struct pf_loc *loc,
						    const char *fmt, ...);
/* Out of memory: said once, at the end. */
void pf_error_nomem(struct pf_parser *p);
/* Enough errors: the rest of the text is not worth reading. */
bool pf_error_full(const struct pf_parser *p);

/* --- memory of the statement at hand --- */

void *pf_stmt_alloc(struct pf_parser *p, size_t size);
#define pf_stmt_new(p, type) ((type *)pf_stmt_alloc((p), sizeof(type)))
const char *pf_stmt_strndup(struct pf_parser *p, const char *s, size_t len);
__attribute__((format(printf, 2, 3))) const char *pf_stmt_printf(struct pf_parser *p,
								 const char *fmt, ...);
void pf_stmt_reset(struct pf_parser *p);

/* Appends to t, which is free()d at the end. */
void pf_text_add(struct pf_parser *p, struct pf_text *t, const char *more, size_t len);

/* --- macro.c --- */

/* False when memory is short. */
bool pf_macro_set(struct pf_parser *p, const char *name, const char *value, bool define);
/* NULL if there is no such macro. */
const char *pf_macro_get(const struct pf_parser *p, const char *name);

/* --- host.c --- */

#define PF_NO_BITS LLONG_MIN

/*
 * An address, prefix or host name as written, bits PF_NO_BITS if no "/n" was.  Appends
 * one node or, for a name with several addresses, more.  Errors are reported.
 */
void pf_host_add(struct pf_parser *p, const struct pf_loc *loc, const char *text, long long bits,
		 pf_host_list *list);

/* --- expand.c --- */

/* The statement's rule times all its lists, checked, into the ruleset. */
void pf_expand_rule(struct pf_parser *p);

/* --- lex.l, parse.y --- */

int pf_yylex_init_extra(struct pf_parser *p, void **scanner);
/* Out of all macros, wherever parsing has ended. */
void pf_lex_unwind(struct pf_parser *p, void *scanner);
int pf_yylex_destroy(void *scanner);
int pf_gram_lex(union pf_value *value, struct pf_loc *loc, struct pf_parser *p, void *scanner);

#endif /* PF_GRAMMAR_PARSER_H */
