// SPDX-License-Identifier: BSD-2-Clause
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Sorted: see pf_word_reserved(). */
static const char *const reserved[] = {
	"af-to",
	"all",
	"allow-opts",
	"altq",
	"anchor",
	"antispoof",
	"any",
	"binat",
	"binat-anchor",
	"binat-to",
	"block",
	"block-policy",
	"code",
	"const",
	"counters",
	"debug",
	"divert-packet",
	"divert-reply",
	"divert-to",
	"dnpipe",
	"dnqueue",
	"drop",
	"dummynet-anchor",
	"dup-to",
	"ether",
	"file",
	"fingerprints",
	"flags",
	"floating",
	"for",
	"fragment",
	"from",
	"global",
	"group",
	"hostid",
	"icmp-type",
	"icmp6-type",
	"if-bound",
	"in",
	"include",
	"inet",
	"inet6",
	"keep",
	"label",
	"limit",
	"load",
	"log",
	"loginterface",
	"match",
	"max-pkt-rate",
	"max-pkt-size",
	"modulate",
	"nat",
	"nat-anchor",
	"nat-to",
	"no",
	"no-route",
	"on",
	"once",
	"optimization",
	"os",
	"out",
	"pass",
	"persist",
	"port",
	"prio",
	"probability",
	"proto",
	"queue",
	"quick",
	"rdomain",
	"rdr",
	"rdr-anchor",
	"rdr-to",
	"reassemble",
	"received-on",
	"reply-to",
	"require-order",
	"return",
	"return-icmp",
	"return-icmp6",
	"return-rst",
	"ridentifier",
	"route",
	"route-to",
	"rtable",
	"ruleset-optimization",
	"scrub",
	"scrub-anchor",
	"set",
	"skip",
	"state",
	"state-defaults",
	"state-policy",
	"syncookies",
	"synproxy",
	"table",
	"tag",
	"tagged",
	"timeout",
	"to",
	"tos",
	"ttl",
	"urpf-failed",
	"user",
};

static int compare(const void *key, const void *element)
{
	return strcmp(key, *(const char *const *)element);
}

bool pf_word_reserved(const char *word)
{
	return bsearch(word, reserved, sizeof(reserved) / sizeof(reserved[0]), sizeof(reserved[0]),
		       compare) != NULL;
}

/* As lex.c reads a word; it may be a number. */
static bool lexes_as_word(const char *text)
{
	if (!isalnum((unsigned char)*text) && *text != ':' && *text != '_')
		return false;
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f ||
		    strchr("(){}<>!=/#,\"'\\", *c))
			return false;
	return true;
}

bool pf_word_plain(const char *text)
{
	return lexes_as_word(text) && text[strspn(text, "0123456789")] && !pf_word_reserved(text);
}

size_t pf_word_quote(char *out, const char *text)
{
	char *o = out;

	for (; *text; text++) {
		/* the lexer takes a backslash away before these */
		if (*text == '"' || (*text == '\\' && (text[1] == ' ' || text[1] == '\t')))
			*o++ = '\\';
		*o++ = *text;
	}
	*o = '\0';
	return (size_t)(o - out);
}

void pf_word_print_quoted(FILE *f, const char *text)
{
	char *quoted = malloc(2 * strlen(text) + 1);

	if (quoted)
		pf_word_quote(quoted, text);
	fprintf(f, "\"%s\"", quoted ? quoted : text);
	free(quoted);
}

void pf_word_print(FILE *f, const char *text)
{
	if (pf_word_plain(text))
		fputs(text, f);
	else
		pf_word_print_quoted(f, text);
}

void pf_table_name_print(FILE *f, const char *name)
{
	fputc('<', f);
	if (lexes_as_word(name))
		fputs(name, f);
	else
		pf_word_print_quoted(f, name);
	fputc('>', f);
}
