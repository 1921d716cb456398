/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the parser: what lexer, statements, expansion and diagnostics share.
 *
 * It is a recursive-descent parser with one token of lookahead, p->tok.  What is
 * wrong is reported where it is seen, and the token becomes TOK_STOP: nothing
 * accepts that, so that all functions come back without looking at results, and
 * the statement loop skips to the next statement.  Loops over lists end at
 * TOK_STOP, too: see pf_list_more().
 *
 * Nodes and token texts live in the statement's arena, which is emptied after
 * each statement; what outlives one is copied into the ruleset.
 */
#ifndef PF_GRAMMAR_PARSER_H
#define PF_GRAMMAR_PARSER_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "arena.h"
#include "ifdb.h"
#include "parse.h"
#include "rule.h"

/* A text that is parsed; they are kept until the end, for messages. */
struct pf_file {
	struct pf_file *next;
	const char *name;
	const char *text;
	size_t len;
	char *owned;	/* to be freed, or NULL */
	uint16_t index; /* of the ruleset's files */
	dev_t dev;
	ino_t ino;
	const struct pf_file *by; /* included there */
	uint32_t by_line;
};

/* A token came out of macros: the innermost one. */
struct pf_trace {
	const struct pf_trace *outer;
	const char *macro;
	const struct pf_file *file; /* where it was defined; NULL: on the command line */
	uint32_t line;
};

/* A place in the text: a token, or a run of them that begins there. */
struct pf_loc {
	const struct pf_file *file;
	const struct pf_trace *trace;
	uint32_t line;
	uint32_t col;	  /* both from 1 */
	uint32_t end_col; /* behind the last character, on the same line */
	size_t line_at;	  /* offset of the line's first character */
};

/* Single characters are tokens of their own number. */
enum pf_token_kind {
	TOK_END = 256, /* of the last file */
	TOK_NEWLINE,
	TOK_STOP, /* after an error: see above */
	TOK_WORD,
	TOK_STRING, /* in quotes */
	TOK_NUMBER,
	TOK_TABLE,   /* <name>; text is the name */
	TOK_ARROW,   /* -> */
	TOK_OUTSIDE, /* <> */
	TOK_INSIDE,  /* >< */
	TOK_LE,
	TOK_GE,
	TOK_NE,
};

struct pf_token {
	int kind;
	struct pf_loc loc;
	const char *text;
	long long number;
};

/* A list is linked in the order of the text. */
struct pf_node_if {
	struct pf_node_if *next;
	struct pf_loc loc;
	const char *name;
	bool neg;
	bool dynamic; /* antispoof: in parentheses */
	int rdomain;  /* -1: an interface */
};

struct pf_node_proto {
	struct pf_node_proto *next;
	struct pf_loc loc;
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
	const char *scope;  /* of a link-local address: its interface */
	const char *name;   /* from_name: as it was written */
	const char *ifname; /* route-to's "(interface address)" */
	bool no_address;
	bool from_name; /* one of what an interface or a host name stands for */
	uint16_t weight;
};

struct pf_node_port {
	struct pf_node_port *next;
	struct pf_loc loc;
	struct pf_rule_port port;
};

struct pf_node_id {
	struct pf_node_id *next;
	struct pf_loc loc;
	struct pf_rule_id id;
};

