/* SPDX-License-Identifier: BSD-2-Clause */
/* A service's life, from the loops to the end. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "hosted/control/sandbox.h"
#include "hosted/control/service_internal.h"
#include "hosted/loop/log.h"

/* As enum pv_loop_engine has them. */
static const char *const engine_names[] = { "auto", "io_uring", "epoll", NULL };

#define SERVICE struct pv_service_options
static const struct pv_option service_options[] = {
	{ "loops", "N",
	  "event loops, each a thread (default: one a processor, if there are queues)",
	  PV_OPTION_NUMBER_AT(SERVICE, loops, 1, PV_SERVICE_LOOPS_MAX) },
	{ "qmp", "unix:PATH", "take control commands (QMP) on this unix socket",
	  PV_OPTION_TEXT_AT(SERVICE, qmp) },
	{ "pidfile", "PATH", "write the process id to this file, when all is there",
	  PV_OPTION_TEXT_AT(SERVICE, pidfile) },
	{ "poll-us", "N", "poll at most so many microseconds before sleeping (default 50)",
	  PV_OPTION_NUMBER_AT(SERVICE, poll_max_us, 0, 1000000) },
	{ "engine", "auto|io_uring|epoll",
	  "how the kernel is asked for I/O (default auto: io_uring where it is allowed)",
	  PV_OPTION_CHOICE_AT(SERVICE, engine, engine_names) },
	{ 0 },
};

const struct pv_option_group pv_service_option_group = { "Service", service_options };

/* ---- the end ---- */

void pv_service_stopped(void *arg)
{
	struct pv_service *service = arg;

	if (--service->running == 0)
		pv_loop_stop(service->control);
}

static void tell_shutdown(struct pv_service *service, const char *reason)
{
	struct json_object *data = json_object_new_object();

	json_object_object_add(data, "guest",
	                       json_object_new_boolean(strncmp(reason, "guest-", 6) == 0));
	json_object_object_add(data, "reason", json_object_new_string(reason));
	pv_qmp_event(service->qmp, "SHUTDOWN", data);
}

void pv_service_end(struct pv_service *service, const char *reason)
{
	if (service->is_ending)
		return;
	service->is_ending = true;
	if (service->qmp)
		tell_shutdown(service, reason);
	/* Some may have stopped at once: one more than there are, until all have been asked. */
	service->running = service->exports + 1;
	if (service->guest) {
		service->running++;
		service->guest->end(service->guest_arg, reason);
	}
	for (unsigned int i = 0; i < service->exports; i++)
		pv_export_stop(&service->export[i]);
	pv_service_stopped(service);
}

void pv_service_guest_ended(struct pv_service *service)
{
	pv_service_stopped(service);
}

void pv_service_set_guest(struct pv_service *service, const struct pv_service_guest_ops *ops,
                          void *arg)
{
	service->guest = ops;
	service->guest_arg = arg;
}

void pv_service_set_cpus(struct pv_service *service, const struct pv_stats_cpu *cpu,
                         unsigned int cpus)
{
	service->stats.cpu = cpu;
	service->stats.cpus = cpus;
}

struct pv_loop *pv_service_control(const struct pv_service *service)
{
	return service->control;
}

static void quit(void *arg)
{
	pv_service_end(arg, "host-qmp-quit");
}

static const char *status(void *arg)
{
	const struct pv_service *service = arg;

	if (service->is_ending)
		return "shutdown";
	return service->status ? service->status(service->status_arg) : "running";
}

/* ---- the beginning ---- */

/*
 * What the program may have open when all queues of all devices are in use: a kick, a call and an
 * error descriptor for each queue, and the kick once more where epoll watches it; sockets and files
 * for each device, with those that come with a message; and its own.
 */
static rlim_t descriptors_of(const struct pv_service_extent *extent)
{
	return 4 * (rlim_t)extent->queues + 24 * (rlim_t)extent->devices + extent->descriptors +
	       256;
}

static void raise_limit(const struct pv_service *service)
{
	rlim_t needed = descriptors_of(&service->extent);
	struct rlimit limit;
	char line[160];

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= needed)
		return;
	snprintf(line, sizeof(line),
	         "%llu open descriptors are allowed, and %llu may be needed; raise the limit "
	         "(ulimit -Hn)",
	         (unsigned long long)limit.rlim_cur, (unsigned long long)needed);
	pv_log(service->extent.kind, PV_LOG_WARNING, line);
}

static int make_qmp(struct pv_service *service)
{
	const struct pv_qmp_options options = {
		.loop = service->control,
		.status = status,
		.quit = quit,
		.arg = service,
	};

	if (!service->options.qmp)
		return 0;
	service->stats_device = calloc(service->extent.devices + 1, sizeof(*service->stats_device));
	service->stats_loop = calloc(service->loops + 1, sizeof(*service->stats_loop));
	if (!service->stats_device || !service->stats_loop)
		return -ENOMEM;
	return pv_qmp_create(&service->qmp, &options);
}

