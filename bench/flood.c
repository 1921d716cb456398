// SPDX-License-Identifier: BSD-2-Clause
/*
 * flood DEVICE FILE SECONDS CPU: sends the frames of a file, 60 bytes each, one
 * after the other and again and again, as fast as the other end takes them, and
 * prints how many.  It ends when the last one has been taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
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

#define BATCH  32
#define FRAME  60
#define FLYING 100 /* frames on the way at most: fewer than a veth's ring holds */
#define ROOM   768 /* the kernel's for a frame */

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
static int open_device(const char *name)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = FLYING * ROOM / 2;

	to.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !to.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) ||
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
	p = mmap(NULL, *n * FRAME, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

int main(int argc, char **argv)
{
	struct iovec iov[BATCH];
	struct mmsghdr batch[BATCH];
	unsigned long sent = 0;
	size_t nframes = 0;
	char *frames;
	cpu_set_t cpus;
	double end;
	int fd, flying;

	if (argc != 5) {
		fputs("usage: flood device file seconds cpu\n", stderr);
		return 1;
	}
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[4]), &cpus);
	fd = open_device(argv[1]);
	frames = map_file(argv[2], &nframes);
	/* what else runs here would be in the figure */
	if (fd < 0 || !frames || sched_setaffinity(0, sizeof(cpus), &cpus) ||
	    setpriority(PRIO_PROCESS, 0, -20)) {
		perror("flood");
		return 1;
	}
	memset(batch, 0, sizeof(batch));
	for (int i = 0; i < BATCH; i++) {
		iov[i].iov_len = FRAME;
		batch[i].msg_hdr.msg_iov = &iov[i];
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	for (end = seconds() + atof(argv[3]); !sent || seconds() < end;) {
		int n;

		for (size_t i = 0; i < BATCH; i++)
			iov[i].iov_base = frames + (sent + i) % nframes * FRAME;
		n = sendmmsg(fd, batch, BATCH, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN) {
			perror("flood: send");
			return 1;
		}
		if (n < 0)
			sched_yield();
		else
			sent += (unsigned long)n;
	}
	while (!ioctl(fd, SIOCOUTQ, &flying) && flying)
		usleep(100);
	printf("%lu\n", sent);
	return 0;
}
