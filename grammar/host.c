// SPDX-License-Identifier: BSD-2-Clause
/* Addresses as written in rules and tables. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "parser.h"

#define HOST_NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

static void add(struct pf_parser *p, const struct pf_loc *loc, enum pf_family af,
		const struct pf_ip *ip, long long bits, pf_host_list *list)
{
	struct pf_node_host *n = pf_stmt_new(p, struct pf_node_host);
	pf_host_list one = pf_list_one(n);

	if (!n)
		return;
	n->loc = *loc;
	n->host.type = PF_HOST_PREFIX;
	n->host.af = (uint8_t)af;
	n->host.ip = *ip;
	n->host.bits = (uint8_t)(bits == PF_NO_BITS ? pf_family_bits(af) : (unsigned int)bits);
	pf_ip_mask(&n->host.ip, n->host.bits);
	/* 0.0.0.0/0 and ::/0 are every address of one family */
	pf_list_join(*list, one);
}

static bool bits_ok(struct pf_parser *p, const struct pf_loc *loc, enum pf_family af,
		    long long bits)
{
	if (bits == PF_NO_BITS || (bits >= 0 && bits <= (long long)pf_family_bits(af)))
		return true;
	pf_error(p, loc, "prefix length %lld is out of range (0 to %u)", bits, pf_family_bits(af));
	return false;
}

/* Every address of a name, each with the bits that were given. */
static void resolve(struct pf_parser *p, const struct pf_loc *loc, const char *name, long long bits,
		    pf_host_list *list)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *res = NULL;
	int err = getaddrinfo(name, NULL, &hints, &res);

	if (err) {
		pf_error(p, loc, "could not resolve \"%s\": %s", name, gai_strerror(err));
		return;
	}
	for (struct addrinfo *a = res; a; a = a->ai_next) {
		struct pf_ip ip = {0};

		if (a->ai_family == AF_INET) {
			const struct sockaddr_in *sin = (const void *)a->ai_addr;

			memcpy(ip.b, &sin->sin_addr, 4);
			if (bits_ok(p, loc, PF_FAMILY_INET, bits))
				add(p, loc, PF_FAMILY_INET, &ip, bits, list);
		} else if (a->ai_family == AF_INET6) {
			const struct sockaddr_in6 *sin6 = (const void *)a->ai_addr;

			memcpy(ip.b, &sin6->sin6_addr, 16);
			if (bits_ok(p, loc, PF_FAMILY_INET6, bits))
				add(p, loc, PF_FAMILY_INET6, &ip, bits, list);
		}
	}
	freeaddrinfo(res);
}

void pf_host_add(struct pf_parser *p, const struct pf_loc *loc, const char *text, long long bits,
		 pf_host_list *list)
{
	enum pf_family af = PF_FAMILY_INET;
	struct in_addr old;
	struct pf_ip ip;
	size_t len;

	if (!text)
		return;
	len = strlen(text);
	if (pf_ip_parse(text, &af, &ip) || (bits != PF_NO_BITS && pf_ip_parse_short(text, &ip))) {
		if (bits_ok(p, loc, af, bits))
			add(p, loc, af, &ip, bits, list);
		return;
	}
	if (strchr(text, '%')) {
		pf_error(p, loc, "a scoped address (%s) is not supported yet", text);
		return;
	}
	if (len < IFNAMSIZ && if_nametoindex(text)) {
		pf_error(p, loc, "an interface (%s) as an address is not supported yet", text);
		return;
	}
	/* what getaddrinfo(3) would take for an address in inet_aton(3)'s notation */
	if (inet_aton(text, &old) || strspn(text, "0123456789.") == len ||
	    strspn(text, HOST_NAME) != len) {
		pf_error(p, loc, "%s is not an address", text);
		return;
	}
	resolve(p, loc, text, bits, list);
}
