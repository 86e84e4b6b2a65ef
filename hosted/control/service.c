/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals come as readable descriptors on the control loop, so that their handling is plain code.
 *
 * #syscalls read close munmap
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosted/control/guard.h"
#include "hosted/control/listener.h"
#include "hosted/control/sandbox.h"
#include "hosted/control/service.h"
#include "hosted/control/stats_commands.h"
#include "hosted/loop/log.h"
#include "hosted/vhost_user/backend.h"

/* The data loops' names: their number, too. Queue i runs on loop i modulo that. */
static const char *const data_name[] = { "data0" };

#define LOOPS (sizeof(data_name) / sizeof(data_name[0]))

struct pv_service {
	const char *name;
	struct pv_service_options options;
	struct pv_loop *control;
	struct pv_loop *data[LOOPS];
	unsigned int threads; /* of the data loops, running */

	int signal_fd;
	struct pv_watch *signal_watch;
	int guard_fd;
	struct pv_watch *guard_watch;

	bool is_fd_listening; /* the one of --fd */
	struct pv_listener listener;
	struct pv_listener qmp_listener;
	char qmp_path[PV_LISTENER_PATH_BYTES];
	struct pv_qmp *qmp;
	struct pv_host *host;
	struct pv_device *device;
	struct pv_vhu_backend *backend;
	bool is_ending;
	const char *(*status)(void *arg); /* the devices'; may be NULL */
	void *status_arg;

	struct pv_stats_device stats_device;
	struct pv_stats_loop stats_loop[LOOPS + 1];
	struct pv_stats_commands stats;
};

/* As enum pv_loop_engine has them. */
static const char *const engine_names[] = { "auto", "io_uring", "epoll", NULL };

#define SERVICE struct pv_service_options
static const struct pv_option service_options[] = {
	{ "socket-path", "PATH", "listen for front-ends on this unix socket",
	  PV_OPTION_TEXT_AT(SERVICE, socket_path) },
	{ "fd", "N", "serve a socket that was passed: a connected one once, or a listening one",
	  PV_OPTION_FD_AT(SERVICE, fd) },
	{ "qmp", "unix:PATH", "take control commands (QMP) on this unix socket",
	  PV_OPTION_TEXT_AT(SERVICE, qmp) },
	{ "poll-us", "N", "poll at most so many microseconds before sleeping (default 50)",
	  PV_OPTION_NUMBER_AT(SERVICE, poll_max_us, 0, 1000000) },
	{ "engine", "auto|io_uring|epoll",
	  "how the kernel is asked for I/O (default auto: io_uring where it is allowed)",
	  PV_OPTION_CHOICE_AT(SERVICE, engine, engine_names) },
	{ "no-inband", NULL, "do not offer in-band notifications",
	  PV_OPTION_FLAG_AT(SERVICE, no_inband) },
	{ "print-capabilities", NULL, "print what this back-end can do, as JSON, and end",
	  PV_OPTION_FLAG_AT(SERVICE, must_print_capabilities) },
	{ 0 },
};

const struct pv_option_group pv_service_option_group = { "Service", service_options };

/* ---- the end ---- */

static void nothing_runs(void *arg)
{
	struct pv_service *service = arg;

	pv_loop_stop(service->control);
}

/* `reason` is one of those that QMP has for the event SHUTDOWN. */
static void end(struct pv_service *service, const char *reason)
{
	if (service->is_ending)
		return;
	service->is_ending = true;
	if (service->qmp) {
		struct json_object *data = json_object_new_object();

		json_object_object_add(data, "guest", json_object_new_boolean(false));
		json_object_object_add(data, "reason", json_object_new_string(reason));
		pv_qmp_event(service->qmp, "SHUTDOWN", data);
	}
	if (service->backend)
		pv_vhu_backend_stop(service->backend, nothing_runs, service);
	else
		nothing_runs(service);
}

static void front_end_left(void *arg)
{
	end(arg, "guest-shutdown");
}

static void quit(void *arg)
{
	end(arg, "host-qmp-quit");
}

static void signalled(void *arg, int events)
{
	struct pv_service *service = arg;
	struct signalfd_siginfo info;

	if (events < 0)
		return;
	while (read(service->signal_fd, &info, sizeof(info)) == sizeof(info))
		end(service, "host-signal");
}

/* The counter is left alone: each write to it wakes, whatever it holds. */
static void tripped(void *arg, int events)
{
	struct pv_service *service = arg;

	if (events >= 0 && pv_guard_is_any_tripped())
		pv_vhu_backend_drop(service->backend,
		                    "its memory became shorter than what it had shared");
}

static const char *status(void *arg)
{
	const struct pv_service *service = arg;

	if (service->is_ending)
		return "shutdown";
	return service->status ? service->status(service->status_arg) : "running";
}

/* ---- the beginning ---- */