struct pf_node_os {
	struct pf_node_os *next;
	struct pf_loc loc;
	const char *name;
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
typedef PF_LIST(struct pf_node_id) pf_id_list;
typedef PF_LIST(struct pf_node_os) pf_os_list;

#define pf_list_add(list, node)                      \
	do {                                         \
		if ((list)->last)                    \
			(list)->last->next = (node); \
		else                                 \
			(list)->first = (node);      \
		(list)->last = (node);               \
	} while (0)

#define pf_list_join(a, b)                                    \
	do {                                                  \
		if ((b)->first) {                             \
			if ((a)->last)                        \
				(a)->last->next = (b)->first; \
			else                                  \
				(a)->first = (b)->first;      \
			(a)->last = (b)->last;                \
		}                                             \
	} while (0)

/* Options of a rule that may be given once; `seen` has a bit for each that was. */
enum {
	PF_SEEN_FLAGS = 1 << 0,
	PF_SEEN_ICMP = 1 << 1,
	PF_SEEN_STATE = 1 << 2,
	PF_SEEN_ALLOW_OPTS = 1 << 3,
	PF_SEEN_FRAGMENT = 1 << 4,
	PF_SEEN_TOS = 1 << 5,
	PF_SEEN_PRIO = 1 << 6,
	PF_SEEN_QUEUE = 1 << 7,
	PF_SEEN_TAG = 1 << 8,
	PF_SEEN_TAGGED = 1 << 9,
	PF_SEEN_PROB = 1 << 10,
	PF_SEEN_RTABLE = 1 << 11,
	PF_SEEN_DIVERT = 1 << 12,
	PF_SEEN_SCRUB = 1 << 13,
	PF_SEEN_NAT = 1 << 14,
	PF_SEEN_RDR = 1 << 15,
	PF_SEEN_ROUTE = 1 << 16,
	PF_SEEN_RECEIVED = 1 << 17,
	PF_SEEN_ONCE = 1 << 18,
	PF_SEEN_PKTRATE = 1 << 19,
	PF_SEEN_SETPRIO = 1 << 20,
	PF_SEEN_SETTOS = 1 << 21,
	PF_SEEN_DELAY = 1 << 22,
	PF_SEEN_DUMMYNET = 1 << 23,
	PF_SEEN_RIDENTIFIER = 1 << 24,
	PF_SEEN_PKTSIZE = 1 << 25,
	PF_SEEN_STATE_LIMITER = 1 << 26,
	PF_SEEN_SOURCE_LIMITER = 1 << 27,
};

/* An address pool as written. */
struct pf_stmt_pool {
	struct pf_loc loc;
	pf_host_list hosts;
	struct pf_pool pool;
	bool given, star; /* star: "port 1024:*" */
	struct pf_loc port_loc, static_loc, mape_loc, type_loc;
};

/* State options as written; `given` has a bit for each enum in state.c. */
struct pf_stmt_state {
	struct pf_state_opts opts;
	unsigned int given;
	uint32_t timeouts_given;
	bool track_given, track_global, lock_given;
};

/* One rule as written, before its lists are multiplied. */
struct pf_stmt_rule {
	struct pf_loc loc;
	struct pf_rule rule; /* all that is no list */
	struct pf_rule_ext x;
	pf_if_list ifs;
	pf_proto_list protos;
	pf_host_list src, dst;
	pf_port_list sport, dport;
	pf_icmp_list icmp;
	pf_id_list users, groups;
	pf_os_list os;
	struct pf_stmt_pool nat, rdr, route, target;
	bool binat; /* binat-to: nat holds its pool */
	bool old;   /* nat, rdr, binat, scrub rules */
	struct pf_stmt_state state;
	pf_host_list divert_hosts;
	bool bad_host; /* an address was wrong: what lacks it is no error of its own */
	struct pf_loc flags_loc, icmp_loc, state_loc, label_loc, block_loc, tag_loc, tagged_loc;
	struct pf_loc route_loc, nat_loc, rdr_loc, divert_loc, log_loc, scrub_loc, os_loc, user_loc;
	struct pf_loc limiter_loc;
	unsigned int seen;
	unsigned int nlabels;
};

struct pf_macro {
	struct pf_macro *next;
	const char *name;
	const char *value;
	const struct pf_file *file; /* where it was defined; NULL: on the command line */
	uint32_t line, col;
	bool define; /* from the command line: stays */
	bool used;
};

#define PF_MACRO_BUCKETS  256
#define PF_EXPAND_DEPTH	  32
#define PF_EXPAND_LARGEST ((size_t)8 << 20) /* bytes in one statement */
#define PF_INCLUDE_DEPTH  16
#define PF_ANCHOR_DEPTH	  64
#define PF_LIST_DEPTH	  128

/* Text that grows; with a NUL behind it. */
struct pf_text {
	char *text;
	size_t len, size;
};

/* Longer than anybody writes: a list of all networks of the world in one macro. */
#define PF_STRING_LARGEST ((size_t)1 << 20)

/* Where characters come from: a file, or a macro's value on top of it. */
struct pf_source {
	struct pf_source *below;
	const struct pf_file *file;
	const char *text;
	size_t len, at;
	size_t line_at;
	uint32_t line;
	bool ended;		      /* the last newline has been made */
	const struct pf_trace *trace; /* macro; NULL for a file */
	struct pf_loc use;	      /* macro: the outermost "$name" */
};

/* A name that rules may refer to: queue or limiter. */
struct pf_named {
	struct pf_named *next;
	const char *name;
	uint8_t id; /* of a limiter */
	char kind;  /* 'q' queue, 's' state limiter, 'r' source limiter */
	struct pf_loc loc;
};

struct pf_ifdb;

struct pf_parser {
	const struct pf_parse_options *opt;
	struct pf_ruleset *rs;
	struct pf_parse_result result;
	FILE *err;
	unsigned int max_errors;
	bool nomem;

