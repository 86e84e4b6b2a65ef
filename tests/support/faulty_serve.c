/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Serves a disk as `paravane serve blk` does, but one that fails when it is told to and whose power
 * can be cut: device, then a store whose power can be cut (power_cut_store.h), one with faults
 * (fault_store.h), then the file as the program opens it.
 *
 * Told to by lines on standard input, each answered by a line on standard output:
 *
 *     fail|short|slow WHAT [begin=N] [end=N] [skip=N] [times=N] [percent=N] [error=eio|enospc]
 *             a rule; WHAT: read write flush discard write-zeroes any, joined by commas; begin and
 *             end in bytes; slow: ticks=N, milliseconds
 *     clear   no rules any more
 *     strikes how often rules have struck since the start
 *     cut SEED
 *             cuts the power and ends the program; --platter then holds what is left
 *
 * It ends with its standard input, too, so that it does not outlive its test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "devices/blk/blk.h"
#include "hosted/backends/store.h"
#include "hosted/control/listener.h"
#include "hosted/vhost_user/backend.h"
#include "ring/err.h"
#include "tests/support/fault_store.h"
#include "tests/support/power_cut_store.h"

#define QUEUES   4u
#define LINE_MAX 512u

struct options {
	const char *socket_path;
	const char *blk_file;
	const char *platter;
	bool is_direct;
	unsigned int write_cache;
};

struct program {
	struct options options;
	struct pv_loop *control, *data;
	struct pv_listener listener;
	struct pv_store *store;
	struct pv_random random;
	struct pv_fault_store faults;
	struct pv_power_cut_store power;
	struct pv_host *host;
	struct pv_device *device;
	struct pv_vhu_backend *backend;
	int timer_fd;
	char line[LINE_MAX];
	size_t line_bytes;
};

static const char *const off_on[] = { "off", "on", NULL };

#define OPTIONS struct options
static const struct pv_option option_table[] = {
	{ "socket-path", "PATH", "listen here", PV_OPTION_TEXT_AT(OPTIONS, socket_path) },
	{ "blk-file", "PATH", "the disk", PV_OPTION_TEXT_AT(OPTIONS, blk_file) },
	{ "platter", "PATH", "a copy of it: what it is without its cache",
	  PV_OPTION_TEXT_AT(OPTIONS, platter) },
	{ "direct", NULL, "O_DIRECT", PV_OPTION_FLAG_AT(OPTIONS, is_direct) },
	{ "write-cache", "on|off", "off: a write ends when it is stable",
	  PV_OPTION_CHOICE_AT(OPTIONS, write_cache, off_on) },
	{ 0 },
};

static const struct pv_option_group option_group = { "Disk", option_table };
static const struct pv_option_group *const option_groups[] = { &option_group, NULL };

static const struct pv_command_line command_line = {
	.name = "faulty_serve",
	.usage = "--socket-path PATH --blk-file PATH [OPTION]...",
	.summary = "Serves a disk that fails when standard input says so.",
	.groups = option_groups,
};

static _Noreturn void fail(const char *sentence)
{
	fprintf(stderr, "faulty_serve: %s\n", sentence);
	exit(EXIT_FAILURE);
}

static void check(const char *what, int error)
{
	char sentence[256];

	if (error == 0)
		return;
	snprintf(sentence, sizeof(sentence), "%s: %s", what, strerror(-error));
	fail(sentence);
}

/* ---- what is told ---- */

static const char *const op_names[] = {
	[PV_BLK_READ] = "read",
	[PV_BLK_WRITE] = "write",
	[PV_BLK_FLUSH] = "flush",
	[PV_BLK_DISCARD] = "discard",
	[PV_BLK_WRITE_ZEROES] = "write-zeroes",
};

static const char *const kind_names[] = {
	[PV_FAULT_FAIL] = "fail",
	[PV_FAULT_SHORT] = "short",
	[PV_FAULT_SLOW] = "slow",
};

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

