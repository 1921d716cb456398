/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and numbers of protocols, services, ICMP types, timeouts and limits. */
#ifndef PF_GRAMMAR_NAMES_H
#define PF_GRAMMAR_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "rule.h"

enum {
	PF_PROTO_ICMP = 1,
	PF_PROTO_TCP = 6,
	PF_PROTO_UDP = 17,
	PF_PROTO_ICMP6 = 58,
	PF_PROTO_SCTP = 132
};

/* Ended by NULL. */
extern const char *const pf_timeout_names[PF_TIMEOUT_MAX + 1];
extern const char *const pf_limit_names[PF_LIMIT_ALL + 1];

/* Index into the array above it, or -1. */
int pf_timeout_by_name(const char *name);
int pf_limit_by_name(const char *name);

/* The more usual ones, ended by NULL: for suggestions. */
extern const char *const pf_proto_names[];
/* Protocol number, or -1.  Knows pf's own names, then the system's database. */
int pf_proto_by_name(const char *name);
/* NULL when the number has no name. */
const char *pf_proto_name(uint8_t proto);

/* Port of a service in host order, TCP's or UDP's, or -1. */
int pf_service_by_name(const char *name);
/* Name of the port for tcp or udp, NULL if it has none.  Not reentrant. */
const char *pf_service_name(uint16_t port, uint8_t proto);

/* ICMP for INET, ICMPv6 for INET6: type or -1, name or NULL. */
int pf_icmp_type_by_name(const char *name, enum pf_family af);
const char *pf_icmp_type_name(unsigned int type, enum pf_family af);
int pf_icmp_code_by_name(unsigned int type, const char *name, enum pf_family af);
const char *pf_icmp_code_name(unsigned int type, unsigned int code, enum pf_family af);

/* "FSRPAUEW" to the flags' bits, or -1; and back, into 9 bytes. */
int pf_tcp_flags_parse(const char *text);
void pf_tcp_flags_format(uint8_t flags, char buf[9]);

#endif /* PF_GRAMMAR_NAMES_H */
