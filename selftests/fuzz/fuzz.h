/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzzers share: printing into memory, and small databases of names
 * instead of the system's, so that an input means the same on every machine, and
 * no network or file is asked.  These stand before the C library's own.
 */
#ifndef PF_SELFTESTS_FUZZ_H
#define PF_SELFTESTS_FUZZ_H

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../grammar/parse.h"
#include "../../lib/model.h"
#include "../../lib/wire.h"
#include "../unit/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A finding. */
#define REQUIRE(condition)                                                                      \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

/* --- the system's databases --- */

struct known_address {
	struct addrinfo info;
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa;
};

/* "both" and "six" resolve; nothing else does. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **res)
{
	static struct known_address six = {
		.info = {.ai_family = AF_INET6, .ai_addr = (void *)&six.sa},
		.sa.v6 = {.sin6_family = AF_INET6, .sin6_addr = {.s6_addr = {0x20, 1, 0xd, 0xb8}}}};
	static struct known_address both = {
		.info = {.ai_family = AF_INET, .ai_addr = (void *)&both.sa, .ai_next = &six.info},
		.sa.v4 = {.sin_family = AF_INET, .sin_addr = {0x0100000a}}};

	(void)service;
	(void)hints;
	*res = strcmp(name, "both") == 0 ? &both.info : &six.info;
	return strcmp(name, "both") == 0 || strcmp(name, "six") == 0 ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *res)
{
	(void)res;
}

/* lo, em0 with an address of each family, and tun0, which makes "tun" a group. */
int getifaddrs(struct ifaddrs **out)
{
	static struct sockaddr_in lo4 = {AF_INET, 0, {0x0100007f}, {0}},
				  em4 = {AF_INET, 0, {0x010200c0}, {0}},
				  mask = {AF_INET, 0, {0x00ffffff}, {0}},
				  broadcast = {AF_INET, 0, {0xff0200c0}, {0}};
	static struct sockaddr_in6 em6 = {.sin6_family = AF_INET6,
					  .sin6_addr = {.s6_addr = {0xfe, 0x80, [15] = 1}}},
				   mask6 = {.sin6_family = AF_INET6,
					    .sin6_addr = {.s6_addr = {255, 255, 255, 255}}};
	static struct ifaddrs all[] = {
		{.ifa_name = (char *)"lo",
		 .ifa_flags = IFF_LOOPBACK,
		 .ifa_addr = (void *)&lo4,
		 .ifa_netmask = (void *)&mask},
		{.ifa_name = (char *)"em0",
		 .ifa_flags = IFF_BROADCAST,
		 .ifa_addr = (void *)&em4,
		 .ifa_netmask = (void *)&mask,
		 .ifa_broadaddr = (void *)&broadcast},
		{.ifa_name = (char *)"em0",
		 .ifa_flags = IFF_BROADCAST,
		 .ifa_addr = (void *)&em6,
		 .ifa_netmask = (void *)&mask6},
		{.ifa_name = (char *)"tun0",
		 .ifa_flags = IFF_POINTOPOINT,
		 .ifa_addr = (void *)&em4,
		 .ifa_netmask = (void *)&mask,
		 .ifa_dstaddr = (void *)&lo4},
	};

	for (size_t i = 0; i + 1 < sizeof(all) / sizeof(all[0]); i++)
		all[i].ifa_next = &all[i + 1];
	*out = all;
	return 0;
}

void freeifaddrs(struct ifaddrs *all)
{
	(void)all;
}

static struct servent fuzz_services[] = {
	{.s_name = (char *)"ssh", .s_port = 22, .s_proto = (char *)"tcp"},
	{.s_name = (char *)"domain", .s_port = 53, .s_proto = (char *)"udp"},
	{.s_name = (char *)"syslog", .s_port = 514, .s_proto = (char *)"udp"},
	{.s_name = (char *)"shell", .s_port = 514, .s_proto = (char *)"tcp"},
	/* a word of the language */
	{.s_name = (char *)"route", .s_port = 520, .s_proto = (char *)"udp"},
};

