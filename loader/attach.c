// SPDX-License-Identifier: BSD-2-Clause
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/bpf.h of 6.6; the headers of older systems lack them. */
#define TCX_INGRESS	46
#define TCX_EGRESS	47
#define TCX_BEFORE	(1U << 3)
#define CMD_LINK_CREATE 28
#define CMD_LINK_UPDATE 29

struct tcx_attr {
	uint32_t prog_fd;
	uint32_t ifindex;
	uint32_t attach_type;
	uint32_t flags;
	uint32_t relative_fd;
	uint32_t pad;
	uint64_t expected_revision;
	uint8_t rest[96];
};

/* Our place among the filters of clsact. */
#define CLSACT_HANDLE	0x7066
#define CLSACT_PRIORITY 1

#define RCU_EXPEDITED	"/sys/kernel/rcu_expedited"

static const char *const kind_names[] = {
	[PF_ATTACH_AUTO] = "auto",
	[PF_ATTACH_TCX] = "tcx",
	[PF_ATTACH_CLSACT] = "clsact",
};

bool pf_attach_kind_parse(const char *text, enum pf_attach_kind *out)
{
	for (int i = 0; i < 3; i++) {
		if (strcmp(text, kind_names[i]) == 0) {
			*out = (enum pf_attach_kind)i;
			return true;
		}
	}
	return false;
}

const char *pf_attach_kind_name(enum pf_attach_kind kind)
{
	return kind_names[kind];
}

static int tcx_create(int prog, int ifindex, bool in)
{
	struct tcx_attr a = {
		.prog_fd = (uint32_t)prog,
		.ifindex = (uint32_t)ifindex,
		.attach_type = in ? TCX_INGRESS : TCX_EGRESS,
		/* first on the way in, last on the way out: nothing comes to the host unseen */
		.flags = in ? TCX_BEFORE : 0,
	};
	long fd = syscall(SYS_bpf, CMD_LINK_CREATE, &a, sizeof(a));

	return fd < 0 ? -errno : (int)fd;
}

/* To an interface that is not there: ENODEV from who knows tcx, EINVAL from who does not. */
static bool has_tcx(void)
{
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pf_probe", "Dual BSD/GPL", nothing, 2,
				 NULL);
	int err;

	if (prog < 0)
		return false;
	err = tcx_create(prog, INT_MAX, true);
	close(prog);
	return err == -ENODEV;
}

int pf_attach_init(struct pf_attach *a, const struct pf_datapath *dp, enum pf_attach_kind kind,
		   struct pf_error_text *e)
{
	a->dp = dp;
	a->kind = kind;
	if (kind == PF_ATTACH_CLSACT)
		return 0;
	if (has_tcx()) {
		a->kind = PF_ATTACH_TCX;
		return 0;
	}
	if (kind == PF_ATTACH_TCX)
		return pf_fail(e, -ENOTSUP, "this kernel has no tcx (Linux 6.6 has it)");
	a->kind = PF_ATTACH_CLSACT;
	return 0;
}

/* --- which programs --- */

enum link_layer { LINK_ETHERNET, LINK_NONE, LINK_UNKNOWN };

/* Devices whose packets begin with the IP header (linux/if_arp.h). */
static enum link_layer link_layer(uint16_t type)
{
	switch (type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return LINK_ETHERNET;
	case ARPHRD_NONE:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case 519: /* ARPHRD_RAWIP */
	case 823: /* ARPHRD_IP6GRE */
		return LINK_NONE;
	default:
		return LINK_UNKNOWN;
	}
}

static int hook_fd(const struct pf_attach *a, const struct pf_netif *i, bool in)
{
	static const enum pf_hook hooks[3][2] = {
		[LINK_ETHERNET] = {PF_HOOK_OUT, PF_HOOK_IN},
		[LINK_NONE] = {PF_HOOK_OUT_L3, PF_HOOK_IN_L3},
		[LINK_UNKNOWN] = {PF_HOOK_UNKNOWN, PF_HOOK_UNKNOWN},
	};

	return pf_datapath_hook(a->dp, hooks[link_layer(i->type)][in]);
}

/* --- tcx --- */

static void link_path(const char *pin_dir, int ifindex, bool in, char *buf, size_t size)
{
	snprintf(buf, size, "%s/links/%d-%s", pin_dir, ifindex, in ? "in" : "out");
}

/* The interface that a link holds, 0 when that has gone, or a negative errno. */
static int link_ifindex(int fd)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int ifindex;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	/* of tcx, the union's first word */
	memcpy(&ifindex, &info.netns.netns_ino, sizeof(ifindex));
	return ifindex;
}

