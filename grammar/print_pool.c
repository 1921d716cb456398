// SPDX-License-Identifier: BSD-2-Clause
/* Hosts, and the pools that are made of them. */
#include <stdlib.h>
#include <string.h>

#include "printer.h"
#include "words.h"

/* Is it "/" and digits? */
static bool is_bits(const char *text)
{
	size_t digits = *text == '/' ? strspn(text + 1, "0123456789") : 0;

	return digits && !text[1 + digits];
}

void pf_print_host_name(FILE *f, const char *name)
{
	const char *slash = strrchr(name, '/');
	char *host;

	if (!slash || !is_bits(slash)) {
		pf_word_print(f, name);
		return;
	}
	host = strndup(name, (size_t)(slash - name));
	if (host)
		pf_word_print(f, host);
	fputs(slash, f);
	free(host);
}

/* The interface and its modifiers are one word, and quoted as one. */
static void print_dynamic(FILE *f, const struct pf_rule_host *h, enum pf_family af)
{
	char *word = NULL;

	if (asprintf(&word, "%s%s%s%s%s", h->name, h->modifiers & PF_HOST_NETWORK ? ":network" : "",
		     h->modifiers & PF_HOST_BROADCAST ? ":broadcast" : "",
		     h->modifiers & PF_HOST_PEER ? ":peer" : "",
		     h->modifiers & PF_HOST_NOALIAS ? ":0" : "") < 0)
		return;
	fputc('(', f);
	pf_word_print(f, word);
	fputc(')', f);
	if (h->bits < pf_family_bits(af))
		fprintf(f, "/%u", h->bits);
	free(word);
}

static void print_range(FILE *f, const struct pf_rule_host *h)
{
	enum pf_family af = (enum pf_family)h->af;
	char lo[PF_IP_STRLEN], hi[PF_IP_STRLEN];

	pf_ip_format(af, &h->ip, pf_family_bits(af), lo, sizeof(lo));
	pf_ip_format(af, h->hi, pf_family_bits(af), hi, sizeof(hi));
	fprintf(f, "%s - %s", lo, hi);
}

void pf_print_host(FILE *f, const struct pf_rule_host *h, enum pf_family af)
{
	char ip[PF_IP_STRLEN];

	if (h->neg)
		fputs("! ", f);
	switch (h->type) {
	case PF_HOST_ANY:
		fputs("any", f);
		break;
	case PF_HOST_PREFIX:
		pf_ip_format((enum pf_family)h->af, &h->ip, h->bits, ip, sizeof(ip));
		fputs(ip, f);
		break;
	case PF_HOST_TABLE:
		pf_table_name_print(f, h->table);
		break;
	case PF_HOST_RANGE:
		print_range(f, h);
		break;
	case PF_HOST_DYNAMIC:
		print_dynamic(f, h, af);
		break;
	case PF_HOST_NO_ROUTE:
		fputs("no-route", f);
		break;
	case PF_HOST_URPF:
		fputs("urpf-failed", f);
		break;
	case PF_HOST_RTLABEL:
		fputs("route ", f);
		pf_word_print_quoted(f, h->name);
		break;
	case PF_HOST_NAME:
		pf_print_host_name(f, h->name);
		break;
	}
}

void pf_rule_host_print(FILE *f, const struct pf_rule_host *h)
{
	pf_print_host(f, h, (enum pf_family)h->af);
}

/* --- pools --- */

static const char *const pool_types[] = {
	[PF_POOL_NONE] = "",
	[PF_POOL_BITMASK] = " bitmask",
	[PF_POOL_RANDOM] = " random",
	[PF_POOL_SOURCE_HASH] = " source-hash",
	[PF_POOL_ROUND_ROBIN] = " round-robin",
	[PF_POOL_LEAST_STATES] = " least-states",
};

static void print_pool_host(FILE *f, const struct pf_pool_host *h, enum pf_family af)
{
	if (h->ifname && h->no_address) {
		pf_word_print(f, h->ifname);
	} else if (h->ifname) {
		fputc('(', f);
		pf_word_print(f, h->ifname);
		fputc(' ', f);
		pf_print_host(f, &h->host, af);
		fputc(')', f);
	} else {
		pf_print_host(f, &h->host, af);
	}
	if (h->weight)
		fprintf(f, " weight %u", h->weight);
}

/* Many a bare word could stand behind source-hash without being its key. */
static void print_key(FILE *f, const char *key)
{
	fputc(' ', f);
	if (strncmp(key, "0x", 2) == 0)
		pf_word_print(f, key);
	else
		pf_word_print_quoted(f, key);
}

static void print_pool_options(FILE *f, const struct pf_pool *p)
{
	fputs(pool_types[p->type], f);
	if (p->type == PF_POOL_SOURCE_HASH && p->key)
		print_key(f, p->key);
	if (p->sticky)
		fputs(" sticky-address", f);
	if (p->endpoint_independent)
		fputs(" endpoint-independent", f);
	if (p->static_port)
		fputs(" static-port", f);
	if (p->mape_offset)
		fprintf(f, " map-e-portset %u/%u/%u", p->mape_offset, p->mape_psid_len,
			p->mape_psid);
	if (p->prefer_ipv6_nexthop)
		fputs(" prefer-ipv6-nexthop", f);
}

void pf_pool_print(FILE *f, const struct pf_pool *p, enum pf_family af)
{
	if (p->nhosts != 1)
		fputs("{ ", f);
	for (uint32_t i = 0; i < p->nhosts; i++) {
		if (i)
			fputs(", ", f);
		print_pool_host(f, &p->hosts[i], af);
	}
	if (p->nhosts != 1)
		fputs(" }", f);
	if (p->port)
		fprintf(f, " port %u", p->port);
	if (p->port && p->port_hi && p->port_hi != p->port)
		fprintf(f, ":%u", p->port_hi);
	print_pool_options(f, p);
}
