// SPDX-License-Identifier: BSD-2-Clause
/*
 * flood ADDRESS PORT SECONDS CPU: sends small UDP datagrams from one CPU, and prints
 * nanoseconds a packet.  Over veths all that happens to a packet happens on that
 * CPU, before the call returns: the whole path is in the figure.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int udp_to(const char *address, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	char payload[18] = "";
	struct iovec iov = {.iov_base = payload, .iov_len = sizeof(payload)};
	struct mmsghdr batch[BATCH];
	unsigned long sent = 0;
	cpu_set_t cpus;
	double begin, end;
	int fd;

	if (argc != 5) {
		fputs("usage: flood address port seconds cpu\n", stderr);
		return 1;
	}
	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[4]), &cpus);
	fd = udp_to(argv[1], argv[2]);
	if (fd < 0 || sched_setaffinity(0, sizeof(cpus), &cpus)) {
		perror("flood");
		return 1;
	}
	memset(batch, 0, sizeof(batch));
	for (int i = 0; i < BATCH; i++) {
		batch[i].msg_hdr.msg_iov = &iov;
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	begin = seconds();
	end = begin + atof(argv[3]);
	while (seconds() < end) {
		int n = sendmmsg(fd, batch, BATCH, 0);

		if (n < 0) {
			perror("flood: send");
			return 1;
		}
		sent += (unsigned long)n;
	}
	printf("%.1f\n", (seconds() - begin) * 1e9 / (double)sent);
	return 0;
}