	struct pf_file *files;
	size_t files_bytes;
	struct pf_source *src;
	unsigned int depth;	    /* macros being expanded */
	unsigned int include_depth; /* files in files */
	size_t expanded;
	struct pf_token tok;
	int stopped; /* what p->tok was before it became TOK_STOP; 0 nothing */
	int last;    /* the kind of the token before p->tok */
	struct pf_loc last_loc;
	struct pf_text string; /* the quoted string or word at hand */

	/* statements: braces open, and where the enclosing anchor's stand */
	unsigned int braces, base;
	bool recover; /* an error was reported for this statement */
	unsigned int list_depth;
	unsigned int anchor_depth;
	bool in_ether;		/* the braces are an ether anchor's */
	struct pf_block *block; /* where rules go */

	struct pf_arena keep_arena; /* macros, files, names: until the end */
	struct pf_macro *macros[PF_MACRO_BUCKETS];
	struct pf_named *named;

	struct pf_arena stmt_arena;
	struct pf_stmt_rule stmt;
	bool stmt_enforced; /* one complaint of pf_unenforced() a statement is enough */

	struct pf_stmt_state state_defaults;
	bool state_defaults_given;
	struct pf_loc state_defaults_loc;

	struct pf_ifdb *ifdb; /* read when first asked */
};

/* --- diag.c --- */

/* Writes one error with its line and a caret, and counts it. */
__attribute__((format(printf, 3, 4))) void pf_error(struct pf_parser *p, const struct pf_loc *loc,
						    const char *fmt, ...);
__attribute__((format(printf, 3, 4))) void pf_warn(struct pf_parser *p, const struct pf_loc *loc,
						   const char *fmt, ...);
/* The same, of a statement that cannot be gone on with: p->tok becomes TOK_STOP. */
__attribute__((format(printf, 3, 4))) void pf_fatal(struct pf_parser *p, const struct pf_loc *loc,
						    const char *fmt, ...);
/*
 * "syntax error: unexpected ..." about p->tok.  expected: what could stand there, or
 * NULL.  candidates: words of which one may have been meant, ended by NULL, or NULL.
 */
void pf_syntax(struct pf_parser *p, const char *expected, const char *const *candidates);
/* With -f: "what: not enforced yet". */
void pf_unenforced(struct pf_parser *p, const struct pf_loc *loc, const char *what);
/* Out of memory: said once, at the end. */
void pf_error_nomem(struct pf_parser *p);
/* Enough errors: the rest of the text is not worth reading. */
bool pf_error_full(const struct pf_parser *p);
/* From the first to the last of two tokens. */
struct pf_loc pf_loc_span(const struct pf_loc *a, const struct pf_loc *b);

/* The candidate that word may be a misspelling of, or NULL. */
const char *pf_suggest(const char *word, const char *const *candidates);

/* --- memory of the statement at hand --- */

void *pf_stmt_alloc(struct pf_parser *p, size_t size);
#define pf_stmt_new(p, type) ((type *)pf_stmt_alloc((p), sizeof(type)))
const char *pf_stmt_strndup(struct pf_parser *p, const char *s, size_t len);
__attribute__((format(printf, 2, 3))) const char *pf_stmt_printf(struct pf_parser *p,
								 const char *fmt, ...);
/* The ruleset's copy of s, which may be NULL. */
const char *pf_keep(struct pf_parser *p, const char *s);

/* Appends to t, which is free()d at the end. */
void pf_text_add(struct pf_parser *p, struct pf_text *t, const char *more, size_t len);

/* --- macro.c --- */

/* NULL when memory is short. */
struct pf_macro *pf_macro_set(struct pf_parser *p, const char *name, const char *value,
			      bool define);
/* NULL if there is no such macro. */
struct pf_macro *pf_macro_find(const struct pf_parser *p, const char *name);
const char *pf_macro_suggest(struct pf_parser *p, const char *name);
void pf_macro_lint(struct pf_parser *p);

/* --- lex.c --- */

/* The text is read next, until its end; the file is the parser's from now on. */
bool pf_lex_push(struct pf_parser *p, const struct pf_file *file);
void pf_lex_end(struct pf_parser *p);
/* On to the next token. */
void pf_next(struct pf_parser *p);
/* After an error: to the newline that ends the statement at hand, or what begins one. */
void pf_lex_skip(struct pf_parser *p);
/* Is the rest of a macro still to be read? */
bool pf_lex_in_macro(const struct pf_parser *p);

/* --- input.c: files --- */

/* 0 and all of the file in *out, which the caller frees; a negative errno. */
int pf_read_file(const char *path, size_t most, char **out, size_t *len, dev_t *dev, ino_t *ino);

/* --- token.c: what all statements use --- */

static inline bool pf_is(const struct pf_parser *p, int kind)
{
	return p->tok.kind == kind;
}
bool pf_is_word(const struct pf_parser *p, const char *word);
bool pf_accept(struct pf_parser *p, int kind);
bool pf_accept_word(struct pf_parser *p, const char *word);
/* Or a syntax error; `what` as in "expected ...". */
bool pf_expect(struct pf_parser *p, int kind, const char *what);
bool pf_expect_word(struct pf_parser *p, const char *word);
/* A word, not reserved unless `any_word`, or a string: its text, the token is passed; else NULL. */
const char *pf_value(struct pf_parser *p, const char *what, bool any_word);
/* The same, and numbers as their text. */
const char *pf_value_or_number(struct pf_parser *p, const char *what);
/* A number from low to high, also out of a word such as 0x1f; false after an error. */
bool pf_number(struct pf_parser *p, const char *what, long long low, long long high,
	       long long *out);
bool pf_in_range(struct pf_parser *p, const struct pf_loc *loc, const char *what, long long n,
		 long long low, long long high);
/* "a/b" */
bool pf_rate(struct pf_parser *p, const char *what, struct pf_rate *out);

/*
 * Lists: "item" or "{ item, item }", in which lists may be nested.  The loop is
 *	for (pf_list_begin(p, &l); pf_list_more(p, &l);) item();
 */
struct pf_braces {
	unsigned int open;
	bool one, any;
	bool empty_ok; /* set before the loop: "{ }" is fine */
	struct pf_loc loc;
};
void pf_list_begin(struct pf_parser *p, struct pf_braces *l);
bool pf_list_more(struct pf_parser *p, struct pf_braces *l);
void pf_newlines(struct pf_parser *p);

/* Words and what they do, ended by NULL. */
struct pf_handler {
	const char *word;
	void (*handle)(struct pf_parser *p, const struct pf_loc *loc);
};
/* True if the token is one of the words: it is passed and handled. */
bool pf_handle(struct pf_parser *p, const struct pf_handler *handlers);
/* Their words, for suggestions. */
const char *const *pf_handler_words(struct pf_parser *p, const struct pf_handler *a,
				    const struct pf_handler *b);
/* An option was given; twice is an error. */
bool pf_seen(struct pf_parser *p, const struct pf_loc *loc, unsigned int option, const char *name);

/* --- parts.c: interfaces, protocols, ports, users, ICMP types --- */

void pf_parse_interfaces(struct pf_parser *p, pf_if_list *list);
struct pf_node_if *pf_parse_interface(struct pf_parser *p);
/* An error, or with --lint a warning if it is not there now; false after the former. */
bool pf_interface_name(struct pf_parser *p, const struct pf_loc *loc, const char *name);
/* --lint: warns if there is no such interface now. */
void pf_lint_interface(struct pf_parser *p, const struct pf_loc *loc, const char *name);
void pf_parse_protocols(struct pf_parser *p, pf_proto_list *list);
void pf_parse_ports(struct pf_parser *p, pf_port_list *list);
void pf_parse_ids(struct pf_parser *p, bool group, pf_id_list *list);
void pf_parse_icmp(struct pf_parser *p, bool v6, pf_icmp_list *list);
void pf_parse_os(struct pf_parser *p, pf_os_list *list);
/* One port, "ssh" or 22; -1 after an error. */
long pf_parse_port(struct pf_parser *p);
/* "ssh", "80:443", with star "1024:*": 0 and the two ends, hi -1 for the star. */
int pf_port_range(struct pf_parser *p, const struct pf_loc *loc, const char *text, bool star,
		  long *lo, long *hi);
bool pf_tos(struct pf_parser *p, uint8_t *out);

/* --- host.c, ifaddr.c: addresses --- */

/* from, to: lists; `any` swallows its neighbours, and is an empty list. */
void pf_parse_hosts(struct pf_parser *p, pf_host_list *list);
/* One element: what it stands for is appended.  Not any. */
void pf_parse_host(struct pf_parser *p, pf_host_list *list);
/* An address, prefix, interface or name as written, bits -1 if no "/n" was. */
void pf_host_add(struct pf_parser *p, const struct pf_loc *loc, const char *text, long long bits,
		 pf_host_list *list);
/*
 * An address that is packets' new one is of any interface: link-local addresses that come
 * from a name are left out.  An error if none is left.
 */
void pf_host_drop_scoped(struct pf_parser *p, const struct pf_loc *loc, pf_host_list *list);
bool pf_table_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name);
/* "<name>": its name, and where that stands; NULL after an error. */
const char *pf_parse_table_name(struct pf_parser *p, struct pf_loc *loc);