static int make_all(struct pv_service *service)
{
	int error;

	service->export = calloc(service->extent.devices + 1, sizeof(*service->export));
	error = service->export ? pv_service_loops_create(service) : -ENOMEM;
	if (!error)
		error = pv_service_catch_signals(service);
	if (!error)
		error = pv_service_guard_memory(service);
	if (!error)
		error = make_qmp(service);
	return error;
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

bool pv_service_create(struct pv_service **created, const struct pv_service_options *options,
                       const struct pv_service_extent *extent,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service *service = calloc(1, sizeof(*service));
	bool is_good;
	int error;

	if (!service)
		return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	service->options = *options;
	service->extent = *extent;
	service->signal_fd = service->guard_fd = -1;
	service->qmp_listener.fd = service->pidfile.fd = -1;
	is_good = !options->qmp ||
	          pv_listener_parse("--qmp", options->qmp, service->qmp_path, sentence);
	if (is_good) {
		raise_limit(service);
		error = make_all(service);
		is_good = !error || cannot_set_up(service, error, sentence);
	}
	if (is_good)
		*created = service;
	else
		pv_service_destroy(service);
	return is_good;
}

void pv_service_destroy(struct pv_service *service)
{
	if (service->qmp)
		pv_qmp_destroy(service->qmp);
	pv_service_loops_destroy(service);
	pv_service_wake_fini(service);
	while (service->exports > 0)
		pv_export_fini(&service->export[--service->exports]);
	free(service->export);
	free(service->stats_device);
	free(service->stats_loop);
	free(service);
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

static void list_for_stats(struct pv_service *service)
{
	struct pv_stats_commands *stats = &service->stats;

	for (unsigned int i = 0; i < service->exports; i++) {
		const struct pv_export *export = &service->export[i];

		service->stats_device[i] =
			(struct pv_stats_device){ export->name, export->device, export->ground };
	}
	service->stats_loop[0] = (struct pv_stats_loop){ "control", service->control };
	for (unsigned int i = 0; i < service->loops; i++) {
		const struct pv_data_loop *data = &service->data[i];

		service->stats_loop[i + 1] = (struct pv_stats_loop){ data->name, data->loop };
	}
	stats->device = service->stats_device;
	stats->devices = service->exports;
	stats->loop = service->stats_loop;
	stats->loops = service->loops + 1;
}

static bool open_qmp(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	int error;

	if (!service->qmp)
		return true;
	if (!pv_service_is_path_free(service, "--qmp", service->qmp_path, sentence) ||
	    !pv_listener_open(&service->qmp_listener, "--qmp", service->qmp_path, sentence))
		return false;
	list_for_stats(service);
	pv_qmp_register(service->qmp, pv_stats_command_table, &service->stats);
	error = pv_qmp_listen(service->qmp, service->qmp_listener.fd);
	if (error)
		return pv_sentence_wrong(sentence, "option '--qmp': %s", strerror(-error));
	service->qmp_listener.fd = -1;
	return true;
}

static void close_all(struct pv_service *service)
{
	for (unsigned int i = 0; i < service->exports; i++)
		pv_export_close(&service->export[i]);
	pv_listener_close(&service->qmp_listener);
	pv_pidfile_close(&service->pidfile);
}

/* Who waits for the file finds the sockets. */
static bool open_pidfile(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	const char *path = service->options.pidfile;

	return !path || pv_pidfile_open(&service->pidfile, path, sentence);
}

bool pv_service_open(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	bool is_good = true;

	for (unsigned int i = 0; is_good && i < service->exports; i++)
		is_good = pv_export_open(&service->export[i], sentence);
	is_good = is_good && open_qmp(service, sentence) && open_pidfile(service, sentence);
	if (!is_good)
		close_all(service);
	return is_good;
}

/* ---- the time between ---- */

static bool give_up_privileges(const struct pv_service *service,
                               char sentence[static PV_SENTENCE_BYTES])
{
	int error = pv_sandbox_enter();

	if (error)
		return pv_sentence_wrong(sentence, "cannot give up privileges (seccomp): %s",
		                         strerror(-error));
	if (!pv_sandbox_is_built_in())
		pv_log(service->extent.kind, PV_LOG_WARNING,
		       "runs without its sandbox: this is a build with sanitizers");
	return true;
}

/* All are said to be served when all are: who waits for the line finds nothing being made. */
static bool start_exports(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	if (service->extent.is_for_guest) {
		service->guest->begin(service->guest_arg);
		return true;
	}
	for (unsigned int i = 0; i < service->exports; i++) {
		struct pv_export *export = &service->export[i];
		int error = pv_export_start(export);

		if (error)
			return pv_sentence_wrong(sentence, "cannot serve '%s': %s", export->name,
			                         strerror(-error));
	}
	for (unsigned int i = 0; i < service->exports; i++)
		pv_export_begin(&service->export[i]);
	return true;
}

bool pv_service_run(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_loop_lock *lock = service->extent.lock;
	bool is_good = pv_service_loops_start(service, sentence) &&
	               give_up_privileges(service, sentence);

	if (lock)
		lock->take(lock);
	is_good = is_good && start_exports(service, sentence);
	if (!is_good)
		pv_service_end(service, "host-error");
	pv_loop_run(service->control);
	if (lock)
		lock->leave(lock);
	pv_service_loops_join(service);
	close_all(service);
	return is_good;
}
