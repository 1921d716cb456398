/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the grammar does when it has read something.  Every function reports what is
 * wrong by pf_error() and goes on, so that one statement can have several errors.
 * Lists and strings are the statement's: see parser.h.
 */
#ifndef PF_GRAMMAR_ACTIONS_H
#define PF_GRAMMAR_ACTIONS_H

#include "parser.h"

/* --- parts of a filter rule: act_rule.c --- */

/* A construct that the language knows and this version does not build: skips its statement. */
void pf_act_unbuilt(struct pf_parser *p, const struct pf_loc *loc, const char *what);
bool pf_act_in_range(struct pf_parser *p, const struct pf_loc *loc, const char *what, long long n,
		     long long low, long long high);

void pf_act_rule_begin(struct pf_parser *p, const struct pf_loc *loc);
/* An option was given; twice is an error. */
void pf_act_seen(struct pf_parser *p, const struct pf_loc *loc, unsigned int option,
		 const char *name);

/* A list of one each.  name NULL: the number counts. */
pf_if_list pf_act_interface(struct pf_parser *p, const struct pf_loc *loc, const char *name);
pf_proto_list pf_act_protocol(struct pf_parser *p, const struct pf_loc *loc, const char *name,
			      long long number);
pf_icmp_list pf_act_icmp(struct pf_parser *p, const struct pf_loc *loc, int v6, const char *name,
			 long long number);
void pf_act_icmp_code(struct pf_parser *p, const struct pf_loc *loc, pf_icmp_list *list,
		      const char *name, long long number);
/* "ssh" or "80:443": op is EQ or RANGE. */
struct pf_rule_port pf_act_port_word(struct pf_parser *p, const struct pf_loc *loc,
				     const char *text);
/* The unary operators take a, RANGE a's two ends, the binary ones a and b. */
pf_port_list pf_act_port(struct pf_parser *p, const struct pf_loc *loc, enum pf_port_op op,
			 struct pf_rule_port a, struct pf_rule_port b);

pf_host_list pf_act_join(pf_host_list a, pf_host_list b);
void pf_act_negate(pf_host_list *list);

void pf_act_flags(struct pf_parser *p, const struct pf_loc *loc, const char *set, const char *mask);
void pf_act_label(struct pf_parser *p, const struct pf_loc *loc, const char *text);
/* type << 8 | code of the ICMP error that is returned; 0 after an error. */
uint16_t pf_act_return_code(struct pf_parser *p, const struct pf_loc *loc, int v6, const char *name,
			    long long number);

/* --- options, tables, macros: act_statement.c --- */

/* What -v prints of the statement. */
void pf_act_echo(struct pf_parser *p, const char *text);

void pf_act_timeout(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
		    const struct pf_loc *loc, long long seconds);
void pf_act_limit(struct pf_parser *p, const struct pf_loc *name_loc, const char *name,
		  const struct pf_loc *loc, long long n);
void pf_act_optimization(struct pf_parser *p, const struct pf_loc *loc, const char *name);
void pf_act_skip(struct pf_parser *p, pf_if_list ifs);

/* The place of the name in "<name>". */
struct pf_loc pf_act_inside(const struct pf_parser *p, const struct pf_loc *loc);
bool pf_act_table_name_ok(struct pf_parser *p, const struct pf_loc *loc, const char *name);
void pf_act_table_begin(struct pf_parser *p, const struct pf_loc *loc, const char *name);
void pf_act_table_list(struct pf_parser *p, pf_host_list hosts);
void pf_act_table_end(struct pf_parser *p);

/* A macro's value is put together in p->value. */
void pf_act_value_add(struct pf_parser *p, const char *text);
void pf_act_macro(struct pf_parser *p, const struct pf_loc *loc, const char *name);

#endif /* PF_GRAMMAR_ACTIONS_H */
