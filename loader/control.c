// SPDX-License-Identifier: BSD-2-Clause
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "monitor.h"

#define CLIENTS_MOST 64
#define OUT_WANTED   (256U * 1024) /* above this, a long answer waits */

/* --- answers --- */

static void put_frame(struct pf_client_conn *c, enum pf_msg type, const void *payload, size_t len)
{
	struct pf_frame f = {.magic = PF_PROTO_MAGIC,
			     .type = (uint16_t)type,
			     .len = (uint32_t)len,
			     .seq = c->seq};

	pf_put(&c->out, &f, sizeof(f));
	pf_put(&c->out, payload, len);
}

void pf_reply_ok(struct pf_client_conn *c, const struct pf_buf *payload)
{
	put_frame(c, PF_MSG_OK, payload ? payload->data : NULL, payload ? payload->len : 0);
}

void pf_reply_data(struct pf_client_conn *c, const void *payload, size_t len)
{
	put_frame(c, PF_MSG_DATA, payload, len);
}

void pf_reply_list(struct pf_client_conn *c, const void *list, size_t n, size_t size)
{
	const size_t most = PF_FRAME_MOST / size;

	for (size_t at = 0; at < n; at += most)
		pf_reply_data(c, (const char *)list + at * size,
			      (n - at < most ? n - at : most) * size);
}

void pf_reply_error(struct pf_client_conn *c, int err, const char *text)
{
	pf_buf_auto b = {0};

	pf_put_u32(&b, (uint32_t)(err < 0 ? -err : err ? err : EIO));
	pf_put_string(&b, text);
	put_frame(c, PF_MSG_ERROR, b.data, b.len);
}

/* --- clients --- */

static void drop_client(struct pf_client_conn *c)
{
	struct pf_control *ctl = c->control;
	struct pf_client_conn **p = &ctl->clients;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	ctl->nclients--;
	pf_monitor_end(c);
	pf_loop_remove(ctl->loop, &c->source);
	close(c->source.fd);
	pf_buf_free(&c->in);
	pf_buf_free(&c->out);
	pf_buf_free(&c->staged);
	pf_buf_free(&c->saved);
	free(c);
}

