// SPDX-License-Identifier: BSD-2-Clause
#include "addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned int pf_family_bits(enum pf_family af)
{
	return af == PF_FAMILY_INET ? 32 : 128;
}

int pf_family_socket(enum pf_family af)
{
	return af == PF_FAMILY_INET ? AF_INET : AF_INET6;
}

bool pf_ip_parse(const char *text, enum pf_family *af, struct pf_ip *ip)
{
	struct pf_ip tmp = {0};

	if (inet_pton(AF_INET, text, tmp.b) == 1)
		*af = PF_FAMILY_INET;
	else if (inet_pton(AF_INET6, text, tmp.b) == 1)
		*af = PF_FAMILY_INET6;
	else
		return false;
	*ip = tmp;
	return true;
}

bool pf_ip_parse_short(const char *text, struct pf_ip *ip)
{
	struct pf_ip tmp = {0};
	const char *p = text;

	for (int i = 0; i < 4; i++) {
		unsigned long v;
		char *end;

		if (!isdigit((unsigned char)*p))
			return false;
		v = strtoul(p, &end, 10);
		if (v > 255 || end - p > 3)
			return false;
		tmp.b[i] = (uint8_t)v;
		if (*end == '\0') {
			*ip = tmp;
			return true;
		}
		if (*end != '.')
			return false;
		p = end + 1;
	}
	return false;
}

void pf_ip_mask(struct pf_ip *ip, unsigned int bits)
{
	for (unsigned int i = 0; i < sizeof(ip->b); i++) {
		unsigned int keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			ip->b[i] &= (uint8_t)(0xff00 >> keep);
	}
}

void pf_ip_format(enum pf_family af, const struct pf_ip *ip, unsigned int bits, char *buf,
		  size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(pf_family_socket(af), ip->b, text, sizeof(text)))
		snprintf(buf, size, "?");
	else if (bits < pf_family_bits(af))
		snprintf(buf, size, "%s/%u", text, bits);
	else
		snprintf(buf, size, "%s", text);
}

bool pf_ip_equal(const struct pf_ip *a, const struct pf_ip *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