static int index_of(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static bool parse_ops(char *text, uint32_t *ops)
{
	char *rest = NULL;

	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		int op = index_of(op_names, COUNT(op_names), word);

		if (op < 0 && strcmp(word, "any") != 0)
			return false;
		*ops |= op < 0 ? PV_FAULT_OP_ANY : PV_FAULT_OP(op);
	}
	return *ops != 0;
}

static bool parse_number(struct pv_fault *fault, const char *name, const char *text)
{
	uint64_t number = strtoull(text, NULL, 0);

	if (strcmp(name, "begin") == 0)
		fault->begin = number;
	else if (strcmp(name, "end") == 0)
		fault->end = number;
	else if (strcmp(name, "skip") == 0)
		fault->skip = (uint32_t)number;
	else if (strcmp(name, "times") == 0)
		fault->times = (uint32_t)number;
	else if (strcmp(name, "percent") == 0)
		fault->percent = (uint32_t)number;
	else if (strcmp(name, "ticks") == 0)
		fault->ticks = (uint32_t)number;
	else
		return false;
	return true;
}

static bool parse_setting(struct pv_fault *fault, char *word)
{
	char *value = strchr(word, '=');

	if (!value)
		return false;
	*value++ = '\0';
	if (strcmp(word, "error") != 0)
		return parse_number(fault, word, value);
	fault->error = strcmp(value, "enospc") == 0 ? -PV_ENOSPC : -PV_EIO;
	return true;
}

static bool add_fault(struct program *program, int kind, char *text)
{
	struct pv_fault fault = { .kind = (enum pv_fault_kind)kind };
	char *rest = NULL;
	char *word = strtok_r(text, " ", &rest);

	if (!word || !parse_ops(word, &fault.ops))
		return false;
	while ((word = strtok_r(NULL, " ", &rest)))
		if (!parse_setting(&fault, word))
			return false;
	if ((fault.kind == PV_FAULT_SLOW && fault.ticks == 0) ||
	    program->faults.faults == PV_FAULTS_MAX)
		return false;
	pv_fault_store_add(&program->faults, &fault);
	return true;
}

/* Nothing ends after this, and what has ended was in time. */
static _Noreturn void cut(struct program *program, const char *seed)
{
	struct pv_random random = pv_random_start(strtoull(seed, NULL, 0), 0);

	pv_power_cut_store_cut(&program->power, &random);
	printf("kept %u lost %u torn %u\n", program->power.kept, program->power.lost,
	       program->power.torn);
	fflush(stdout);
	_exit(EXIT_SUCCESS);
}

static void obey(struct program *program, char *line)
{
	char *rest = NULL;
	const char *word = strtok_r(line, " ", &rest);
	int kind = word ? index_of(kind_names, COUNT(kind_names), word) : -1;
	bool is_good = true;

	if (kind >= 0) {
		is_good = add_fault(program, kind, rest);
	} else if (word && strcmp(word, "clear") == 0) {
		pv_fault_store_clear(&program->faults);
	} else if (word && strcmp(word, "strikes") == 0) {
		printf("%" PRIu64 "\n", program->faults.strikes);
		return;
	} else if (word && strcmp(word, "cut") == 0 && program->options.platter) {
		cut(program, rest);
	} else {
		is_good = false;
	}
	puts(is_good ? "ok" : "what?");
}

/* On the data loop, as all that the stores do. */
static void heard(void *arg, int events)
{
	struct program *program = arg;
	ssize_t got;

	if (events < 0)
		fail("standard input cannot be waited for");
	while ((got = read(STDIN_FILENO, program->line + program->line_bytes, 1)) == 1) {
		char *end = program->line + program->line_bytes;

		if (*end == '\n') {
			*end = '\0';
			program->line_bytes = 0;
			obey(program, program->line);
		} else if (++program->line_bytes == LINE_MAX) {
			fail("a line is too long");
		}
	}
	if (got == 0)
		_exit(EXIT_SUCCESS);
}

