/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The self test of a serial device.  A console that it has is told the statements, too; a port that
 * is called "echo" sends back what it gets.
 */
#include "drivers/serial/serial.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"
#include "ring/err.h"

#define PORTS      8u
#define PIECES     64u
#define PIECE_MAX  3000u
#define BURST      8u
#define TRIES      1000u
#define TIMEOUT_NS 5000000000ull
#define QUIET_NS   50000000ull /* no more ports are announced then */

static struct scene {
	struct pv_serdrv *serial;
	struct pv_serdrv_port *console, *echo;
	bool has_port;
	unsigned int statements;
	struct pv_serdrv_data data;
	uint8_t *bytes;
	/* Of what is sent back: how much came, of how much, all in order and intact. */
	uint32_t came, expected;
	bool is_complete;
	bool is_sound;
} scene;

/* ---- the console ---- */

static char *put_number(char *at, unsigned int number)
{
	if (number >= 10)
		at = put_number(at, number / 10);
	*at++ = (char)('0' + number % 10);
	return at;
}

static char *put_text(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

/* One that nobody reads is not told any more. */
static void tell(const char *line, const char *end)
{
	if (scene.console &&
	    pv_serdrv_put(scene.console, line, (size_t)(end - line), TIMEOUT_NS) != 0)
		scene.console = NULL;
}

static bool state(bool is_true, const char *text)
{
	char line[128], *at = put_text(line, is_true ? "ok " : "not ok ");

	at = put_number(at, ++scene.statements);
	at = put_text(put_text(put_text(at, " - "), text), "\n");
	tell(line, at);
	return payload_ok(is_true, text);
}

static void tell_plan(void)
{
	char line[32];

	tell(line, put_text(put_number(put_text(line, "1.."), scene.statements), "\n"));
}

/* ---- ports ---- */

static void changed(struct pv_serdrv_port *port, uint32_t what, void *arg)
{
	(void)arg;
	if (what & PV_SERDRV_ADDED) {
		scene.has_port = true;
		pv_serdrv_open(port);
	}
}

static uint8_t byte_of(uint32_t at)
{
	return (uint8_t)(at * 7 + at / 256 * 13);
}

static uint32_t received(struct pv_serdrv_port *port, const void *data, uint32_t bytes, void *arg)
{
	const uint8_t *at = data;

	(void)arg;
	if (port != scene.echo)
		return bytes;
	for (uint32_t i = 0; i < bytes; i++)
		scene.is_sound &= at[i] == byte_of(scene.came + i);
	scene.came += bytes;
	scene.is_sound &= scene.came <= scene.expected;
	scene.is_complete = scene.came == scene.expected;
	return bytes;
}

static struct pv_serdrv_port *find_console(void)
{
	for (uint32_t i = 0; i < pv_serdrv_info(scene.serial)->ports; i++) {
		struct pv_serdrv_port *port = pv_serdrv_port(scene.serial, i);

		if (pv_serdrv_state(port)->is_there && pv_serdrv_state(port)->is_console)
			return port;
	}
	return NULL;
}

/* All that there are, with what is said about them. */
static void meet_ports(void)
{
	const bool never = false;

	pv_serdrv_wait(scene.serial, &scene.has_port, TIMEOUT_NS);
	pv_serdrv_wait(scene.serial, &never, QUIET_NS);
	scene.console = find_console();
	scene.echo = pv_serdrv_find(scene.serial, "echo");
}

/* ---- bytes ---- */

static uint32_t bytes_of(uint32_t piece)
{
	return piece % 3 ? 1 + piece : PIECE_MAX - piece * 7;
}

/* The next ones of the stream. */
static bool send(uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		scene.bytes[i] = byte_of(scene.expected + i);
	scene.data = (struct pv_serdrv_data){ .buffer = { scene.bytes, bytes } };
	scene.expected += bytes;
	scene.is_complete = false;
	if (pv_serdrv_write(scene.echo, &scene.data))
		return false;
	pv_serdrv_publish(scene.echo);
	return true;
}

static bool is_back(void)
{
	return pv_serdrv_wait(scene.serial, &scene.data.is_done, TIMEOUT_NS) == 0 &&
	       scene.data.error == 0 &&
	       pv_serdrv_wait(scene.serial, &scene.is_complete, TIMEOUT_NS) == 0;
}

static bool are_back(void)
{
	for (uint32_t i = 0; i < PIECES; i++)
		if (!send(bytes_of(i)) || !is_back())
			return false;
	return scene.is_sound;
}

/* Nobody looks at the rings but when an interrupt has come, or none will. */
static bool is_announced(uint16_t queue)
{
	while (!scene.is_complete) {
		const uint32_t before = interrupts_of_queue(queue);

		if (!pv_serdrv_interrupts_on(scene.serial) &&
		    !payload_sleep(queue, before, TIMEOUT_NS))
			return false;
		pv_serdrv_poll(scene.serial);
	}
	return true;
}

/* One after the other. An echo may be back before anybody sleeps, but not each time. */
static bool are_announced(void)
{
	const uint16_t queue = virtio_console_receiveq(pv_serdrv_state(scene.echo)->number);
	const uint32_t before = interrupts_of_queue(queue);
	bool is_good = true;

	for (uint32_t i = 0; is_good && i < TRIES; i++) {
		if (i >= BURST && interrupts_of_queue(queue) != before)
			break;
		is_good = send(BURST) && is_announced(queue) && is_back();
	}
	pv_serdrv_interrupts_off(scene.serial);
	return is_good && interrupts_of_queue(queue) != before;
}

static void test_echo(void)
{
	int error;

	if (interrupts_are_on())
		state(are_announced(), "what comes is announced by interrupts");
	state(are_back(), "what goes out comes back, in order and intact");
	error = pv_serdrv_queues_reset(scene.echo);
	if (error != -PV_ENOTSUP)
		state(error == 0 && are_back(), "its queues are taken back, and it works again");
}

/* ---- statements ---- */

static bool is_brought_up_again(void)
{
	const uint16_t console = scene.console ? pv_serdrv_state(scene.console)->number : 0;

	return pv_serdrv_recover(scene.serial) == 0 &&
	       pv_serdrv_state(pv_serdrv_port(scene.serial, console))->is_there ==
	               (scene.console != NULL) &&
	       (!scene.echo || are_back());
}

static void test_device(struct pv_bus *bus)
{
	const struct pv_serdrv_info *info = pv_serdrv_info(scene.serial);

	payload_note("features", info->features);
	payload_note("ports at most", info->ports_max);
	meet_ports();
	state(scene.has_port, "it has a port");
	if (scene.console)
		state(pv_serdrv_state(scene.console)->is_open, "a console is told of this");
	if (scene.echo)
		test_echo();
	if (info->features & VIRTIO_CONSOLE_F_EMERG_WRITE)
		state(pv_serdrv_emergency(bus, '\n') == 0, "it takes a byte past its queues");
	if (interrupts_are_on())
		payload_note("interrupts", interrupts_taken());
	state(is_brought_up_again(), "it is reset, and goes on with its ports");
	state(pv_serdrv_control_counters(scene.serial).malformed == 0,
	      "nothing that it said was nonsense");
	state(!pv_serdrv_is_broken(scene.serial), "it is sound in the end");
	tell_plan();
}

void payload_test_serial(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_serdrv_options wanted = {
		.ports_max = PORTS,
		.own_buffer_bytes = 1024,
		.timeout_ns = TIMEOUT_NS,
		.changed = changed,
		.received = received,
	};
	int error;

	(void)options;
	bare_forget();
	scene = (struct scene){ .is_sound = true };
	error = pv_serdrv_create(&scene.serial, bus, &bare_os, &wanted);
	if (!payload_ok(error == 0, "it comes up")) {
		payload_note("error", (uint64_t)-error);
		return;
	}
	scene.bytes = bare_alloc(PIECE_MAX, 64);
	if (payload_ok(scene.bytes, "there is memory for it"))
		test_device(bus);
	pv_serdrv_destroy(scene.serial);
}
