/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One device behind its socket.
 *
 * #syscalls close
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosted/control/guard.h"
#include "hosted/control/service_internal.h"
#include "hosted/loop/log.h"
#include "ring/err.h"

/* As long as QEMU's names of nodes, and of the same letters. */
#define NAME_CHARS_MAX 31u
#define NAMED_BY_BYTES 64u

#define EXPORT struct pv_export_options
static const struct pv_option export_options[] = {
	{ "name", "TEXT", "its name in logs and control commands (default blk0, net0, ...)",
	  PV_OPTION_TEXT_AT(EXPORT, name) },
	{ "socket-path", "PATH", "listen for front-ends on this unix socket",
	  PV_OPTION_TEXT_AT(EXPORT, socket_path) },
	{ "fd", "N", "serve a socket that was passed: a connected one once, or a listening one",
	  PV_OPTION_FD_AT(EXPORT, fd) },
	{ "queue-loops", "LIST",
	  "the event loops of queue 0, 1 and so on, then from the first again (such as 0,1,1)",
	  PV_OPTION_LIST_AT(EXPORT, queue_loops, 0, PV_SERVICE_LOOPS_MAX - 1) },
	{ "no-inband", NULL, "do not offer in-band notifications",
	  PV_OPTION_FLAG_AT(EXPORT, no_inband) },
	{ 0 },
};

const struct pv_option_group pv_export_option_group = { "Socket", export_options };

/* ---- its descriptor ---- */

static bool is_stream(int fd)
{
	int domain = 0, type = 0;
	socklen_t bytes = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && domain == AF_UNIX &&
	       type == SOCK_STREAM;
}

static bool is_listening(int fd)
{
	int value = 0;
	socklen_t bytes = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &bytes) == 0 && value;
}

/* What was passed may block, and then a look whether there is something new would. */
static bool adopt_fd(struct pv_export *export, char sentence[static PV_SENTENCE_BYTES])
{
	int fd = export->options.fd;
	int flags;

	if (fd == PV_OPTION_UNSET_FD)
		return true;
	if (!is_stream(fd))
		return pv_sentence_wrong(
			sentence,
			"option '--fd': descriptor %d is no unix stream socket; pass one that is "
			"connected or listens",
			fd);
	export->is_fd_listening = is_listening(fd);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return pv_sentence_wrong(sentence, "option '--fd': descriptor %d: %s", fd,
		                         strerror(errno));
	return true;
}

/* ---- what others have already ---- */

static bool is_good_name(const char *name)
{
	size_t chars = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                            "0123456789-._");

	return isalpha((unsigned char)name[0]) && !name[chars] && chars <= NAME_CHARS_MAX;
}

/* What gave it its name, as the sentences about that begin. */
static const char *named_by(const struct pv_export *export, char text[static NAMED_BY_BYTES])
{
	const char *option = export->options.id_option;

	if (!option)
		return "option '--name'";
	snprintf(text, NAMED_BY_BYTES, "option '--%s': 'id'", option);
	return text;
}

static bool is_name_free(const struct pv_export *export, char sentence[static PV_SENTENCE_BYTES])
{
	char text[NAMED_BY_BYTES];

	for (const struct pv_export *e = export->service->export; e < export; e++)
		if (strcmp(e->name, export->name) == 0)
			return pv_sentence_wrong(
				sentence,
				"%s: another device is called '%s' already; choose another name",
				named_by(export, text), export->name);
	return true;
}

static bool is_fd_free(const struct pv_export *export, char sentence[static PV_SENTENCE_BYTES])
{
	int fd = export->options.fd;

	for (const struct pv_export *e = export->service->export; e < export; e++)
		if (fd != PV_OPTION_UNSET_FD && e->options.fd == fd)
			return pv_sentence_wrong(
				sentence,
				"option '--fd': '%s' has descriptor %d already; pass another",
				e->name, fd);
	return true;
}

static bool are_good(const struct pv_export *export, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_export_options *o = &export->options;
	char text[NAMED_BY_BYTES];

	if (!is_good_name(export->name))
		return pv_sentence_wrong(
			sentence,
			"%s takes a letter, then letters, digits, '-', '.' or '_', at most %u in "
			"all, not '%.64s'",
			named_by(export, text), NAME_CHARS_MAX, export->name);
	if (export->service->extent.is_for_guest)
		return is_name_free(export, sentence);
	if (!o->socket_path && o->fd == PV_OPTION_UNSET_FD)
		return pv_sentence_wrong(sentence, "no socket: give --socket-path PATH or --fd N");
	if (o->socket_path && o->fd != PV_OPTION_UNSET_FD)
		return pv_sentence_wrong(sentence,
		                         "two sockets: give only one of --socket-path and --fd");
	return is_name_free(export, sentence) && is_fd_free(export, sentence);
}

/* ---- birth and death ---- */

/* Each kind is counted by itself. */
static char *name_of(const struct pv_service *service, const char *kind,
                     const struct pv_export_options *options)
{
	char name[NAME_CHARS_MAX + 1];
	unsigned int number = 0;

	for (unsigned int i = 0; i < service->exports; i++)
		number += strcmp(service->export[i].kind, kind) == 0;
	snprintf(name, sizeof(name), "%s%u", kind, number);
	return strdup(options->name ? options->name : name);
}

