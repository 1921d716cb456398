// SPDX-License-Identifier: BSD-2-Clause
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *pfctl_json_text(const char *text)
{
	json_t *out = json_string(text);
	char *wide, *to;

	if (out)
		return out;
	/* two bytes of UTF-8 at the most for each */
	wide = to = malloc(strlen(text) * 2 + 1);
	if (!wide)
		return NULL;
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch >= 0x80) {
			*to++ = (char)(0xc0 | ch >> 6);
			ch = 0x80 | (ch & 0x3f);
		}
		*to++ = (char)ch;
	}
	*to = '\0';
	out = json_string(wide);
	free(wide);
	return out;
}

json_t *pfctl_json_u64(uint64_t n)
{
	return n > INT64_MAX ? json_sprintf("%" PRIu64, n) : json_integer((json_int_t)n);
}

json_t *pfctl_json_rule(uint32_t number)
{
	return number == UINT32_MAX ? json_null() : json_integer(number);
}

int pfctl_json_print(json_t *value)
{
	int err;

	if (!value) {
		pfctl_warn("out of memory");
		return 1;
	}
	/* main() looks for what becomes of standard output */
	err = json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	if (err && !ferror(stdout))
		pfctl_warn("out of memory");
	return err ? 1 : 0;
}

void pfctl_json_begin(struct pfctl *c)
{
	putchar('[');
	c->json_more = false;
}

void pfctl_json_next(struct pfctl *c)
{
	fputs(c->json_more ? ",\n" : "\n", stdout);
	c->json_more = true;
}

int pfctl_json_item(struct pfctl *c, json_t *item)
{
	pfctl_json_next(c);
	return pfctl_json_print(item);
}

void pfctl_json_end(void)
{
	putchar(']');
}