static bool is_listening(int fd)
{
	int value = 0;
	socklen_t bytes = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &bytes) == 0 && value;
}

static bool check_fd(int fd, char sentence[static PV_SENTENCE_BYTES])
{
	int domain = 0, type = 0;
	socklen_t bytes = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 || domain != AF_UNIX ||
	    type != SOCK_STREAM)
		return pv_sentence_wrong(
			sentence,
			"option '--fd': descriptor %d is no unix stream socket; pass one that is "
			"connected or listens",
			fd);
	return true;
}

static bool are_good(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_service_options *o = &service->options;

	if (!o->socket_path && o->fd == PV_OPTION_UNSET_FD)
		return pv_sentence_wrong(sentence, "no socket: give --socket-path PATH or --fd N");
	if (o->socket_path && o->fd != PV_OPTION_UNSET_FD)
		return pv_sentence_wrong(sentence,
		                         "two sockets: give only one of --socket-path and --fd");
	if (o->fd != PV_OPTION_UNSET_FD && !check_fd(o->fd, sentence))
		return false;
	return !o->qmp || pv_listener_parse("--qmp", o->qmp, service->qmp_path, sentence);
}

/* What was passed may block, and then a look whether there is something new would. */
static int adopt_fd(struct pv_service *service)
{
	int fd = service->options.fd;
	int flags;

	if (fd == PV_OPTION_UNSET_FD)
		return 0;
	service->is_fd_listening = is_listening(fd);
	flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_loops(struct pv_service *service)
{
	const enum pv_loop_engine engine = (enum pv_loop_engine)service->options.engine;
	const struct pv_loop_options control = { .name = "control",
		                                 .engine = engine,
		                                 .is_without_io = true };
	int error = pv_loop_create(&service->control, &control);

	for (unsigned int i = 0; !error && i < LOOPS; i++) {
		const struct pv_loop_options data = {
			.name = data_name[i],
			.poll_max_us = (uint32_t)service->options.poll_max_us,
			.engine = engine,
		};

		error = pv_loop_create(&service->data[i], &data);
	}
	return error;
}

/* Before there are threads, which inherit what is blocked. */
static int catch_signals(struct pv_service *service)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	service->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (service->signal_fd < 0)
		return -errno;
	service->signal_watch =
		pv_loop_watch(service->control, service->signal_fd, POLLIN, signalled, service);
	return service->signal_watch ? 0 : -ENOMEM;
}

static int set_up_guard(struct pv_service *service)
{
	service->guard_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (service->guard_fd < 0)
		return -errno;
	service->guard_watch =
		pv_loop_watch(service->control, service->guard_fd, POLLIN, tripped, service);
	return service->guard_watch ? pv_guard_install(service->guard_fd) : -ENOMEM;
}

static int make_qmp(struct pv_service *service)
{
	const struct pv_qmp_options options = {
		.loop = service->control,
		.status = status,
		.quit = quit,
		.arg = service,
	};

	return service->options.qmp ? pv_qmp_create(&service->qmp, &options) : 0;
}

/* A refusal of io_uring has a remedy, which the error's name does not say. */
static bool cannot_set_up(const struct pv_service *service, int error,
                          char sentence[static PV_SENTENCE_BYTES])
{
	if (service->options.engine == PV_LOOP_ENGINE_URING && pv_loop_uring_is_forbidden(error))
		return pv_sentence_wrong(
			sentence,
			"option '--engine': io_uring is refused here (%s); leave the option out, "
			"or " PV_LOOP_URING_REMEDY,
			strerror(-error));
	return pv_sentence_wrong(sentence, "cannot set up the event loops: %s", strerror(-error));
}

