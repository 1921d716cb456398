/* SPDX-License-Identifier: BSD-2-Clause */
/* A client's side of the control protocol: one request at a time, blocking. */
#ifndef PF_LIB_CLIENT_H
#define PF_LIB_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "wire.h"

struct pf_client {
	int fd;
	uint32_t seq;
	char error[512]; /* of the last call that failed, for the user */
};

#define PF_CLIENT_INIT   \
	{                \
		.fd = -1 \
	}

/* 0, or a negative errno with a message in c->error. */
int pf_client_connect(struct pf_client *c, const char *path);
void pf_client_close(struct pf_client *c);
#define pf_client_auto __attribute__((cleanup(pf_client_close))) struct pf_client

/*
 * Sends a request and reads its answer.  `data` is called for each DATA frame,
 * and may be NULL when none is expected; a negative value from it ends the call.
 * The payload of OK is put into *ok, which may be NULL.
 * 0, or a negative errno: what the daemon said, or why it could not be reached;
 * the message is in c->error.
 */
int pf_client_call(struct pf_client *c, enum pf_msg type, const struct pf_buf *payload,
		   int (*data)(void *ctx, const void *payload, size_t len), void *ctx,
		   struct pf_buf *ok);

#endif /* PF_LIB_CLIENT_H */
