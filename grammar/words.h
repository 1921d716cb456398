/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of the language: keywords, and how text is written so that it is read back as it is. */
#ifndef PF_GRAMMAR_WORDS_H
#define PF_GRAMMAR_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A word of the language that has to be quoted where a name could stand. */
bool pf_word_reserved(const char *word);

/* Is it read as one word without quotes? */
bool pf_word_plain(const char *text);

/* What stands between double quotes for it; out has room for twice its length and a NUL. */
size_t pf_word_quote(char *out, const char *text);

void pf_word_print_quoted(FILE *f, const char *text);
/* Quoted if it must be. */
void pf_word_print(FILE *f, const char *text);
/* The same between < and >, where keywords and numbers need no quotes. */
void pf_table_name_print(FILE *f, const char *name);

#endif /* PF_GRAMMAR_WORDS_H */