/* As in ifdb.h. */
enum pf_if_kind pf_if_lookup(struct pf_parser *p, const char *name);
bool pf_if_loopback(struct pf_parser *p, const char *name);
void pf_if_addrs(struct pf_parser *p, const char *name, unsigned int modifiers,
		 void (*each)(void *ctx, const struct pf_ifaddr *a), void *ctx);
const char *pf_if_suggest(struct pf_parser *p, const char *name);
/* Splits "em0:network:0"; false if a modifier is unknown. */
bool pf_if_modifiers(struct pf_parser *p, const char *text, const char **name,
		     unsigned int *modifiers);

/* --- pool.c --- */

/* "addresses [port p] [options]" into *out. */
void pf_parse_pool(struct pf_parser *p, struct pf_stmt_pool *out, bool with_port);
/* FreeBSD's "(if address)" ones. */
void pf_parse_route_old(struct pf_parser *p, struct pf_stmt_pool *out);
/*
 * For one rule of the expansion: the pool's addresses of the family, checked.  `rdr`: ports
 * are those of a redirection; dport fills "*".  NULL after an error.
 */
const struct pf_pool *pf_pool_make(struct pf_parser *p, const struct pf_stmt_pool *sp, uint8_t af,
				   bool rdr, bool routing, const struct pf_rule_port *dport);

