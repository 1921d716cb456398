/* SPDX-License-Identifier: BSD-2-Clause */
/* IP addresses of either family, as text and as bytes. */
#ifndef PF_GRAMMAR_ADDR_H
#define PF_GRAMMAR_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By IP version; 0 where a rule leaves the family open. */
enum pf_family { PF_FAMILY_ANY = 0, PF_FAMILY_INET = 4, PF_FAMILY_INET6 = 6 };

/* Network order; an IPv4 address in the first four bytes, the rest 0. */
struct pf_ip {
	uint8_t b[16];
};

#define PF_IP_STRLEN 64

/* Bits of a whole address: 32 or 128. */
unsigned int pf_family_bits(enum pf_family af);

/* The host's AF_INET or AF_INET6. */
int pf_family_socket(enum pf_family af);

/*
 * Reads an address in the notation of inet_pton(3).
 * Returns false and leaves *af and *ip alone if it is none.
 */
bool pf_ip_parse(const char *text, enum pf_family *af, struct pf_ip *ip);

/* "10" or "172.16", as pf.conf(5) abbreviates IPv4 networks before a slash. */
bool pf_ip_parse_short(const char *text, struct pf_ip *ip);

/* Zeroes the bits behind the prefix. */
void pf_ip_mask(struct pf_ip *ip, unsigned int bits);

/* Writes the address, with "/bits" when bits is less than the family's. */
void pf_ip_format(enum pf_family af, const struct pf_ip *ip, unsigned int bits, char *buf,
		  size_t size);

bool pf_ip_equal(const struct pf_ip *a, const struct pf_ip *b);

#endif /* PF_GRAMMAR_ADDR_H */
