/* SPDX-License-Identifier: BSD-2-Clause */
/* --json: what is shown as one JSON document, RFC 8259. */
#ifndef PFCTL_JSON_H
#define PFCTL_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "pfctl.h"

/* A string; bytes that are not UTF-8 become the characters of those numbers. */
json_t *pfctl_json_text(const char *text);
/* A number, or if it is above that of 64 signed bits a string of its digits. */
json_t *pfctl_json_u64(uint64_t n);
/* NULL if it is ~0. */
json_t *pfctl_json_rule(uint32_t number);

/* Prints a value, whose reference it takes; 0, or 1 with the reason said if it is NULL. */
int pfctl_json_print(json_t *value);

/* states.c */
void pfctl_json_state(const struct pf_wire_state *s);

/* A list that is printed as it comes: its items stand on lines of their own. */
void pfctl_json_begin(struct pfctl *c);
/* Before each item. */
void pfctl_json_next(struct pfctl *c);
int pfctl_json_item(struct pfctl *c, json_t *item);
void pfctl_json_end(void);

#endif /* PFCTL_JSON_H */