/* --- statements --- */

void pf_statement(struct pf_parser *p);	  /* statement.c */
void pf_parse_block(struct pf_parser *p); /* statement.c: to the closing brace or the end */
void pf_echo(struct pf_parser *p, const char *text); /* statement.c: what -v prints of it */
void pf_set_statement(struct pf_parser *p, const struct pf_loc *loc);	    /* set.c */
void pf_table_statement(struct pf_parser *p, const struct pf_loc *loc);	    /* table.c */
void pf_antispoof_statement(struct pf_parser *p, const struct pf_loc *loc); /* antispoof.c */
void pf_anchor_statement(struct pf_parser *p, const struct pf_loc *loc,
			 enum pf_rule_action action); /* anchor.c */
/* The statements in braces, of which p->tok is the first. */
struct pf_block *pf_parse_braces(struct pf_parser *p, const struct pf_loc *loc, bool ether);
/* What is wrong with an anchor's path, or NULL. */
void pf_load_statement(struct pf_parser *p, const struct pf_loc *loc); /* anchor.c */
void pf_filter_statement(struct pf_parser *p, const struct pf_loc *loc,
			 enum pf_rule_action action); /* filter.c */
void pf_translation_statement(struct pf_parser *p, const struct pf_loc *loc, bool no,
			      enum pf_rule_action action);			 /* translation.c */
