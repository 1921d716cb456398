// SPDX-License-Identifier: BSD-2-Clause
/* pfd: the loader daemon. */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "engine.h"
#include "pin.h"

struct daemon {
	struct pf_loop loop;
	struct pf_engine engine;
	struct pf_control control;
	struct pf_source signals;
};

struct arguments {
	const char *socket;
	struct pf_engine_options engine;
	bool foreground;
	bool remove;
	bool verbose;
};

static void usage(FILE *f)
{
	fputs("usage: pfd [-dhVvX] [-a auto|tcx|clsact] [-l logfile] [-P pindir] [-p socket]\n"
	      "           [--emitter auto|linear|tree]\n",
	      f);
}

static bool emitter_parse(const char *text, enum pf_emitter *out)
{
	for (int i = 0; i < PF_EMITTER_MAX; i++) {
		if (strcmp(text, pf_emitter_names[i]) == 0) {
			*out = (enum pf_emitter)i;
			return true;
		}
	}
	return false;
}

static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	static const struct option longs[] = {{"emitter", required_argument, NULL, 'E'},
					      {NULL, 0, NULL, 0}};
	int opt;

	*a = (struct arguments){
		.socket = PF_SOCKET_DEFAULT,
		.engine = {.pin_dir = PF_PIN_DIR_DEFAULT, .log_path = PF_LOG_DEFAULT}};
	while ((opt = getopt_long(argc, argv, "a:dhl:P:p:VvX", longs, NULL)) != -1) {
		switch (opt) {
		case 'a':
			if (!pf_attach_kind_parse(optarg, &a->engine.attach)) {
				usage(stderr);
				return 1;
			}
			break;
		case 'E':
			if (!emitter_parse(optarg, &a->engine.emitter)) {
				usage(stderr);
				return 1;
			}
			break;
		case 'd':
			a->foreground = true;
			break;
		case 'h':
			usage(stdout);
			return -1;
		case 'l':
			a->engine.log_path = optarg;
			break;
		case 'P':
			a->engine.pin_dir = optarg;
			break;
		case 'p':
			a->socket = optarg;
			break;
		case 'V':
			puts("pfd " PF_VERSION);
			return -1;
		case 'v':
			a->verbose = true;
			break;
		case 'X':
			a->remove = true;
			break;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return 1;
	}
	return 0;
}

/* --- what we need --- */

static int check_capabilities(struct pf_error_text *e)
{
	static const struct {
		unsigned int cap;
		const char *name;
	} needed[] = {{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		      {CAP_BPF, "CAP_BPF"},
		      {CAP_PERFMON, "CAP_PERFMON"}};
	char missing[128] = "";

	if (capng_get_caps_process())
		return pf_fail(e, -EPERM, "cannot read its own capabilities: is /proc mounted?");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		size_t at = strlen(missing);

		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].cap))
			snprintf(missing + at, sizeof(missing) - at, "%s%s", at ? ", " : "",
				 needed[i].name);
	}
	if (*missing)
		return pf_fail(e, -EPERM, "lacks the capability %s: run it as root", missing);
	return 0;
}

static int check_kernel(struct pf_error_text *e)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return pf_fail(e, -ENOTSUP,
			       "/sys/kernel/btf/vmlinux: %s: the kernel must be built with "
			       "CONFIG_DEBUG_INFO_BTF, and /sys be mounted",
			       strerror(errno));
	return 0;
}

/*
 * What is left when all is open: to load programs and attach them, to send
 * netlink messages, to read rings.  Files are root's own by their owner.
 */
static void drop_capabilities(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN, CAP_BPF,
		      CAP_PERFMON, -1);
	if (capng_apply(CAPNG_SELECT_BOTH))
		pf_say(LOG_NOTICE, "cannot drop capabilities: %s", strerror(errno));
}

/* --- signals --- */

static void signal_ready(void *ctx, uint32_t events)
{
	struct daemon *d = ctx;
	struct signalfd_siginfo si;

	(void)events;
	if (read(d->signals.fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGHUP)
		pf_pflog_reopen(&d->engine.log);
	else
		d->loop.stop = true;
}

static int open_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	d->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	d->signals.ready = signal_ready;
	d->signals.ctx = d;
	return d->signals.fd < 0 ? -errno : pf_loop_add(&d->loop, &d->signals, EPOLLIN);
}

