// SPDX-License-Identifier: BSD-2-Clause
/*
 * flood DEVICE FILE SECONDS CPU: sends the frames of a file, 60 bytes each, one
 * after the other and again and again, and prints how many and nanoseconds a frame.
 * Over veths all that happens to a frame happens on the CPU that sends it, before
 * the call returns: the whole path is in the figure.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32 /* few, as a frame may take milliseconds */
#define FRAME 60

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A socket that hands frames to the device itself, without a queue between. */
static int open_device(const char *name)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;

	to.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !to.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
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
	double begin, end;
	int fd;

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
	begin = seconds();
	end = begin + atof(argv[3]);
	while (seconds() < end) {
		int n;

		for (size_t i = 0; i < BATCH; i++)
			iov[i].iov_base = frames + (sent + i) % nframes * FRAME;
		n = sendmmsg(fd, batch, BATCH, 0);
		if (n < 0) {
			perror("flood: send");
			return 1;
		}
		sent += (unsigned long)n;
	}
	printf("%lu %.1f\n", sent, (seconds() - begin) * 1e9 / (double)sent);
	return 0;
}