bool pv_service_create(struct pv_service **created, const char *name,
                       const struct pv_service_options *options,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service *service = calloc(1, sizeof(*service));
	int error;

	if (!service)
		return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	service->name = name;
	service->options = *options;
	service->signal_fd = service->guard_fd = -1;
	service->listener.fd = service->qmp_listener.fd = -1;
	if (!are_good(service, sentence))
		goto failed;
	error = adopt_fd(service);
	if (!error)
		error = make_loops(service);
	if (!error)
		error = catch_signals(service);
	if (!error)
		error = set_up_guard(service);
	if (!error)
		error = make_qmp(service);
	if (!error) {
		*created = service;
		return true;
	}
	cannot_set_up(service, error, sentence);
failed:
	pv_service_destroy(service);
	return false;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void pv_service_destroy(struct pv_service *service)
{
	if (service->qmp)
		pv_qmp_destroy(service->qmp);
	for (unsigned int i = 0; i < LOOPS; i++)
		if (service->data[i])
			pv_loop_destroy(service->data[i]);
	if (service->control)
		pv_loop_destroy(service->control);
	close_fd(service->signal_fd);
	close_fd(service->guard_fd);
	free(service);
}

struct pv_host_options pv_service_host(struct pv_service *service)
{
	return (struct pv_host_options){ .name = service->name,
		                         .control = service->control,
		                         .loop = service->data,
		                         .loops = LOOPS };
}

struct pv_qmp *pv_service_qmp(const struct pv_service *service)
{
	return service->qmp;
}

void pv_service_set_status(struct pv_service *service, const char *(*of_devices)(void *arg),
                           void *arg)
{
	service->status = of_devices;
	service->status_arg = arg;
}

/* ---- sockets ---- */

static int start_qmp(struct pv_service *service)
{
	int error;

	service->stats_device = (struct pv_stats_device){ service->name, service->device };
	service->stats_loop[0] = (struct pv_stats_loop){ "control", service->control };
	for (unsigned int i = 0; i < LOOPS; i++)
		service->stats_loop[i + 1] =
			(struct pv_stats_loop){ data_name[i], service->data[i] };
	service->stats = (struct pv_stats_commands){ &service->stats_device, 1, service->stats_loop,
		                                     LOOPS + 1 };
	pv_qmp_register(service->qmp, pv_stats_command_table, &service->stats);
	error = pv_qmp_listen(service->qmp, service->qmp_listener.fd);
	if (!error)
		service->qmp_listener.fd = -1;
	return error;
}

bool pv_service_open(struct pv_service *service, struct pv_host *host, struct pv_device *device,
                     char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_service_options *o = &service->options;
	int error = 0;

	if (o->socket_path &&
	    !pv_listener_open(&service->listener, "--socket-path", o->socket_path, sentence))
		return false;
	if (service->qmp &&
	    !pv_listener_open(&service->qmp_listener, "--qmp", service->qmp_path, sentence)) {
		pv_listener_close(&service->listener);
		return false;
	}
	service->host = host;
	service->device = device;
	if (service->qmp)
		error = start_qmp(service);
	if (!error)
		return true;
	pv_listener_close(&service->listener);
	pv_listener_close(&service->qmp_listener);
	return pv_sentence_wrong(sentence, "cannot serve: %s", strerror(-error));
}

/* ---- the time between ---- */

static int make_backend(struct pv_service *service)
{
	struct pv_vhu_backend_options options = {
		.control = service->control,
		.host = service->host,
		.device = service->device,
		.listen_fd = service->listener.fd,
		.connection_fd = -1,
		.no_inband = service->options.no_inband,
		.mapped = pv_guard_mapped,
		.unmapped = pv_guard_unmapped,
		.finished = front_end_left,
		.finished_arg = service,
	};
	int fd = service->options.fd;
	int error;

	if (fd != PV_OPTION_UNSET_FD)
		*(service->is_fd_listening ? &options.listen_fd : &options.connection_fd) = fd;
	error = pv_vhu_backend_create(&service->backend, &options);
	if (!error)
		service->listener.fd = -1;
	return error;
}

static bool start(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	int error = 0;

	while (service->threads < LOOPS && !error) {
		error = pv_loop_thread_start(service->data[service->threads]);
		service->threads += !error;
	}
	if (error)
		return pv_sentence_wrong(sentence, "cannot start a thread: %s", strerror(-error));
	error = pv_sandbox_enter();
	if (error)
		return pv_sentence_wrong(sentence, "cannot give up privileges (seccomp): %s",
		                         strerror(-error));
	if (!pv_sandbox_is_built_in())
		pv_log(service->name, PV_LOG_WARNING,
		       "runs without its sandbox: this is a build with sanitizers");
	return true;
}

static void announce(const struct pv_service *service, const char *what)
{
	const struct pv_service_options *o = &service->options;
	char line[1024], on[64];

	snprintf(on, sizeof(on), "descriptor %d", o->fd);
	snprintf(line, sizeof(line), "serving %s on %s%s%s", what,
	         o->socket_path ? o->socket_path : on, service->qmp ? ", QMP on " : "",
	         service->qmp ? service->qmp_path : "");
	pv_log(service->name, PV_LOG_INFO, line);
}

bool pv_service_run(struct pv_service *service, const char *what,
                    char sentence[static PV_SENTENCE_BYTES])
{
	bool is_good = start(service, sentence);
	int error = 0;

	if (is_good) {
		announce(service, what);
		error = make_backend(service);
	}
	if (error)
		is_good = pv_sentence_wrong(sentence, "cannot serve: %s", strerror(-error));
	if (!is_good)
		end(service, "host-error");
	pv_loop_run(service->control);
	while (service->threads > 0)
		pv_loop_thread_join(service->data[--service->threads]);
	if (service->backend)
		pv_vhu_backend_destroy(service->backend);
	pv_listener_close(&service->listener);
	pv_listener_close(&service->qmp_listener);
	return is_good;
}