/* --- becoming a daemon --- */

/*
 * The parent waits until the child works, and tells how it went: who starts pfd
 * can talk to it when the command returns.  The child's end of the pipe, or -1
 * in the foreground.
 */
static int detach(void)
{
	int ends[2];
	char ok = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid > 0) {
		close(ends[1]);
		_exit(read(ends[0], &ok, 1) == 1 && ok == 'y' ? 0 : 1);
	}
	close(ends[0]);
	setsid();
	return ends[1];
}

static void leave_terminal(int pipe_end)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	pf_say_detach();
	if (chdir("/"))
		pf_say(LOG_WARNING, "chdir: %s", strerror(errno));
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	if (write(pipe_end, "y", 1) != 1)
		pf_say(LOG_DEBUG, "who started us has gone");
	close(pipe_end);
}

/* --- */

static int remove_all(const struct arguments *a, struct pf_error_text *e)
{
	struct pf_loop loop;
	struct pf_netifs ifs;
	int lock = pf_pin_lock(a->engine.pin_dir, e), err;

	/* a pfd that has just been told to end may need a moment */
	for (int tries = 0; lock == -EBUSY && tries < 20; tries++) {
		usleep(100000);
		lock = pf_pin_lock(a->engine.pin_dir, e);
	}
	if (lock < 0 && lock != -ENOENT)
		return lock;
	if (pf_engine_foreign_pins(a->engine.pin_dir))
		return pf_fail(e, -EBUSY,
			       "%s belongs to the firewall of another network namespace: remove it "
			       "there",
			       a->engine.pin_dir);
	err = pf_loop_init(&loop);
	if (err)
		return pf_fail(e, err, "epoll: %s", strerror(-err));
	err = pf_netifs_open(&ifs, &loop, NULL, NULL, e);
	if (!err) {
		pf_attach_remove_all(a->engine.pin_dir, &ifs);
		err = pf_datapath_unpin(a->engine.pin_dir, e);
	}
	pf_netifs_close(&ifs, &loop);
	pf_loop_close(&loop);
	if (lock >= 0)
		close(lock);
	return err;
}

static int start(struct daemon *d, const struct arguments *a, struct pf_error_text *e)
{
	int err = pf_loop_init(&d->loop);

	if (!err)
		err = open_signals(d);
	if (err)
		return pf_fail(e, err, "cannot start: %s", strerror(-err));
	/* the socket first: its lock says that we are the only one */
	err = pf_control_open(&d->control, &d->engine, &d->loop, a->socket, e);
	if (!err)
		err = pf_engine_open(&d->engine, &d->loop, &a->engine, e);
	if (err)
		pf_control_close(&d->control);
	return err;
}

int main(int argc, char **argv)
{
	static struct daemon d;
	struct arguments a;
	struct pf_error_text e;
	int pipe_end = -1, err = parse_arguments(argc, argv, &a);

	if (err)
		return err < 0 ? 0 : 1;
	pf_say_init(a.verbose);
	pf_libbpf_quiet();
	err = check_capabilities(&e);
	if (!err)
		err = check_kernel(&e);
	if (!err && a.remove) {
		err = remove_all(&a, &e);
		if (!err)
			return 0;
	}
	if (!err && !a.foreground) {
		pipe_end = detach();
		err = pipe_end < 0 ? pf_fail(&e, pipe_end, "fork: %s", strerror(-pipe_end)) : 0;
	}
	if (!err)
		err = start(&d, &a, &e);
	if (err) {
		pf_say(LOG_ERR, "%s", e.text);
		return 1;
	}
	drop_capabilities();
	pf_say(LOG_NOTICE, "pfd %s runs at %s, attached by %s", PF_VERSION, a.socket,
	       pf_attach_kind_name(d.engine.attach.kind));
	if (pipe_end >= 0)
		leave_terminal(pipe_end);
	err = pf_loop_run(&d.loop);
	/* the lock of the socket goes last: who waits for it finds all else free */
	pf_engine_close(&d.engine);
	pf_control_close(&d.control);
	pf_loop_close(&d.loop);
	return err ? 1 : 0;
}
