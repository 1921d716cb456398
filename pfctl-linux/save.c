// SPDX-License-Identifier: BSD-2-Clause
/* -S, -L: states into a file, and back. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/saved.h"
#include "pfctl.h"

static bool is_std(const char *file)
{
	return strcmp(file, "-") == 0;
}

/* --- -S --- */

struct writer {
	struct pf_saved_file file;
	const char *name;
	int fd, err;
};

static int write_all(struct writer *w, const void *data, size_t len)
{
	const char *p = data;

	while (len && !w->err) {
		ssize_t n = write(w->fd, p, len);

		if (n < 0 && errno != EINTR)
			w->err = -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return w->err;
}

static int saved_data(void *ctx, const void *payload, size_t len)
{
	struct writer *w = ctx;

	pf_saved_block_written(&w->file, payload, len);
	return write_all(w, payload, len);
}

static int write_states(struct pfctl *c, struct writer *w)
{
	pf_buf_auto begin = {0};
	pf_buf_auto end = {0};

	if (pfctl_connect(c))
		return 1;
	pf_saved_begin(&w->file, &begin);
	if (!begin.failed)
		write_all(w, begin.data, begin.len);
	/* what went wrong may be our own disk, and not what pfd says */
	if (begin.failed ||
	    (pf_client_call(&c->client, PF_REQ_STATES_SAVE, NULL, saved_data, w, NULL) &&
	     !w->err)) {
		pfctl_warn("%s", begin.failed ? "out of memory" : c->client.error);
		return 1;
	}
	pf_saved_end(&w->file, &end);
	if (end.failed)
		w->err = -ENOMEM;
	else
		write_all(w, end.data, end.len);
	if (w->err)
		pfctl_warn("%s: %s", w->name, strerror(-w->err));
	return w->err ? 1 : 0;
}

/* That the new name stands in the directory is kept, too. */
static int sync_directory(const char *file)
{
	char *copy = strdup(file);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int err = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	free(copy);
	/* a file system that cannot do it has no more to give */
	return err == -EINVAL ? 0 : err;
}

/* Whole under its name, or not at all: what was there before stays until then. */
static int save_to(struct pfctl *c, const char *file)
{
	struct writer w = {.name = file};
	struct stat st;
	char *tmp;
	int status;

	if (stat(file, &st) == 0 && !S_ISREG(st.st_mode)) {
		pfctl_warn("%s: not a regular file", file);
		return 1;
	}
	if (asprintf(&tmp, "%s.XXXXXX", file) < 0) {
		pfctl_warn("out of memory");
		return 1;
	}
	w.fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
	if (w.fd < 0) {
		pfctl_warn("%s: %s", file, strerror(errno));
		free(tmp);
		return 1;
	}
	status = write_states(c, &w);
	if (!status && fsync(w.fd))
		w.err = -errno;
	if (close(w.fd) && !w.err)
		w.err = -errno;
	if (!status && !w.err && rename(tmp, file))
		w.err = -errno;
	if (!status && w.err) {
		pfctl_warn("%s: %s", file, strerror(-w.err));
		status = 1;
	}
	if (status)
		unlink(tmp);
	else if (sync_directory(file))
		pfctl_warn("warning: %s may be lost when the power fails now", file);
	free(tmp);
	return status;
}

int pfctl_save_states(struct pfctl *c, const char *file)
{
	struct writer w = {.name = "standard output", .fd = STDOUT_FILENO};

	if (c->no_action)
		return 0;
	if (!is_std(file))
		return save_to(c, file);
	fflush(stdout);
	return write_states(c, &w);
}

/* --- -L --- */

static int read_file(const char *file, struct pf_buf *out)
{
	int fd = is_std(file) ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC), err = 0;
	char buf[65536];
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n && !err) {
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n > 0)
			pf_put(out, buf, (size_t)n);
		if (out->failed)
			err = -ENOMEM;
		if (out->len > PF_SAVED_MOST)
			err = -EFBIG;
	}
	if (fd != STDIN_FILENO)
		close(fd);
	return err;
}

static int send_file(struct pfctl *c, const struct pf_buf *b, struct pf_buf *answer)
{
	for (size_t at = 0; at < b->len; at += PF_FRAME_MOST) {
		size_t left = b->len - at;
		struct pf_buf piece = {.data = b->data + at,
				       .len = left < PF_FRAME_MOST ? left : PF_FRAME_MOST};

		if (pfctl_call(c, PF_REQ_STATES_DATA, &piece, NULL, NULL, NULL))
			return 1;
	}
	return pfctl_call(c, PF_REQ_STATES_LOAD, NULL, NULL, NULL, answer);
}

static void say_loaded(const struct pfctl *c, const struct pf_buf *answer)
{
	struct pf_cursor cur = pf_cursor_of(answer->data, answer->len);
	uint32_t loaded = pf_get_u32(&cur), there = pf_get_u32(&cur), refused = pf_get_u32(&cur),
		 unruled = pf_get_u32(&cur);

	pfctl_say(c, "%u states loaded", loaded);
	if (there)
		pfctl_say(c, "%u states were there already", there);
	if (unruled && c->verbose)
		pfctl_say(c, "%u states are of rules that are not in force", unruled);
	if (refused)
		pfctl_warn("warning: no room for %u states", refused);
}

int pfctl_load_states(struct pfctl *c, const char *file)
{
	const char *name = is_std(file) ? "stdin" : file;
	pf_buf_auto b = {0};
	pf_buf_auto answer = {0};
	char why[200];
	uint32_t n;
	int err = read_file(file, &b);

	if (err) {
		pfctl_warn("%s: %s", name, strerror(-err));
		return 1;
	}
	if (pf_saved_read(b.data, b.len, NULL, NULL, &n, why, sizeof(why))) {
		pfctl_warn("%s: %s: no states loaded", name, why);
		return 1;
	}
	if (c->no_action) {
		if (c->verbose)
			pfctl_say(c, "%u states", n);
		return 0;
	}
	if (send_file(c, &b, &answer))
		return 1;
	say_loaded(c, &answer);
	return 0;
}
