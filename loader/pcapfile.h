/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pcap file of link type PFLOG.  Apart from pflog.c, for libpcap's headers and
 * the kernel's both have a struct bpf_insn.
 */
#ifndef PF_LOADER_PCAPFILE_H
#define PF_LOADER_PCAPFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

struct pf_pcapfile;

/* Appends to the file, or begins it (mode 0600); NULL with a message in err. */
struct pf_pcapfile *pf_pcapfile_open(const char *path, char *err, size_t errsize);
/* caplen bytes at data of a packet that was len bytes long. */
void pf_pcapfile_write(struct pf_pcapfile *f, struct timeval when, const void *data,
		       uint32_t caplen, uint32_t len);
/* 0 or a negative errno. */
int pf_pcapfile_flush(struct pf_pcapfile *f);
void pf_pcapfile_close(struct pf_pcapfile *f);

#endif /* PF_LOADER_PCAPFILE_H */
