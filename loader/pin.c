// SPDX-License-Identifier: BSD-2-Clause
#include "pin.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BPFFS "/sys/fs/bpf"

static char words[512];

const char *pf_libbpf_words(void)
{
	return words;
}

/* The last line that is not the verifier's frame: that is the reason. */
static void keep_reason(const char *msg)
{
	const char *line = msg, *best = NULL;
	size_t best_len = 0;

	while (*line) {
		size_t len = strcspn(line, "\n");

		if (len && !strstr(line, "-- END PROG LOAD LOG --") &&
		    strncmp(line, "processed ", 10) != 0) {
			best = line;
			best_len = len;
		}
		line += len;
		if (*line)
			line++;
	}
	if (best)
		snprintf(words, sizeof(words), "%.*s", (int)best_len, best);
}

static int print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char *text;

	/* the verifier's log is long, and what matters stands at its end */
	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, ap) < 0)
		return 0;
	pf_say(LOG_DEBUG, "%s", text);
	if (level == LIBBPF_WARN && (!*words || strstr(text, "BEGIN PROG LOAD LOG")))
		keep_reason(text);
	free(text);
	return 0;
}

void pf_libbpf_quiet(void)
{
	libbpf_set_print(print);
}

static int is_bpffs(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		return -errno;
	return (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* The nearest directory above that exists. */
static void existing_parent(const char *path, char *buf, size_t size)
{
	struct stat st;

	snprintf(buf, size, "%s", path);
	while (stat(buf, &st) && strlen(buf) > 1) {
		char *slash = strrchr(buf, '/');

		if (!slash || slash == buf) {
			snprintf(buf, size, "/");
			return;
		}
		*slash = '\0';
	}
}

static int make_dirs(const char *path)
{
	char buf[512];

	snprintf(buf, sizeof(buf), "%s", path);
	for (char *p = buf + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(buf, 0700) && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(buf, 0700) && errno != EEXIST ? -errno : 0;
}

/* As under `ip netns exec', whose mounts go when its last process does. */
static bool private_mounts(void)
{
	struct stat ours, inits;

	return stat("/proc/self/ns/mnt", &ours) == 0 && stat("/proc/1/ns/mnt", &inits) == 0 &&
	       ours.st_ino != inits.st_ino;
}

int pf_pin_prepare(const char *pin_dir, struct pf_error_text *e)
{
	static const char *const dirs[] = {"maps", "links", "gen", "tables", "stats"};
	char parent[512], path[512];
	int err;

	existing_parent(pin_dir, parent, sizeof(parent));
	if (is_bpffs(parent) <= 0 && strncmp(pin_dir, BPFFS "/", sizeof(BPFFS)) == 0) {
		if (mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
			return pf_fail(e, -errno,
				       "the BPF file system is not mounted at " BPFFS
				       " and cannot be (%s): try `mount -t bpf bpf " BPFFS "'",
				       strerror(errno));
		if (private_mounts())
			pf_say(LOG_WARNING,
			       "mounted the BPF file system at " BPFFS " for this mount namespace "
			       "only: the firewall ends with it");
		else
			pf_say(LOG_INFO, "mounted the BPF file system at " BPFFS);
		existing_parent(pin_dir, parent, sizeof(parent));
	}
	if (is_bpffs(parent) <= 0)
		return pf_fail(e, -EINVAL, "%s is not in a BPF file system (usually " BPFFS ")",
			       pin_dir);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_dir, dirs[i]);
		err = make_dirs(path);
		if (err)
			return pf_fail(e, err, "%s: %s", path, strerror(-err));
	}
	return 0;
}

int pf_pin_lock(const char *pin_dir, struct pf_error_text *e)
{
	int fd = open(pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT
				       : pf_fail(e, -errno, "%s: %s", pin_dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	err = errno == EWOULDBLOCK ? pf_fail(e, -EBUSY, "another pfd works with %s", pin_dir)
				   : pf_fail(e, -errno, "%s: %s", pin_dir, strerror(errno));
	close(fd);
	return err;
}

/* NOLINTNEXTLINE(misc-no-recursion): our own tree, two levels deep */
static int remove_at(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), err = 0;
	struct dirent *d;
	DIR *dp;

	if (fd < 0)
		return -errno;
	dp = fdopendir(fd);
	if (!dp) {
		close(fd);
		return -errno;
	}
	while (!err && (d = readdir(dp))) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (d->d_type == DT_DIR)
			err = remove_at(dirfd(dp), d->d_name);
		else if (unlinkat(dirfd(dp), d->d_name, 0))
			err = -errno;
	}
	closedir(dp);
	if (!err && unlinkat(dir, name, AT_REMOVEDIR))
		err = -errno;
	return err;
}

int pf_pin_remove_tree(const char *path)
{
	return remove_at(AT_FDCWD, path);
}