void pf_scrub_statement(struct pf_parser *p, const struct pf_loc *loc, bool no); /* scrub.c */
void pf_queue_statement(struct pf_parser *p, const struct pf_loc *loc);		 /* queue.c */
void pf_altq_statement(struct pf_parser *p, const struct pf_loc *loc);		 /* altq.c */
void pf_ether_statement(struct pf_parser *p, const struct pf_loc *loc);		 /* ether.c */
void pf_limiter_statement(struct pf_parser *p, const struct pf_loc *loc,
			  bool source);	  /* limiter.c */
void pf_check_names(struct pf_parser *p); /* queue.c: at the end of the text */

/* The parts of a rule that several statements share, into p->stmt: filter.c */
void pf_rule_begin(struct pf_parser *p, const struct pf_loc *loc, enum pf_rule_action action);
void pf_rule_direction(struct pf_parser *p);
void pf_rule_log(struct pf_parser *p); /* "log [(...)]" if it is there */
void pf_rule_interface(struct pf_parser *p);
void pf_rule_family(struct pf_parser *p);
void pf_rule_proto(struct pf_parser *p);
void pf_rule_fromto(struct pf_parser *p);
/* option.c: options of a filter rule or anchor, to the end of the statement or '{' */
void pf_rule_options(struct pf_parser *p);
void pf_scrub_option(struct pf_parser *p, bool old); /* one of scrub's; scrub.c */
void pf_state_options(struct pf_parser *p, struct pf_stmt_state *out, bool parens); /* state.c */
/* Checks, defaults, and x->state: false after an error. */
bool pf_state_finish(struct pf_parser *p);			   /* state.c */
void pf_rule_label(struct pf_parser *p, const struct pf_loc *loc); /* option.c */
void pf_rule_tag(struct pf_parser *p, const struct pf_loc *loc);
void pf_rule_tagged(struct pf_parser *p, bool neg);
void pf_rule_queue(struct pf_parser *p, const struct pf_loc *loc, bool set);
void pf_rule_rtable(struct pf_parser *p, const struct pf_loc *loc);
void pf_rule_ridentifier(struct pf_parser *p, const struct pf_loc *loc);
void pf_rule_dummynet(struct pf_parser *p, const struct pf_loc *loc, bool queue);

/* --- names of queues and limiters: queue.c --- */

struct pf_named *pf_named_find(const struct pf_parser *p, char kind, const char *name);
struct pf_named *pf_named_add(struct pf_parser *p, char kind, const char *name,
			      const struct pf_loc *loc);

/* --- expand.c, label.c --- */

/* The statement's rule times all its lists, checked, into the block. */
void pf_expand_rule(struct pf_parser *p);
/* A label or tag with its macros worked in, all but $nr; NULL after an error. */
const char *pf_label_expand(struct pf_parser *p, const char *text, const struct pf_rule *r,
			    size_t size, const struct pf_loc *loc, const char *what);
/* --lint, -v: what looks like a macro in a label or tag, and is none. */
void pf_label_lint(struct pf_parser *p, const struct pf_loc *loc, const char *text,
		   const char *what);

#endif /* PF_GRAMMAR_PARSER_H */
