/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/backends/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool set_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return false;
	memcpy(address->sun_path, path, strlen(path) + 1);
	return true;
}

int pv_socket_connect(int fd, const char *path)
{
	struct sockaddr_un address;

	if (!set_address(&address, path))
		return -ENAMETOOLONG;
	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/*
 * What the kernel still does for a killed process keeps its sockets alive for some milliseconds;
 * then it hangs up on us. Datagrams have nothing to hang up: such a socket is looked at again.
 */
#define HANG_UP_MS 200

enum presence { ABSENT, DYING, PRESENT };

/* Only that it is refused says that nobody has it. A full backlog (EAGAIN) is an answer too. */
static enum presence look_for_owner(int type, const char *path)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	enum presence presence = PRESENT;
	int err;

	if (fd < 0)
		return PRESENT;
	err = pv_socket_connect(fd, path);
	if (err)
		presence = err == -ECONNREFUSED ? ABSENT : PRESENT;
	else if (poll(&(struct pollfd){ .fd = fd }, 1, HANG_UP_MS) > 0 || type == SOCK_DGRAM)
		presence = DYING;
	close(fd);
	return presence;
}

bool pv_socket_is_in_use(int type, const char *path)
{
	enum presence presence = look_for_owner(type, path);

	return presence == DYING ? look_for_owner(type, path) != ABSENT : presence == PRESENT;
}

static bool is_stale(int type, const char *path)
{
	struct stat there;

	return lstat(path, &there) == 0 && S_ISSOCK(there.st_mode) &&
	       !pv_socket_is_in_use(type, path);
}

/* The socket's own mode is what its path gets. */
static int bind_to(int fd, int type, const char *path, struct pv_socket_place *made)
{
	struct sockaddr_un address;
	struct stat there;

	if (!set_address(&address, path))
		return -ENAMETOOLONG;
	if (is_stale(type, path) && unlink(path) < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    lstat(path, &there) < 0)
		return -errno;
	*made = (struct pv_socket_place){ there.st_dev, there.st_ino };
	return 0;
}

static const char *why(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "it is in use; end who uses it or choose another path";
	case -ENAMETOOLONG:
		return "it is longer than a socket's path may be; choose a shorter one";
	default:
		return pv_why_not_made(err);
	}
}

int pv_socket_bind(const struct pv_refusal *refusal, int type, const char *key, const char *path,
                   struct pv_socket_place *made)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return pv_refuse(refusal, -errno, "%s: cannot make a socket: %s", key,
		                 strerror(errno));
	err = path ? bind_to(fd, type, path, made) : 0;
	if (!err)
		return fd;
	close(fd);
	return pv_refuse(refusal, err, "%s=%s: cannot be made: %s", key, path, why(err));
}

void pv_socket_unlink(const struct pv_socket_place *made, const char *path)
{
	struct stat there;

	if (lstat(path, &there) == 0 && there.st_dev == made->device && there.st_ino == made->inode)
		unlink(path);
}

int pv_socket_check(const struct pv_refusal *refusal, int fd, int type)
{
	socklen_t bytes = sizeof(int);
	int found;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &found, &bytes) < 0)
		return pv_refuse(refusal, -errno, "fd=%d: %s", fd,
		                 errno == EBADF ? "is not open" : "is no socket");
	if (found != type)
		return pv_refuse(refusal, -EINVAL, "fd=%d: is no %s socket", fd,
		                 type == SOCK_STREAM ? "stream" : "datagram");
	return 0;
}