static struct servent *fuzz_service(const char *name, int port, const char *proto)
{
	static struct servent answer;

	for (size_t i = 0; i < sizeof(fuzz_services) / sizeof(fuzz_services[0]); i++) {
		const struct servent *s = &fuzz_services[i];

		if (strcmp(s->s_proto, proto) != 0 ||
		    (name ? strcmp(s->s_name, name) != 0 : htons((uint16_t)s->s_port) != port))
			continue;
		answer = *s;
		answer.s_port = htons((uint16_t)s->s_port);
		return &answer;
	}
	return NULL;
}

struct servent *getservbyname(const char *name, const char *proto)
{
	return fuzz_service(name, 0, proto);
}

struct servent *getservbyport(int port, const char *proto)
{
	return fuzz_service(NULL, port, proto);
}

/* One more than the parser knows itself, and one that is a word of the language. */
static struct protoent fuzz_protos[] = {{.p_name = (char *)"egp", .p_proto = 8},
					{.p_name = (char *)"skip", .p_proto = 57}};

struct protoent *getprotobyname(const char *name)
{
	for (size_t i = 0; i < 2; i++)
		if (strcmp(fuzz_protos[i].p_name, name) == 0)
			return &fuzz_protos[i];
	return NULL;
}

struct protoent *getprotobynumber(int number)
{
	for (size_t i = 0; i < 2; i++)
		if (fuzz_protos[i].p_proto == number)
			return &fuzz_protos[i];
	return NULL;
}

/* --- parsing and printing --- */

/* Where messages go that nobody reads; they are made, though. */
static inline FILE *fuzz_null(void)
{
	static FILE *f;

	if (!f)
		f = fopen("/dev/null", "w");
	REQUIRE(f);
	return f;
}

static inline int fuzz_parse(const char *text, size_t len, FILE *err, int optimize, bool enforce,
			     struct pf_ruleset **rs)
{
	const struct pf_parse_options opt = {
		.name = "fuzz",
		.err = err,
		.no_files = true,
		.optimize = optimize,
		.enforce = enforce,
		.lint = err == fuzz_null(),
	};

	*rs = NULL;
	return pf_parse_text(text, len, &opt, rs, NULL);
}

static inline bool fuzz_same_bytes(const struct pf_buf *a, const struct pf_buf *b)
{
	REQUIRE(!a->failed && !b->failed);
	return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

/*
 * The label macros of a text are worked in when it is read, and pf has no way to
 * quote one: a label that holds a dollar sign may become another one.
 */
static inline bool fuzz_dollar(const char *text)
{
	return text && strchr(text, '$');
}

static inline bool fuzz_block_has_dollar(const struct pf_block *b)
{
	for (size_t k = 0; k < PF_LIST_MAX; k++) {
		for (size_t i = 0; i < b->list[k].n; i++) {
			const struct pf_rule *r = &b->list[k].v[i];
			const struct pf_rule_ext *x = pf_rule_ext_of(r);

			if (fuzz_dollar(r->label) || fuzz_dollar(x->tag) || fuzz_dollar(x->tagged))
				return true;
			for (size_t l = 0; l < PF_LABELS_MOST - 1; l++)
				if (fuzz_dollar(x->labels[l]))
					return true;
		}
	}
	return false;
}

static inline bool fuzz_has_dollar(const struct pf_ruleset *rs)
{
	for (size_t i = 0; i < rs->nblocks; i++)
		if (fuzz_block_has_dollar(rs->blocks[i]))
			return true;
	return fuzz_block_has_dollar(&rs->main);
}

static inline size_t fuzz_rules(const struct pf_ruleset *rs)
{
	size_t n = rs->main.nether;

	for (size_t k = 0; k < PF_LIST_MAX; k++)
		n += rs->main.list[k].n;
	for (size_t i = 0; i < rs->nblocks; i++)
		for (size_t k = 0; k < PF_LIST_MAX; k++)
			n += rs->blocks[i]->list[k].n;
	return n;
}

#endif /* PF_SELFTESTS_FUZZ_H */
