// SPDX-License-Identifier: BSD-2-Clause
#include "client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ERRNO_LARGEST 4095 /* the kernel's MAX_ERRNO */

__attribute__((format(printf, 3, 4))) static int fail(struct pf_client *c, int err, const char *fmt,
						      ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	return err;
}

int pf_client_connect(struct pf_client *c, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int err;

	if (strlen(path) >= sizeof(sun.sun_path))
		return fail(c, -ENAMETOOLONG, "%s: the path is too long", path);
	memcpy(sun.sun_path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return fail(c, -errno, "socket: %s", strerror(errno));
	if (connect(c->fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0)
		return 0;
	err = -errno;
	close(c->fd);
	c->fd = -1;
	if (err == -ENOENT || err == -ECONNREFUSED)
		return fail(c, err, "pfd does not answer at %s (%s): is it running?", path,
			    strerror(-err));
	if (err == -EACCES || err == -EPERM)
		return fail(c, err, "%s: %s: only root may talk to pfd", path, strerror(-err));
	return fail(c, err, "%s: %s", path, strerror(-err));
}

void pf_client_close(struct pf_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int send_all(struct pf_client *c, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(c, -errno, "pfd: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int recv_all(struct pf_client *c, void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n = recv(c->fd, p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(c, -errno, "pfd: %s", strerror(errno));
		if (n == 0)
			return fail(c, -ECONNRESET, "pfd has closed the connection");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int error_frame(struct pf_client *c, const uint8_t *payload, size_t len)
{
	struct pf_cursor cur = pf_cursor_of(payload, len);
	uint32_t err = pf_get_u32(&cur);
	char msg[sizeof(c->error)];

	pf_get_string(&cur, msg, sizeof(msg));
	if (cur.bad || !err || err > ERRNO_LARGEST)
		return fail(c, -EPROTO, "pfd: malformed answer");
	return fail(c, -(int)err, "%s", msg);
}

/* One frame: 1 when the request is answered, 0 when more will come. */
static int frame(struct pf_client *c, uint8_t *payload,
		 int (*data)(void *ctx, const void *payload, size_t len), void *ctx,
		 struct pf_buf *ok)
{
	struct pf_frame f;
	int err = recv_all(c, &f, sizeof(f));

	if (err)
		return err;
	if (f.magic != PF_PROTO_MAGIC || f.len > PF_FRAME_MOST || f.seq != c->seq)
		return fail(c, -EPROTO, "pfd speaks another version of the protocol");
	err = recv_all(c, payload, f.len);
	if (err)
		return err;
	switch (f.type) {
	case PF_MSG_OK:
		if (ok)
			pf_put(ok, payload, f.len);
		return ok && ok->failed ? fail(c, -ENOMEM, "out of memory") : 1;
	case PF_MSG_ERROR:
		return error_frame(c, payload, f.len);
	case PF_MSG_DATA:
		err = data ? data(ctx, payload, f.len) : -EPROTO;
		return err ? fail(c, err, "pfd: unexpected answer") : 0;
	default:
		return fail(c, -EPROTO, "pfd: unknown answer %u", f.type);
	}
}

int pf_client_call(struct pf_client *c, enum pf_msg type, const struct pf_buf *payload,
		   int (*data)(void *ctx, const void *payload, size_t len), void *ctx,
		   struct pf_buf *ok)
{
	size_t len = payload ? payload->len : 0;
	struct pf_frame f = {.magic = PF_PROTO_MAGIC,
			     .type = (uint16_t)type,
			     .len = (uint32_t)len,
			     .seq = ++c->seq};
	uint8_t *buf;
	int err;

	if ((payload && payload->failed) || len > PF_FRAME_MOST)
		return fail(c, -ENOMEM, "out of memory");
	buf = malloc(PF_FRAME_MOST);
	if (!buf)
		return fail(c, -ENOMEM, "out of memory");
	err = send_all(c, &f, sizeof(f));
	if (!err && len)
		err = send_all(c, payload->data, len);
	while (!err)
		err = frame(c, buf, data, ctx, ok);
	free(buf);
	return err == 1 ? 0 : err;
}