static int tcx_on(const struct pf_attach *a, int ifindex, int prog, bool in)
{
	char path[512];
	int fd, err;

	link_path(a->dp->pin_dir, ifindex, in, path, sizeof(path));
	fd = bpf_obj_get(path);
	/* the number of an interface that went may have been given away */
	if (fd >= 0 && link_ifindex(fd) == ifindex) {
		err = bpf_link_update(fd, prog, NULL);
		close(fd);
		return err;
	}
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	fd = tcx_create(prog, ifindex, in);
	if (fd < 0)
		return fd;
	err = bpf_obj_pin(fd, path);
	close(fd);
	return err;
}

static void tcx_off(const char *pin_dir, int ifindex, bool in)
{
	char path[512];
	int fd;

	link_path(pin_dir, ifindex, in, path, sizeof(path));
	fd = bpf_obj_get(path);
	if (fd < 0)
		return;
	bpf_link_detach(fd);
	close(fd);
	unlink(path);
}

/* --- clsact --- */

static int clsact_on(int ifindex, int prog, bool in)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = in ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog, .handle = CLSACT_HANDLE,
		    .priority = CLSACT_PRIORITY, .flags = BPF_TC_F_REPLACE);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	return bpf_tc_attach(&hook, &opts);
}

static void clsact_off(int ifindex, bool in)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = in ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);

	/* the qdisc stays: other filters may be in it */
	bpf_tc_detach(&hook, &opts);
}

/* --- both --- */

int pf_attach_on(const struct pf_attach *a, const struct pf_netif *i, struct pf_error_text *e)
{
	if (link_layer(i->type) == LINK_UNKNOWN)
		pf_say(LOG_WARNING,
		       "%s: link type %u is not known: all IP is dropped there, unless "
		       "`set skip on %s' leaves it alone",
		       i->name, i->type, i->name);
	for (int in = 1; in >= 0; in--) {
		int prog = hook_fd(a, i, in);
		int err = a->kind == PF_ATTACH_TCX ? tcx_on(a, i->ifindex, prog, in)
						   : clsact_on(i->ifindex, prog, in);

		/* it has gone meanwhile: netlink will tell */
		if (err == -ENODEV)
			return 0;
		/* the kernel's word for a classifier of another kind in our place */
		if (err == -EINVAL && a->kind == PF_ATTACH_CLSACT)
			return pf_fail(
				e, err,
				"cannot attach to %s: another tc filter has priority %u there, "
				"and would be in front of this firewall",
				i->name, CLSACT_PRIORITY);
		if (err)
			return pf_fail(e, err, "cannot attach to %s: %s", i->name, strerror(-err));
	}
	return 0;
}

void pf_attach_off(const struct pf_attach *a, const struct pf_netif *i)
{
	for (int in = 0; in < 2; in++) {
		if (a->kind == PF_ATTACH_TCX)
			tcx_off(a->dp->pin_dir, i->ifindex, in);
		else
			clsact_off(i->ifindex, in);
	}
}

void pf_attach_forget(const struct pf_attach *a, int ifindex)
{
	char path[512];

	for (int in = 0; in < 2; in++) {
		link_path(a->dp->pin_dir, ifindex, in, path, sizeof(path));
		unlink(path);
	}
}

void pf_attach_other_off(const struct pf_attach *a, const struct pf_netif *i)
{
	for (int in = 0; in < 2; in++) {
		if (a->kind == PF_ATTACH_TCX)
			clsact_off(i->ifindex, in);
		else
			tcx_off(a->dp->pin_dir, i->ifindex, in);
	}
}

bool pf_attach_alive(const char *pin_dir)
{
	char path[512 + 256];
	struct dirent *d;
	bool any = false, alive = false;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%s/links", pin_dir);
	dir = opendir(path);
	while (dir && !alive && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		any = true;
		snprintf(path, sizeof(path), "%s/links/%s", pin_dir, d->d_name);
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		alive = link_ifindex(fd) > 0;
		close(fd);
	}
	if (dir)
		closedir(dir);
	return alive || !any;
}

static int rcu_expedited(int value)
{
	char c = 0, text[2] = {(char)('0' + value), '\n'};
	int fd = open(RCU_EXPEDITED, O_RDWR | O_CLOEXEC), old = -1;

	if (fd < 0)
		return -1;
	if (read(fd, &c, 1) == 1)
		old = c - '0';
	if (old != value && pwrite(fd, text, sizeof(text), 0) != (ssize_t)sizeof(text))
		old = -1;
	close(fd);
	return old;
}

bool pf_attach_hurry_begin(void)
{
	return rcu_expedited(1) == 0;
}

void pf_attach_hurry_end(bool began)
{
	if (began)
		rcu_expedited(0);
}

void pf_attach_remove_all(const char *pin_dir, const struct pf_netifs *ifs)
{
	bool hurry = pf_attach_hurry_begin();

	for (const struct pf_netif *i = ifs->first; i; i = i->next) {
		for (int in = 0; in < 2; in++) {
			tcx_off(pin_dir, i->ifindex, in);
			clsact_off(i->ifindex, in);
		}
	}
	pf_attach_hurry_end(hurry);
}
