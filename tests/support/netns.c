/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/netns.h"

#define SKIPPED 77

static _Noreturn void end_skipped(const char *what)
{
	printf("skipped: %s: %s\n", what, strerror(errno));
	exit(SKIPPED);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	close(fd);
}

void netns_ip(const char *words)
{
	char command[256];

	snprintf(command, sizeof(command), "PATH=$PATH:/usr/sbin:/sbin ip %s", words);
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* Root needs no user namespace; anyone else is root in one of their own. */
void netns_enter(void)
{
	char map[64];
	uid_t uid = getuid();
	int fd;

	if (uid != 0) {
		if (unshare(CLONE_NEWUSER) < 0)
			end_skipped("a user namespace (kernel.unprivileged_userns_clone)");
		write_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_file("/proc/self/uid_map", map);
	}
	if (unshare(CLONE_NEWNET) < 0)
		end_skipped("a network namespace (CAP_SYS_ADMIN)");
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		end_skipped("/dev/net/tun");
	close(fd);
	errno = ENOENT;
	if (system("PATH=$PATH:/usr/sbin:/sbin ip link set lo up") != 0)
		end_skipped("ip (package iproute2)");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}
