/* SPDX-License-Identifier: BSD-2-Clause */
/* Log records from the datapath's rings into a pcap file of link type PFLOG. */
#ifndef PF_LOADER_PFLOG_H
#define PF_LOADER_PFLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "datapath.h"
#include "loop.h"
#include "netif.h"
#include "note.h"
#include "say.h"

struct perf_buffer;
struct pf_pcapfile;

struct pf_pflog {
	const struct pf_netifs *ifs;
	char path[256];
	int map_fd;
	struct perf_buffer *rings;
	struct pf_source source;
	struct pf_timer timer;
	struct pf_pcapfile *file; /* NULL: it could not be opened */
	uint64_t written;
	int error; /* of the last write */
	bool dirty;
	struct pf_notes notes;
	/* The path of the anchor that a rule is in, by its id: "" none.  NULL: nobody knows. */
	const char *(*path_of)(void *ctx, uint32_t rule);
	/* Its number in its own ruleset, ~0 if it is gone. */
	uint32_t (*number_of)(void *ctx, uint32_t rule);
	void *ctx;
};

/*
 * Starts reading.  That the file cannot be written is said, and not an error:
 * the firewall works without its log.
 */
int pf_pflog_open(struct pf_pflog *l, const struct pf_datapath *dp, const struct pf_netifs *ifs,
		  struct pf_loop *loop, const char *path, struct pf_error_text *err);
void pf_pflog_close(struct pf_pflog *l, struct pf_loop *loop);

/* Writes what has come. */
void pf_pflog_drain(struct pf_pflog *l);

/* The file was moved away: opens it anew. */
void pf_pflog_reopen(struct pf_pflog *l);

#endif /* PF_LOADER_PFLOG_H */
