// SPDX-License-Identifier: BSD-2-Clause
#include "netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_SIZE 32768 /* what the kernel fills at the most */

static int ask(struct mnl_socket *nl, struct nlmsghdr *nlh, mnl_cb_t each, void *ctx)
{
	const bool list = nlh->nlmsg_flags & NLM_F_DUMP;
	int more;

	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		/* the question has been sent: its place is free */
		ssize_t got = mnl_socket_recvfrom(nl, nlh, ANSWER_SIZE);

		more = got < 0 ? -1
			       : mnl_cb_run(nlh, (size_t)got, 1, mnl_socket_get_portid(nl), each,
					    ctx);
	} while (more > 0 && list);
	return more < 0 ? -errno : 0;
}

int pf_netlink_ask(int bus, uint16_t type, uint16_t flags, const void *body, size_t len,
		   mnl_cb_t each, void *ctx)
{
	struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	void *buf = malloc(ANSWER_SIZE);
	struct nlmsghdr *nlh;
	int err;

	if (nl && buf) {
		nlh = mnl_nlmsg_put_header(buf);
		nlh->nlmsg_type = type;
		nlh->nlmsg_flags = NLM_F_REQUEST | flags;
		nlh->nlmsg_seq = 1;
		memcpy(mnl_nlmsg_put_extra_header(nlh, len), body, len);
		err = ask(nl, nlh, each, ctx);
	} else {
		err = -errno;
	}
	if (nl)
		mnl_socket_close(nl);
	free(buf);
	return err;
}
