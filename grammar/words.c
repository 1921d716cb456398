// SPDX-License-Identifier: BSD-2-Clause
#include "words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"
#include "parse.tab.h"

struct keyword {
	const char *name;
	int token;
};

/* Sorted: see pf_keyword().  UNBUILT words are known, and refused by name. */
static const struct keyword keywords[] = {
	{"af-to", UNBUILT},
	{"all", ALL},
	{"allow-opts", ALLOW_OPTS},
	{"altq", UNBUILT},
	{"anchor", UNBUILT},
	{"antispoof", UNBUILT},
	{"any", ANY},
	{"binat", UNBUILT},
	{"binat-anchor", UNBUILT},
	{"binat-to", UNBUILT},
	{"block", BLOCK},
	{"block-policy", BLOCK_POLICY},
	{"code", CODE},
	{"const", CONST},
	{"counters", UNBUILT},
	{"debug", UNBUILT},
	{"divert-packet", UNBUILT},
	{"divert-reply", UNBUILT},
	{"divert-to", UNBUILT},
	{"dnpipe", UNBUILT},
	{"dnqueue", UNBUILT},
	{"drop", DROP},
	{"dup-to", UNBUILT},
	{"ether", UNBUILT},
	{"file", UNBUILT},
	{"fingerprints", UNBUILT},
	{"flags", FLAGS},
	{"floating", FLOATING},
	{"fragment", FRAGMENT},
	{"from", FROM},
	{"group", UNBUILT},
	{"hostid", UNBUILT},
	{"icmp-type", ICMP_TYPE},
	{"icmp6-type", ICMP6_TYPE},
	{"if-bound", UNBUILT},
	{"in", IN},
	{"include", UNBUILT},
	{"inet", INET},
	{"inet6", INET6},
	{"keep", KEEP},
	{"keepcounters", UNBUILT},
	{"label", LABEL},
	{"limit", LIMIT},
	{"limiter", UNBUILT},
	{"load", UNBUILT},
	{"log", LOG},
	{"loginterface", UNBUILT},
	{"match", UNBUILT},
	{"max-pkt-rate", UNBUILT},
	{"max-pkt-size", UNBUILT},
	{"modulate", UNBUILT},
	{"nat", UNBUILT},
	{"nat-anchor", UNBUILT},
	{"nat-to", UNBUILT},
	{"no", NO},
	{"no-route", UNBUILT},
	{"on", ON},
	{"once", UNBUILT},
	{"optimization", OPTIMIZATION},
	{"os", UNBUILT},
	{"out", OUT},
	{"pass", PASS},
	{"persist", PERSIST},
	{"port", PORT},
	{"prio", UNBUILT},
	{"probability", UNBUILT},
	{"proto", PROTO},
	{"queue", UNBUILT},
	{"quick", QUICK},
	{"rdomain", UNBUILT},
	{"rdr", UNBUILT},
	{"rdr-anchor", UNBUILT},
	{"rdr-to", UNBUILT},
	{"reassemble", REASSEMBLE},
	{"received-on", UNBUILT},
	{"reply-to", UNBUILT},
	{"require-order", UNBUILT},
	{"return", RETURN},
	{"return-icmp", RETURN_ICMP},
	{"return-icmp6", RETURN_ICMP6},
	{"return-rst", RETURN_RST},
	{"ridentifier", UNBUILT},
	{"route", UNBUILT},
	{"route-to", UNBUILT},
	{"rtable", UNBUILT},
	{"ruleset-optimization", RULESET_OPTIMIZATION},
	{"scrub", UNBUILT},
	{"self", UNBUILT},
	{"set", SET},
	{"skip", SKIP},
	{"state", STATE},
	{"state-defaults", UNBUILT},
	{"state-policy", STATE_POLICY},
	{"syncookies", UNBUILT},
	{"synproxy", UNBUILT},
	{"table", TABLE},
	{"tag", UNBUILT},
	{"tagged", UNBUILT},
	{"timeout", TIMEOUT},
	{"to", TO},
	{"tos", UNBUILT},
	{"ttl", TTL},
	{"urpf-failed", UNBUILT},
	{"user", UNBUILT},
};

static int compare(const void *key, const void *element)
{
	return strcmp(key, ((const struct keyword *)element)->name);
}

int pf_keyword(const char *word)
{
	const struct keyword *k = bsearch(word, keywords, sizeof(keywords) / sizeof(keywords[0]),
					  sizeof(keywords[0]), compare);

	return k ? k->token : 0;
}

/* The lexer's WORD_FIRST and WORD_REST; it may be a number. */
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
	return lexes_as_word(text) && text[strspn(text, "0123456789")] && !pf_keyword(text);
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
