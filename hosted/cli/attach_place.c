/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane attach: finds the port, and connects to it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "hosted/cli/attach.h"
#include "hosted/control/options.h"
#include "hosted/control/qmp_remote.h"

#define TIMEOUT_S 10

/* ---- what query-chardev says ---- */

static void ignore_event(void *arg, struct json_object *event)
{
	(void)arg;
	(void)event;
}

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value = json_object_object_get(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static bool no_port(const struct pv_attach_place *place, const struct pv_nearest *nearest,
                    char sentence[static PV_SENTENCE_BYTES])
{
	if (nearest->best)
		return pv_sentence_wrong(sentence,
		                         "there is no port '%.64s'; did you mean '%.64s'?",
		                         place->port, nearest->best);
	return pv_sentence_wrong(sentence,
	                         "there is no port '%.64s'; 'paravane ctl %.128s query-chardev' "
	                         "lists those that there are",
	                         place->port, place->control);
}

/* Takes over where the port is. */
static bool find_port(struct pv_attach_place *place, struct json_object *ports,
                      char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_nearest nearest = { .word = place->port };

	if (!json_object_is_type(ports, json_type_array))
		return pv_sentence_wrong(sentence, "%.128s does not know about ports",
		                         place->control);
	for (size_t i = 0; i < json_object_array_length(ports); i++) {
		struct json_object *port = json_object_array_get_idx(ports, i);
		const char *label = text_of(port, "label");

		if (strcmp(label, place->port) == 0) {
			snprintf(place->path, sizeof(place->path), "%s", text_of(port, "filename"));
			return true;
		}
		pv_nearest_offer(&nearest, label);
	}
	return no_port(place, &nearest, sentence);
}

static bool ask_where(struct pv_attach_place *place, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_qmp_remote_options options = {
		.path = place->control,
		.timeout_s = TIMEOUT_S,
		.event = ignore_event,
	};
	struct pv_qmp_remote *remote;
	struct json_object *answer;
	bool is_good;

	if (!pv_qmp_remote_open(&remote, &options, sentence))
		return false;
	answer = pv_qmp_remote_ask(remote, "query-chardev", NULL, sentence);
	is_good = answer && find_port(place, json_object_object_get(answer, "return"), sentence);
	json_object_put(answer);
	pv_qmp_remote_close(remote);
	return is_good;
}

/* ---- connecting ---- */

static int wrong(const char *path, int err, char sentence[static PV_SENTENCE_BYTES])
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
		pv_sentence_wrong(sentence, "there is no %s: is the machine running?", path);
		break;
	case ECONNREFUSED:
		pv_sentence_wrong(sentence, "nobody listens on %s: is the machine running?", path);
		break;
	case EACCES:
		pv_sentence_wrong(sentence,
		                  "%s may not be used by this user; run as the one who started "
		                  "the machine",
		                  path);
		break;
	case EAGAIN:
		pv_sentence_wrong(sentence, "too many wait for %s already; try again later", path);
		break;
	default:
		pv_sentence_wrong(sentence, "cannot connect to %s: %s", path, strerror(err));
	}
	return -1;
}

/* Returns the descriptor, or -errno. */
static int connect_to(const struct sockaddr *address, socklen_t bytes)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd >= 0 && connect(fd, address, bytes) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	err = errno;
	if (fd >= 0)
		close(fd);
	return -err;
}

static int connect_unix(const char *path, char sentence[static PV_SENTENCE_BYTES])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return wrong(path, ENAMETOOLONG, sentence);
	strcpy(address.sun_path, path);
	fd = connect_to((const struct sockaddr *)&address, sizeof(address));
	return fd >= 0 ? fd : wrong(path, -fd, sentence);
}

/* One after another: a name often stands for addresses of which only some are listened on. */
static int connect_to_any(const struct addrinfo *found)
{
	int fd = -EADDRNOTAVAIL;

	for (; found && fd < 0; found = found->ai_next)
		fd = connect_to(found->ai_addr, found->ai_addrlen);
	return fd;
}