struct pv_export *pv_service_export(struct pv_service *service, const char *kind,
                                    const struct pv_export_options *options,
                                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_export *export = &service->export[service->exports];

	pv_bug_on(service->exports == service->extent.devices);
	*export = (struct pv_export){ .service = service,
		                      .kind = kind,
		                      .options = *options,
		                      .listener.fd = -1,
		                      .name = name_of(service, kind, options) };
	if (!export->name)
		pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	else if (are_good(export, sentence) && adopt_fd(export, sentence) &&
	         pv_export_place(export, sentence)) {
		service->exports++;
		return export;
	}
	pv_export_fini(export);
	return NULL;
}

void pv_export_fini(struct pv_export *export)
{
	free(export->what);
	free(export->loop);
	free(export->name);
}

struct pv_host_options pv_export_host(const struct pv_export *export)
{
	return (struct pv_host_options){ .name = export->name,
		                         .control = export->service->control,
		                         .loop = export->loop,
		                         .loops = export->loops };
}

int pv_export_attach(struct pv_export *export, struct pv_host *host, struct pv_device *device,
                     const char *what)
{
	export->host = host;
	export->device = device;
	export->what = strdup(what);
	return export->what ? 0 : -ENOMEM;
}

void pv_export_set_net(struct pv_export *export, const struct pv_vhu_net_ops *ops, void *arg)
{
	export->net = ops;
	export->net_arg = arg;
}

void pv_export_set_memory_listener(struct pv_export *export, void (*changed)(void *arg), void *arg)
{
	export->memory_changed = changed;
	export->memory_arg = arg;
}

void pv_export_set_ground(struct pv_export *export, const struct pv_stats_ground *ground)
{
	export->ground = *ground;
}

/* ---- its socket ---- */

bool pv_service_is_path_free(const struct pv_service *service, const char *option, const char *path,
                             char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < service->exports; i++)
		if (pv_listener_is_at(&service->export[i].listener, path))
			return pv_sentence_wrong(sentence,
			                         "option '%s': %s is the socket of '%s' already; "
			                         "choose another path",
			                         option, path, service->export[i].name);
	return true;
}

bool pv_export_open(struct pv_export *export, char sentence[static PV_SENTENCE_BYTES])
{
	static const char option[] = "--socket-path";
	const char *path = export->options.socket_path;
	bool is_only = export->service->extent.devices == 1;

	if (!path)
		return true;
	if (pv_service_is_path_free(export->service, option, path, sentence) &&
	    pv_listener_open(&export->listener, option, path, sentence))
		return true;
	return is_only ? false : pv_sentence_about(sentence, export->name);
}

static bool is_connected(const struct pv_export *export)
{
	return export->options.fd != PV_OPTION_UNSET_FD && !export->is_fd_listening;
}

void pv_export_begin(struct pv_export *export)
{
	const struct pv_service *service = export->service;
	char line[1024], on[64];

	snprintf(on, sizeof(on), "descriptor %d", export->options.fd);
	snprintf(line, sizeof(line), "serving %s on %s%s%s", export->what,
	         export->options.socket_path ? export->options.socket_path : on,
	         service->qmp ? ", QMP on " : "", service->qmp ? service->qmp_path : "");
	pv_log(export->name, PV_LOG_INFO, line);
	if (is_connected(export))
		pv_vhu_backend_connect(export->backend, export->options.fd);
}

/* ---- its back-end ---- */

/* One that listens never finishes. */
static void front_end_left(void *arg)
{
	struct pv_export *export = arg;
	struct pv_service *service = export->service;

	export->has_finished = true;
	for (unsigned int i = 0; i < service->exports; i++)
		if (!service->export[i].has_finished)
			return;
	pv_service_end(service, "guest-shutdown");
}

int pv_export_start(struct pv_export *export)
{
	struct pv_vhu_backend_options options = {
		.control = export->service->control,
		.host = export->host,
		.device = export->device,
		.listen_fd = export->listener.fd,
		.net = export->net,
		.net_arg = export->net_arg,
		.no_inband = export->options.no_inband,
		.memory_changed = export->memory_changed,
		.memory_arg = export->memory_arg,
		.mapped = pv_guard_mapped,
		.unmapped = pv_guard_unmapped,
		.mapped_arg = export,
		.finished = front_end_left,
		.finished_arg = export,
	};
	int error;

	if (export->is_fd_listening)
		options.listen_fd = export->options.fd;
	error = pv_vhu_backend_create(&export->backend, &options);
	if (!error)
		export->listener.fd = -1;
	return error;
}

void pv_export_stop(struct pv_export *export)
{
	if (export->backend)
		pv_vhu_backend_stop(export->backend, pv_service_stopped, export->service);
	else
		pv_service_stopped(export->service);
}

void pv_export_close(struct pv_export *export)
{
	if (export->backend)
		pv_vhu_backend_destroy(export->backend);
	export->backend = NULL;
	pv_listener_close(&export->listener);
}
