// SPDX-License-Identifier: BSD-2-Clause
/*
 * flood [-f PORTS | -F PORTS] [-n] [-r RATE] DEVICE FILE SECONDS CPU: sends the frames of a file,
 * 60 bytes each, one after the other and again and again, as fast as the other end takes them, and
 * prints how many.  It ends when the last one has been taken.
 *
 * -f: frames of TCP or UDP over IPv4 without options have so many source ports in turn,
 * from 1024 on, another one each time that they come round: so many connections each.
 * Their checksum was not right before, and is not then.  -F: the same of the destination.
 * -r: that many a second, if it can; what the other end has no time for is lost.
 * -n: in nobody's way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH	    32
#define FRAME	    60
#define FLYING	    100	 /* frames on the way at most: fewer than a veth's ring holds */
#define FLYING_MOST 4000 /* where they may be lost */
#define ROOM	    768	 /* the kernel's for a frame */
#define SPORT	    34	 /* where the source port is */
#define DPORT	    36
#define PORT_LEAST  1024

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/*
 * A socket that hands frames to the device itself, without a queue between.  A frame
 * takes room in its buffer until the other end's IP takes it, or something drops it.
 */
static int open_device(const char *name, int flying)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = flying * ROOM / 2;

	to.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !to.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) ||
	    bind(fd, (const struct sockaddr *)&to, sizeof(to)))
		return -1;
	return fd;
}

static char *map_file(const char *name, size_t *n)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st) || st.st_size < FRAME)
		return NULL;
	*n = (size_t)st.st_size / FRAME;
	p = mmap(NULL, *n * FRAME, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static void set_port(char *at, unsigned long nr)
{
	uint16_t port = htons((uint16_t)(PORT_LEAST + nr));

	memcpy(at, &port, sizeof(port));
}

struct flood {
	int fd;
	char *frames;
	size_t nframes;
	unsigned long ports; /* 0: they stay */
	size_t port_at;
	double rate; /* 0: no limit */
	bool modest;
	double begin, end;
	unsigned long sent;
};

/* The next ones, as many as one call takes; those that did not go are sent again. */
static int send_batch(struct flood *f)
{
	struct iovec iov[BATCH];
	struct mmsghdr batch[BATCH];
	int n;

	memset(batch, 0, sizeof(batch));
	for (size_t i = 0; i < BATCH; i++) {
		size_t nr = f->sent + i;

		iov[i].iov_base = f->frames + nr % f->nframes * FRAME;
		if (f->ports)
			set_port((char *)iov[i].iov_base + f->port_at, nr / f->nframes % f->ports);
		iov[i].iov_len = FRAME;
		batch[i].msg_hdr.msg_iov = &iov[i];
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	n = sendmmsg(f->fd, batch, BATCH, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? sched_yield() : -errno;
	f->sent += (unsigned long)n;
	return 0;
}

static int flood(struct flood *f)
{
	double now = f->begin;
	int err = 0;

	while (!err && (!f->sent || now < f->end)) {
		if (f->rate > 0 && (double)f->sent >= (now - f->begin) * f->rate)
			usleep(500);
		else
			err = send_batch(f);
		now = seconds();
	}
	return err;
}

static int take_cpu(int cpu, bool hurry)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return -1;
	/* what else runs here would be in the figure */
	return hurry ? setpriority(PRIO_PROCESS, 0, -20) : 0;
}

int main(int argc, char **argv)
{
	struct flood f = {.fd = -1};
	int opt, err, flying;

	while ((opt = getopt(argc, argv, "f:F:nr:")) != -1) {
		if (opt == 'r') {
			f.rate = atof(optarg);
		} else if (opt == 'n') {
			f.modest = true;
		} else if (opt == 'f' || opt == 'F') {
			f.ports = strtoul(optarg, NULL, 10);
			f.port_at = opt == 'f' ? SPORT : DPORT;
		} else {
			argc = 0;
		}
	}
	if (argc - optind != 4) {
		fputs("usage: flood [-f ports | -F ports] [-n] [-r rate] device file seconds cpu\n",
		      stderr);
		return 1;
	}
	argv += optind;
	f.fd = open_device(argv[0], f.rate > 0 ? FLYING_MOST : FLYING);
	f.frames = map_file(argv[1], &f.nframes);
	if (f.fd < 0 || !f.frames || take_cpu(atoi(argv[3]), !f.modest)) {
		perror("flood");
		return 1;
	}
	f.begin = seconds();
	f.end = f.begin + atof(argv[2]);
	err = flood(&f);
	if (err) {
		fprintf(stderr, "flood: send: %s\n", strerror(-err));
		return 1;
	}
	while (!ioctl(f.fd, SIOCOUTQ, &flying) && flying)
		usleep(100);
	printf("%lu\n", f.sent);
	return 0;
}
