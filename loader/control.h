/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: clients, frames, transactions.  What a request does is in
 * requests.c, by a table of handlers.
 */
#ifndef PF_LOADER_CONTROL_H
#define PF_LOADER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/proto.h"
#include "../lib/wire.h"
#include "engine.h"
#include "loop.h"
#include "say.h"

struct pf_control;

struct pf_client_conn {
	struct pf_client_conn *next;
	struct pf_control *control;
	struct pf_source source;
	struct pf_buf in, out;
	struct pf_buf staged; /* entries for the next PF_REQ_TABLE */
	struct pf_buf saved;  /* a file for the next PF_REQ_STATES_LOAD */
	uint32_t seq;	      /* of the request at hand */
	uint32_t uid, pid;
	bool closing; /* once what is to be sent has been */
	/*
	 * An answer too long to be held at once: called for more when there is
	 * room; false when it is complete.
	 */
	bool (*more)(struct pf_client_conn *c);
	uint32_t cursor;
	struct {
		uint64_t now;
		uint32_t ifindex, rule;
	} states;	/* PF_REQ_STATES, PF_REQ_STATES_SAVE */
	bool listening; /* to what becomes of states */
	uint64_t lost;	/* events that it was not told of */
};

struct pf_control {
	struct pf_engine *engine;
	struct pf_loop *loop;
	struct pf_source listener;
	struct pf_client_conn *clients;
	unsigned int nclients;
	char path[108];
	int lock_fd;
	/* the load that is under way */
	uint64_t ticket;
	struct pf_buf load;
	uint64_t malformed; /* messages */
};

/* -EBUSY with a message when another pfd has the socket. */
int pf_control_open(struct pf_control *c, struct pf_engine *g, struct pf_loop *loop,
		    const char *path, struct pf_error_text *err);
void pf_control_close(struct pf_control *c);

/* --- for the handlers --- */

void pf_reply_ok(struct pf_client_conn *c, const struct pf_buf *payload);
void pf_reply_error(struct pf_client_conn *c, int err, const char *text);
void pf_reply_data(struct pf_client_conn *c, const void *payload, size_t len);
/* n elements of `size` bytes, in as many frames as they take: none is cut. */
void pf_reply_list(struct pf_client_conn *c, const void *list, size_t n, size_t size);

/* Sends what waits to be sent; the client may be gone afterwards. */
void pf_client_push(struct pf_client_conn *c);

void pf_reply_u32(struct pf_client_conn *c, uint32_t v);
/* True when all of the payload was read well; else the client is told. */
bool pf_request_complete(struct pf_client_conn *c, const struct pf_cursor *payload);

/* reqstates.c */
void pf_request_states(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_kill(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_sources(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_kill_sources(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_limiters(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_limited(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_save(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_saved(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_restore(struct pf_client_conn *c, struct pf_cursor *payload);
void pf_request_monitor(struct pf_client_conn *c, struct pf_cursor *payload);

/* Does the request; requests.c.  The cursor is at its payload. */
void pf_request(struct pf_client_conn *c, uint16_t type, struct pf_cursor *payload);

#endif /* PF_LOADER_CONTROL_H */
