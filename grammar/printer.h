/* SPDX-License-Identifier: BSD-2-Clause */
/* What the printer's files share. */
#ifndef PF_GRAMMAR_PRINTER_H
#define PF_GRAMMAR_PRINTER_H

#include "print.h"

/* Things between an opening and ")"; neither is printed when there are none. */
struct pf_printed_list {
	FILE *f;
	const char *open, *separator;
	size_t n;
};

/* In front of each one. */
void pf_printed_list_next(struct pf_printed_list *l);
__attribute__((format(printf, 2, 3))) void pf_printed_list_add(struct pf_printed_list *l,
							       const char *fmt, ...);
void pf_printed_list_end(struct pf_printed_list *l);

/* What stands in front of a rule: two blanks a level, and its number. */
void pf_print_margin(FILE *f, size_t nr, unsigned int flags, unsigned int depth);

/* The rules, and the tables in front of them, of an anchor's braces; depth is theirs. */
void pf_print_block(FILE *f, const struct pf_block *b, unsigned int flags, unsigned int depth);

/* Behind an anchor's head: its braces, if it has some, and the newline. */
void pf_print_anchor_end(FILE *f, const struct pf_anchor *a, unsigned int flags,
			 unsigned int depth);

void pf_print_rule(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags,
		   unsigned int depth);
void pf_print_ether(FILE *f, const struct pf_ether_rule *r, size_t nr, unsigned int flags,
		    unsigned int depth);

/* "any" is the keyword. */
void pf_print_ifname(FILE *f, const char *ifname);

/* af: of the rule, which decides when an interface's "/bits" says something. */
void pf_print_host(FILE *f, const struct pf_rule_host *h, enum pf_family af);

/* A name that was not looked up, perhaps with "/bits". */
void pf_print_host_name(FILE *f, const char *name);

/* " tag a ! tagged b" */
void pf_print_tags(FILE *f, const char *tag, bool tagged_not, const char *tagged);

void pf_print_label(FILE *f, const char *label);

#endif /* PF_GRAMMAR_PRINTER_H */