static void ticked(void *arg, int events)
{
	struct program *program = arg;
	uint64_t ticks;

	if (events >= 0 && read(program->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks))
		pv_fault_store_tick(&program->faults);
}

/* ---- what it is made of ---- */

static uint8_t *map_platter(const char *path, uint64_t bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t *platter;

	check(path, fd < 0 ? -errno : 0);
	platter = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(path, platter == MAP_FAILED ? -errno : 0);
	close(fd);
	return platter;
}

/* The store that the device gets. */
static struct pv_blk_store *open_stores(struct program *program)
{
	const struct options *o = &program->options;
	const struct pv_store_options options = {
		.path = o->blk_file, .null_bytes = -1, .memory_bytes = -1, .is_direct = o->is_direct
	};
	char sentence[PV_SENTENCE_BYTES];

	if (pv_store_open(&program->store, &options, sentence, sizeof(sentence)))
		fail(sentence);
	program->random = pv_random_start((uint64_t)getpid(), 0);
	pv_fault_store_open(&program->faults, pv_store_blk(program->store), &program->random);
	if (!o->platter)
		return &program->faults.layer.blk;
	pv_power_cut_store_open(&program->power, &program->faults.layer.blk,
	                        map_platter(o->platter, program->faults.layer.blk.capacity_bytes));
	return &program->power.layer.blk;
}

static void make_device(struct program *program)
{
	const struct pv_host_options host = { .name = "faulty",
		                              .control = program->control,
		                              .loop = &program->data,
		                              .loops = 1,
		                              .queues = QUEUES };
	const struct pv_blk_options options = { .queues = QUEUES,
		                                .queue_size_max = 1024,
		                                .has_write_cache = program->options.write_cache !=
		                                                   0 };
	struct pv_blk_store *store = open_stores(program);
	size_t bytes = (pv_blk_bytes(QUEUES) + 63) & ~(size_t)63;
	void *storage = aligned_alloc(64, bytes);

	check("host", storage ? pv_host_create(&program->host, &host) : -ENOMEM);
	memset(storage, 0, bytes);
	program->device = pv_blk_init(storage, pv_host_port(program->host), store, &options);
}

static void make_loops(struct program *program)
{
	const struct pv_loop_options control = { .name = "control" };
	const struct pv_loop_options data = { .name = "data", .poll_max_us = 50 };
	const struct itimerspec tick = { { 0, 1000000 }, { 0, 1000000 } };

	check("loop", pv_loop_create(&program->control, &control));
	check("loop", pv_loop_create(&program->data, &data));
	program->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timerfd_settime(program->timer_fd, 0, &tick, NULL) ||
	    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) ||
	    !pv_loop_watch(program->data, program->timer_fd, POLLIN, ticked, program) ||
	    !pv_loop_watch(program->data, STDIN_FILENO, POLLIN, heard, program))
		check("loop", -errno);
}

static void listen_for_front_ends(struct program *program)
{
	struct pv_vhu_backend_options options = { .control = program->control,
		                                  .host = program->host,
		                                  .device = program->device };
	char sentence[PV_SENTENCE_BYTES];

	if (!pv_listener_open(&program->listener, "--socket-path", program->options.socket_path,
	                      sentence))
		fail(sentence);
	options.listen_fd = program->listener.fd;
	check("back-end", pv_vhu_backend_create(&program->backend, &options));
}

int main(int argc, char **argv)
{
	static struct program program = { .options.write_cache = 1 };
	void *const values[] = { &program.options };
	char sentence[PV_SENTENCE_BYTES];

	if (pv_options_parse(&command_line, values, argc, argv, sentence) != PV_OPTIONS_GOOD)
		fail(sentence);
	if (!program.options.socket_path || !program.options.blk_file)
		fail("give --socket-path and --blk-file");
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	make_loops(&program);
	make_device(&program);
	check("thread", pv_loop_thread_start(program.data));
	listen_for_front_ends(&program);
	pv_loop_run(program.control);
	return EXIT_SUCCESS;
}
