/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets are opened before the sandbox is entered; what is left for later is to remove them.
 *
 * #syscalls newfstatat unlink close
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hosted/backends/refuse.h"
#include "hosted/backends/socket.h"
#include "hosted/control/listener.h"

#define BACKLOG 16
/* How long another process that is looking at the same folder is waited for. */
#define LOCK_TRIES    50
#define LOCK_PAUSE_NS 20000000

/*
 * Two processes that start at once on one stale path must not both replace it: whoever holds the
 * lock on the folder looks and binds. Goes on without it rather than wait for ever.
 */
static int lock_folder_of(const char *path)
{
	char folder[PV_LISTENER_PATH_BYTES];
	char *slash;
	int fd;

	strcpy(folder, path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_NS }, NULL);
	return fd;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, path);
	return address;
}

static bool clear_path(const char *option, const char *path,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct stat there;

	if (lstat(path, &there) < 0)
		return true;
	if (!S_ISSOCK(there.st_mode))
		return pv_sentence_wrong(
			sentence, "option '%s': %s exists and is no socket; choose another path",
			option, path);
	if (pv_socket_is_in_use(SOCK_STREAM, path))
		return pv_sentence_wrong(
			sentence,
			"option '%s': another process listens on %s; end it or choose another "
			"path",
			option, path);
	if (unlink(path) < 0)
		return pv_sentence_wrong(sentence,
		                         "option '%s': cannot replace the old socket %s: %s",
		                         option, path, strerror(errno));
	return true;
}

static bool bind_and_listen(struct pv_listener *listener, int fd, const char *path)
{
	struct sockaddr_un address = address_of(path);
	struct stat made;
	int error;

	/* The socket's own mode is what its path gets, the umask taken away. */
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return false;
	if (lstat(path, &made) == 0 && listen(fd, BACKLOG) == 0) {
		*listener = (struct pv_listener){ .fd = fd,
			                          .device = made.st_dev,
			                          .inode = made.st_ino };
		strcpy(listener->path, path);
		return true;
	}
	error = errno;
	unlink(path);
	errno = error;
	return false;
}

bool pv_listener_open(struct pv_listener *listener, const char *option, const char *path,
                      char sentence[static PV_SENTENCE_BYTES])
{
	bool is_good;
	int fd, lock;

	if (strlen(path) >= PV_LISTENER_PATH_BYTES)
		return pv_sentence_wrong(
			sentence,
			"option '%s': a socket's path has at most %zu bytes, this one has %zu; "
			"choose a shorter one",
			option, PV_LISTENER_PATH_BYTES - 1, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return pv_sentence_wrong(sentence, "option '%s': cannot make a socket: %s", option,
		                         strerror(errno));
	lock = lock_folder_of(path);
	is_good = clear_path(option, path, sentence);
	if (is_good && !bind_and_listen(listener, fd, path))
		is_good = pv_sentence_wrong(sentence, "option '%s': cannot listen on %s: %s",
		                            option, path, pv_why_not_made(-errno));
	if (lock >= 0)
		close(lock);
	if (!is_good)
		close(fd);
	return is_good;
}

bool pv_listener_is_at(const struct pv_listener *listener, const char *path)
{
	struct stat now;

	return listener->path[0] && lstat(path, &now) == 0 && now.st_dev == listener->device &&
	       now.st_ino == listener->inode;
}

void pv_listener_close(struct pv_listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	if (pv_listener_is_at(listener, listener->path))
		unlink(listener->path);
	listener->path[0] = '\0';
}

static bool is_word(const char *text, size_t bytes, const char *word)
{
	return strlen(word) == bytes && memcmp(text, word, bytes) == 0;
}

/* The words behind the path. Each says what this server does anyway. */
static bool parse_words(const char *option, const char *text,
                        char sentence[static PV_SENTENCE_BYTES])
{
	static const char *const known[] = { "server", "server=on", "nowait", "wait=off" };

	while (*text == ',') {
		size_t bytes = strcspn(++text, ",");
		bool is_known = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is_known |= is_word(text, bytes, known[i]);
		if (!is_known)
			return pv_sentence_wrong(
				sentence,
				"option '%s': '%.*s' is not possible here; server=on and "
				"wait=off are",
				option, (int)(bytes < 64 ? bytes : 64), text);
		text += bytes;
	}
	return true;
}

bool pv_listener_parse(const char *option, const char *text,
                       char path[static PV_LISTENER_PATH_BYTES],
                       char sentence[static PV_SENTENCE_BYTES])
{
	const char *from = text + strlen("unix:");
	size_t bytes = 0;

	if (strncmp(text, "unix:", strlen("unix:")) != 0 || !*from || *from == ',')
		return pv_sentence_wrong(sentence, "option '%s' takes unix:PATH, not '%.64s'",
		                         option, text);
	for (; *from && (*from != ',' || from[1] == ','); from++) {
		if (bytes == PV_LISTENER_PATH_BYTES - 1)
			return pv_sentence_wrong(
				sentence,
				"option '%s': a socket's path has at most %zu bytes; choose a "
				"shorter one",
				option, PV_LISTENER_PATH_BYTES - 1);
		from += *from == ',';
		path[bytes++] = *from;
	}
	path[bytes] = '\0';
	return parse_words(option, from, sentence);
}
