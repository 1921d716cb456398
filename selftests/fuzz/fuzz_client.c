// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a client makes of the bytes that something sends instead of pfd.  The
 * first byte says whether magic and sequence numbers are put right in what
 * follows, and what the callback returns.
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/client.h"
#include "../../lib/proto.h"

#define RAW    1 /* bytes as they are */
#define DENY   2 /* the callback does not want the third piece of data */
#define NOBODY 4 /* no callback */

struct seen {
	size_t calls;
	bool deny;
};

static int on_data(void *ctx, const void *payload, size_t len)
{
	static volatile uint8_t sink;
	struct seen *s = ctx;

	for (size_t i = 0; i < len; i++)
		sink ^= ((const uint8_t *)payload)[i];
	return ++s->calls == 3 && s->deny ? -ENOSPC : 0;
}

/* Makes frames of it: the fuzzer would hardly find these eight bytes. */
static void put_right(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + sizeof(struct pf_frame) <= size;) {
		struct pf_frame f;

		memcpy(&f, data + at, sizeof(f));
		f.magic = PF_PROTO_MAGIC;
		f.seq = 1;
		memcpy(data + at, &f, sizeof(f));
		if (f.len > size)
			return;
		at += sizeof(f) + f.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_client c = {.fd = -1};
	struct pf_buf ok = {0};
	struct seen s = {0};
	uint8_t *copy;
	int fds[2], r;

	if (!size)
		return 0;
	s.deny = *data & DENY;
	copy = malloc(size);
	memcpy(copy, data, size);
	if (!(*data & RAW))
		put_right(copy + 1, size - 1);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	c.fd = fds[0];
	REQUIRE(write(fds[1], copy + 1, size - 1) == (ssize_t)(size - 1));
	shutdown(fds[1], SHUT_WR);
	r = pf_client_call(&c, PF_REQ_STATUS, NULL, *data & NOBODY ? NULL : on_data, &s, &ok);
	REQUIRE(r <= 0);
	REQUIRE(memchr(c.error, '\0', sizeof(c.error)));
	/* an answer has a header at least */
	REQUIRE(r < 0 || size > sizeof(struct pf_frame));
	REQUIRE(ok.len < size);
	pf_buf_free(&ok);
	pf_client_close(&c);
	close(fds[1]);
	free(copy);
	return 0;
}