/* Sends what can be sent: false when the client is gone. */
static bool flush(struct pf_client_conn *c)
{
	for (;;) {
		ssize_t n;

		while (c->more && c->out.len < OUT_WANTED)
			if (!c->more(c))
				c->more = NULL;
		if (c->out.failed)
			return false;
		if (!c->out.len)
			return true;
		n = send(c->source.fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		pf_buf_consume(&c->out, (size_t)n);
	}
}

void pf_client_push(struct pf_client_conn *c)
{
	if (!flush(c)) {
		drop_client(c);
		return;
	}
	pf_loop_change(c->control->loop, &c->source, EPOLLIN | (c->out.len ? EPOLLOUT : 0U));
}

/* All requests that are there completely; false when the client talks nonsense. */
static bool handle_input(struct pf_client_conn *c)
{
	if (c->listening)
		return !c->in.len;
	while (!c->more && !c->listening && c->in.len >= sizeof(struct pf_frame)) {
		struct pf_frame f;
		struct pf_cursor cur;

		memcpy(&f, c->in.data, sizeof(f));
		if (f.magic != PF_PROTO_MAGIC || f.len > PF_FRAME_MOST) {
			c->control->malformed++;
			c->seq = f.seq;
			pf_reply_error(c, -EPROTO, "malformed message, or of another version");
			return false;
		}
		if (c->in.len < sizeof(f) + f.len)
			return true;
		c->seq = f.seq;
		cur = pf_cursor_of(c->in.data + sizeof(f), f.len);
		pf_request(c, f.type, &cur);
		pf_buf_consume(&c->in, sizeof(f) + f.len);
	}
	return true;
}

/* Reads what is there: 1, 0 at the end, negative errno. */
static int fill_input(struct pf_client_conn *c)
{
	char buf[65536];

	for (;;) {
		ssize_t n = recv(c->source.fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -errno;
		if (n == 0)
			return 0;
		pf_put(&c->in, buf, (size_t)n);
		if (c->in.failed)
			return -ENOMEM;
		/* one frame at the most is kept: the rest stays with the sender */
		if (c->in.len >= sizeof(struct pf_frame) + PF_FRAME_MOST)
			return 1;
	}
}

static void client_ready(void *ctx, uint32_t events)
{
	struct pf_client_conn *c = ctx;
	int in = 1;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		in = fill_input(c);
	if (!c->closing && !handle_input(c))
		c->closing = true;
	if (!flush(c) || in < 0 || (c->closing && !c->out.len)) {
		drop_client(c);
		return;
	}
	/* an answer may have been waited for by further requests */
	if (!c->closing && !c->more && !handle_input(c))
		c->closing = true;
	if (c->closing && !c->out.len) {
		drop_client(c);
		return;
	}
	if (in == 0 && !c->out.len && !c->more) {
		if (c->in.len) {
			c->control->malformed++;
			pf_say(LOG_WARNING, "control socket: a message of %zu bytes was cut short",
			       c->in.len);
		}
		drop_client(c);
		return;
	}
	pf_loop_change(c->control->loop, &c->source,
		       (in ? EPOLLIN : 0U) | (c->out.len || c->more ? EPOLLOUT : 0U));
}

/* The mode of the socket keeps others out; so does this, should it be changed. */
static bool peer_may(int fd, struct ucred *cred)
{
	socklen_t len = sizeof(*cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) == 0 &&
	       (cred->uid == 0 || cred->uid == geteuid());
}

static void listener_ready(void *ctx, uint32_t events)
{
	struct pf_control *ctl = ctx;
	int fd = accept4(ctl->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct pf_client_conn *c;
	struct ucred cred;

	(void)events;
	if (fd < 0)
		return;
	if (!peer_may(fd, &cred) || ctl->nclients >= CLIENTS_MOST) {
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->control = ctl;
	c->uid = cred.uid;
	c->pid = (uint32_t)cred.pid;
	c->source.fd = fd;
	c->source.ready = client_ready;
	c->source.ctx = c;
	c->next = ctl->clients;
	ctl->clients = c;
	ctl->nclients++;
	if (pf_loop_add(ctl->loop, &c->source, EPOLLIN))
		drop_client(c);
}

/* --- the socket --- */

static int make_parent(const char *path)
{
	char copy[108];
	const char *dir;

	snprintf(copy, sizeof(copy), "%s", path);
	dir = dirname(copy);
	return mkdir(dir, 0755) && errno != EEXIST ? -errno : 0;
}

/* One pfd a socket: the lock goes with its holder, the file may stay.  It tells the pid. */
static int take_lock(struct pf_control *ctl, const char *path, struct pf_error_text *e)
{
	char lock[128];

	snprintf(lock, sizeof(lock), "%s.lock", path);
	ctl->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (ctl->lock_fd < 0)
		return pf_fail(e, -errno, "%s: %s", lock, strerror(errno));
	if (flock(ctl->lock_fd, LOCK_EX | LOCK_NB))
		return pf_fail(e, -EBUSY, "another pfd runs at %s", path);
	if (ftruncate(ctl->lock_fd, 0) || dprintf(ctl->lock_fd, "%d\n", (int)getpid()) < 0)
		return pf_fail(e, -errno, "%s: %s", lock, strerror(errno));
	return 0;
}

static int listen_at(struct pf_control *ctl, const char *path, struct pf_error_text *e)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t old;
	int err;

	memcpy(sun.sun_path, path, strlen(path) + 1);
	ctl->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ctl->listener.fd < 0)
		return pf_fail(e, -errno, "socket: %s", strerror(errno));
	unlink(path); /* we have the lock: nobody listens there */
	old = umask(0177);
	err = bind(ctl->listener.fd, (const struct sockaddr *)&sun, sizeof(sun)) ? -errno : 0;
	umask(old);
	if (!err && listen(ctl->listener.fd, SOMAXCONN))
		err = -errno;
	return err ? pf_fail(e, err, "%s: %s", path, strerror(-err)) : 0;
}

int pf_control_open(struct pf_control *ctl, struct pf_engine *g, struct pf_loop *loop,
		    const char *path, struct pf_error_text *e)
{
	int err;

	memset(ctl, 0, sizeof(*ctl));
	ctl->engine = g;
	ctl->loop = loop;
	ctl->listener.fd = ctl->lock_fd = -1;
	if (strlen(path) >= sizeof(ctl->path))
		return pf_fail(e, -ENAMETOOLONG, "%s: the path is too long", path);
	memcpy(ctl->path, path, strlen(path) + 1);
	err = make_parent(path);
	if (err)
		return pf_fail(e, err, "cannot make the directory of %s: %s", path, strerror(-err));
	err = take_lock(ctl, path, e);
	if (!err)
		err = listen_at(ctl, path, e);
	if (err)
		return err;
	ctl->listener.ready = listener_ready;
	ctl->listener.ctx = ctl;
	err = pf_loop_add(loop, &ctl->listener, EPOLLIN);
	return err ? pf_fail(e, err, "epoll: %s", strerror(-err)) : 0;
}

void pf_control_close(struct pf_control *ctl)
{
	char lock[128];

	while (ctl->clients)
		drop_client(ctl->clients);
	if (ctl->listener.fd >= 0) {
		pf_loop_remove(ctl->loop, &ctl->listener);
		close(ctl->listener.fd);
		unlink(ctl->path);
		snprintf(lock, sizeof(lock), "%s.lock", ctl->path);
		unlink(lock);
	}
	if (ctl->lock_fd >= 0)
		close(ctl->lock_fd);
	pf_buf_free(&ctl->load);
	ctl->listener.fd = ctl->lock_fd = -1;
}