/* HOST:PORT, where an address of IPv6 is in brackets. */
static int connect_tcp(const char *text, char sentence[static PV_SENTENCE_BYTES])
{
	const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM };
	char name[256], *host = name, *port;
	struct addrinfo *found;
	int fd, err;

	snprintf(name, sizeof(name), "%s", text);
	port = strrchr(name, ':');
	if (!port)
		return wrong(text, EINVAL, sentence);
	*port++ = '\0';
	if (host[0] == '[' && port[-2] == ']') {
		port[-2] = '\0';
		host++;
	}
	err = getaddrinfo(host, port, &wanted, &found);
	if (err) {
		pv_sentence_wrong(sentence, "%s: %s", text, gai_strerror(err));
		return -1;
	}
	fd = connect_to_any(found);
	freeaddrinfo(found);
	return fd >= 0 ? fd : wrong(text, -fd, sentence);
}

/* Bytes go through it as they are, whoever used it before. */
static int open_terminal(struct pv_attach_place *place, const char *path,
                         char sentence[static PV_SENTENCE_BYTES])
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios raw;

	if (fd < 0)
		return wrong(path, errno, sentence);
	place->is_terminal = true;
	if (tcgetattr(fd, &raw) == 0) {
		cfmakeraw(&raw);
		tcsetattr(fd, TCSANOW, &raw);
	}
	return fd;
}

static int connect_path(struct pv_attach_place *place, const char *path,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct stat is;

	if (stat(path, &is) < 0)
		return wrong(path, errno, sentence);
	if (S_ISCHR(is.st_mode))
		return open_terminal(place, path, sentence);
	if (S_ISSOCK(is.st_mode))
		return connect_unix(path, sentence);
	pv_sentence_wrong(sentence, "%s is neither a socket nor a terminal", path);
	return -1;
}

/* What follows the prefix, or NULL. */
static const char *after(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

/*
 * Takes off what query-chardev adds to an address. A path that somebody wrote is as it is, and one
 * behind "unix:" may have the same in the name of a folder.
 */
static void take_off_options(const struct pv_attach_place *place, char *text)
{
	char *options = NULL;

	if (!place->port && !after(text, "unix:") && !after(text, "tcp:"))
		return;
	for (char *at = text; (at = strstr(at, ",server")); at++)
		if (!strchr(at, '/'))
			options = at;
	if (options)
		*options = '\0';
}

/* As query-chardev writes it, ours or QEMU's, or as people write it. */
static int connect_named(struct pv_attach_place *place, char sentence[static PV_SENTENCE_BYTES])
{
	const char *text = place->path, *rest = after(text, "disconnected:");

	if (rest)
		memmove(place->path, rest, strlen(rest) + 1);
	take_off_options(place, place->path);
	if ((rest = after(text, "unix:")))
		return connect_unix(rest, sentence);
	if ((rest = after(text, "pty:")))
		return open_terminal(place, rest, sentence);
	if ((rest = after(text, "tcp:")))
		return connect_tcp(rest, sentence);
	if (!place->port)
		return connect_path(place, text, sentence);
	pv_sentence_wrong(sentence,
	                  "port '%.64s' is '%.64s', to which nobody can be attached; give it a pty "
	                  "or a socket",
	                  place->port, text);
	return -1;
}

int pv_attach_connect(struct pv_attach_place *place, const char *socket, const char *port,
                      char sentence[static PV_SENTENCE_BYTES])
{
	*place = (struct pv_attach_place){ .port = port };
	if (port) {
		const char *path = after(socket, "unix:");

		place->control = path ? path : socket;
		if (!ask_where(place, sentence))
			return -1;
	} else {
		snprintf(place->path, sizeof(place->path), "%s", socket);
	}
	return connect_named(place, sentence);
}
