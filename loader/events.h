/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of states, from the datapath's rings to who listens. */
#ifndef PF_LOADER_EVENTS_H
#define PF_LOADER_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "datapath.h"
#include "loop.h"
#include "say.h"

struct ring_buffer;

struct pf_events {
	const struct pf_datapath *dp; /* NULL: not open */
	struct pf_loop *loop;
	struct pf_timer timer;
	struct ring_buffer *rings; /* NULL: nobody listens */
	unsigned int listeners;
	uint64_t lost_before; /* the datapath's counter when it was last told */
	struct pf_event *v;   /* taken out of the rings */
	size_t n, capacity;
	uint64_t lost_here; /* those that no memory was found for */
	/* Events in the order of their times, and how many before them were lost. */
	void (*tell)(void *ctx, const struct pf_event *v, size_t n, uint64_t lost);
	void *ctx;
};

/* Nobody listens, whatever an earlier pfd has left. */
int pf_events_open(struct pf_events *e, const struct pf_datapath *dp, struct pf_loop *loop,
		   struct pf_error_text *err);
void pf_events_close(struct pf_events *e);

/* One more who listens: the first has the datapath begin. */
int pf_events_join(struct pf_events *e, struct pf_error_text *err);
/* One less: the last has it end. */
void pf_events_leave(struct pf_events *e);

#endif /* PF_LOADER_EVENTS_H */
