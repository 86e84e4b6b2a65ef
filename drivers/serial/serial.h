/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of the virtio console device (virtio 1.3, section 5.3): ports that carry bytes.
 *
 * Ports come and go as the device says; a callback tells of it.  A port that is there is opened,
 * and then written to and read from, any number of pieces at a time and without a copy:
 *
 *     pv_serdrv_open(port)
 *     pv_serdrv_write(port, &data)        any number of times
 *     pv_serdrv_read(port, &other)        the same, for what will come in
 *     pv_serdrv_publish(port)             the device sees them, and is kicked if it wants to be
 *     pv_serdrv_poll(serial)              calls data.done, or sets data.is_done
 *
 * Or the driver has receive buffers of its own (options.own_buffer_bytes): then nothing is to be
 * posted, and `received` says how many bytes it took.  What it does not take stays where it is, and
 * since its buffer does not go back, the sender at the host comes to a stop: no byte is lost.
 *
 * Who only wants to print and to read a line: pv_serdrv_put() and pv_serdrv_get() wait.
 *
 * The device is hostile.  Messages of its control queue are copied and checked before they are
 * believed; one that makes no sense is counted (`malformed`) and has no effect.  A used entry it
 * makes up breaks the queue.  A broken queue, a device that asks for a reset, or one that does not
 * take a write in time: pv_serdrv_tend(), called now and then, resets it, opens the ports again
 * that were open, and goes on with what is in flight; pv_serdrv_fail() ends it.
 *
 * All functions are for one thread at a time.
 */
#ifndef PV_DRIVERS_SERIAL_H
#define PV_DRIVERS_SERIAL_H

#include "abi/virtio_console.h"
#include "drivers/core/driver.h"

/* All feature bits that this driver can make use of. */
#define PV_SERDRV_FEATURES                                                                         \
	(PV_DRIVER_FEATURES | VIRTIO_CONSOLE_F_SIZE | VIRTIO_CONSOLE_F_MULTIPORT |                 \
	 VIRTIO_CONSOLE_F_EMERG_WRITE)

/* Bytes of a port's name; a longer one is none. */
#define PV_SERDRV_NAME_MAX 127u

/* Pieces that the memory of one write or read may be in: 64 KiB in pages, wherever they begin. */
#define PV_SERDRV_PIECES 17u

struct pv_serdrv;
struct pv_serdrv_port;

/* What has become different about a port; several may have at once. */
enum pv_serdrv_change {
	PV_SERDRV_ADDED = 1,      /* it is there, and can be opened */
	PV_SERDRV_REMOVED = 2,    /* it is not any more, and was closed */
	PV_SERDRV_IS_CONSOLE = 4, /* a person is meant to sit at it */
	PV_SERDRV_NAMED = 8,
	PV_SERDRV_HOST = 16, /* its other end was opened or closed */
	PV_SERDRV_RESIZED = 32,
};

struct pv_serdrv_options {
	uint64_t required;   /* features without which it is of no use; 0: none but VERSION_1 */
	uint64_t wanted;     /* features to accept when offered; 0: PV_SERDRV_FEATURES */
	uint16_t ports_max;  /* VIRTIO_CONSOLE_PORTS_MAX at most; 0: one */
	uint16_t queue_size; /* of each, at most; 0: 64 */
	uint64_t timeout_ns; /* for the confirmation of a reset, and until all ports are back after
	                        it; 0: PV_DRIVER_TIMEOUT_NS */
	uint64_t write_timeout_ns; /* of writes that do not say; 0: they wait for ever */
	/*
	 * What becomes of writes in flight when the device has to be reset: they end with
	 * -PV_EBROKEN, or (false) the device is given them once more, in their order. What it had
	 * taken of them already then comes twice: no driver can know.
	 */
	bool fails_on_reset;
	/*
	 * Each port has receive buffers of the driver's own: of so many bytes, and so many of them
	 * (0: four; no more than the queue has places). 0 bytes: the user posts reads.
	 */
	uint32_t own_buffer_bytes;
	uint16_t own_buffers;

	/*
	 * Called by the poll that finds it: `what` of enum pv_serdrv_change. May open, close, write
	 * and read, must not poll. May be NULL.
	 */
	void (*changed)(struct pv_serdrv_port *port, uint32_t what, void *arg);
	/*
	 * Bytes came into a buffer of the driver's. Returns how many it took, from the first on;
	 * the others it is offered again by each poll. May write, must not poll. NULL: they stay
	 * for pv_serdrv_get().
	 */
	uint32_t (*received)(struct pv_serdrv_port *port, const void *data, uint32_t bytes,
	                     void *arg);
	void *arg;
};

/* What the device is, checked. Fixed from the start on. */
struct pv_serdrv_info {
	uint64_t features;  /* negotiated */
	bool has_control;   /* MULTIPORT: ports come and go, and their ends are opened and closed */
	uint16_t ports;     /* that were set up: numbers are below it */
	uint16_t ports_max; /* that the device has room for, VIRTIO_CONSOLE_PORTS_MAX at most */
};

/* A port, as the device last said. Without MULTIPORT port 0 is there, a console, open at the host.
 */
struct pv_serdrv_state {
	uint16_t number;
	bool is_there;
	bool is_open; /* by us */
	bool is_console;
	bool host_is_open;
	uint16_t columns, rows;            /* of a terminal; 0: not known */
	char name[PV_SERDRV_NAME_MAX + 1]; /* printable UTF-8, which ends with 0; empty: none */
};

/* ---- control ---- */

/*
 * Brings the device up. Ports are there as polls find them. Returns 0; -PV_EBROKEN for a
 * configuration that makes no sense; or an error of pv_driver_init() or pv_driver_queue_init().
 * `bus` and `os` must outlive the driver.
 */
int pv_serdrv_create(struct pv_serdrv **serial, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_serdrv_options *options);

/* Resets the device and frees the driver; what is in flight ends as by pv_serdrv_fail(). */
void pv_serdrv_destroy(struct pv_serdrv *serial);

const struct pv_serdrv_info *pv_serdrv_info(const struct pv_serdrv *serial);

/* A port, there or not, from 0 to info.ports - 1; NULL beyond. */
struct pv_serdrv_port *pv_serdrv_port(struct pv_serdrv *serial, uint32_t number);

/* The first port that is there and has this name; NULL: none. */
struct pv_serdrv_port *pv_serdrv_find(struct pv_serdrv *serial, const char *name);

/* How it is, until the next poll. */
const struct pv_serdrv_state *pv_serdrv_state(const struct pv_serdrv_port *port);

/*
 * The bus said that the configuration changed: reads the size of port 0 anew. Returns 0;
 * -PV_EBROKEN when the device asks for a reset; or an error of the bus.
 */
int pv_serdrv_config_changed(struct pv_serdrv *serial);

/*
 * Is it over with this device: a queue is broken, NEEDS_RESET, or the bus is gone? To be asked now
 * and then; it reads the status over the bus.
 */
bool pv_serdrv_is_broken(struct pv_serdrv *serial);

/*
 * Looks after the device, to be called now and then (pv_serdrv_deadline_ns says when at the
 * latest): one that asks for a reset, has broken a queue, or has a write for longer than that may
 * take is reset and brought up again, see pv_serdrv_recover(). It polls. Returns 0 when all is
 * well; 1 when the device was brought up again; or an error, and everything has ended.
 */
int pv_serdrv_tend(struct pv_serdrv *serial);

/* When the first of the writes in flight will have taken too long; UINT64_MAX: none ever. */
uint64_t pv_serdrv_deadline_ns(const struct pv_serdrv *serial);

/*
 * Resets the device, negotiates what was negotiated before, waits (port: wait, options.timeout_ns
 * at most) until it has announced again the ports that were there, and opens those that were open;
 * each is handed once more what was in flight, reads too. Ports that did not come back were
 * removed. Writes whose time is over end with -PV_ETIMEDOUT instead, and all with -PV_EBROKEN if
 * that was asked for (fails_on_reset). Interrupts are off afterwards, and vectors are the bus's to
 * set again. Returns 0; or an error, and everything has ended as by pv_serdrv_fail():
 * -PV_EFEATURES, -PV_EBROKEN when it is not the same device any more, -PV_ETIMEDOUT, or an error of
 * the bus.
 */
int pv_serdrv_recover(struct pv_serdrv *serial);

/*
 * Ends it: resets the device, then ends all that is in flight with -PV_EBROKEN, as a poll would.
 * What is left to do then is pv_serdrv_destroy(), or pv_serdrv_recover(). Returns 0; -PV_ETIMEDOUT
 * or an error of the bus when the device did not confirm: it may then still write to those buffers.
 */
int pv_serdrv_fail(struct pv_serdrv *serial);

/*
 * A byte past all queues, for the worst of times: it needs no driver, and the device need not be up
 * (section 5.3.4). Returns 0, -PV_ENOTSUP without VIRTIO_CONSOLE_F_EMERG_WRITE, or an error of the
 * bus.
 */
int pv_serdrv_emergency(struct pv_bus *bus, uint8_t byte);

/* ---- ports ---- */

/*
 * Opens a port, and tells the device. Returns 0 (also when it is open already), or -PV_EIO for one
 * that is not there.
 */
int pv_serdrv_open(struct pv_serdrv_port *port);

/*
 * Closes it, and tells the device. Writes in flight go on, reads wait with the device for the port
 * to be opened again; what comes into buffers of the driver's is dropped.
 */
void pv_serdrv_close(struct pv_serdrv_port *port);

/* Bytes on their way out, or room for some that come, in the caller's storage, which must stay
 * until it is done; zero what is not used. The memory is the device's until then. */
struct pv_serdrv_data {
	struct pv_driver_request base; /* the driver's */

	struct pv_buffer buffer;
	/* Writes: until it is overdue, see pv_serdrv_tend(); 0: as the options say. */
	uint64_t timeout_ns;

	bool is_done;
	/*
	 * The result: 0; -PV_EIO: the port was removed; -PV_ETIMEDOUT; -PV_EBROKEN. Bytes that the
	 * device took (all, without an error), or that came, 1 to what there was room for.
	 */
	int error;
	uint32_t bytes;

	/* Called by the poll that finds it done; may write and read, must not poll. NULL: is_done.
	 */
	void (*done)(struct pv_serdrv_data *data);
	void *arg; /* the caller's */

	/* The driver's: its place in the stream, and its memory as it was mapped. */
	uint64_t turn;
	uint16_t pieces;
	struct pv_sg piece[PV_SERDRV_PIECES];
};

/*
 * Adds bytes to what goes out of a port. Returns 0, and it will be done once, when the device has
 * taken all of them; or, and it never will: -PV_ENOSPC while the queue is full; -PV_EIO for a port
 * that is not there or not open; -PV_EINVAL for no bytes, or too many pieces; -PV_ENOMEM while the
 * port cannot map them; -PV_EBROKEN.
 *
 * When the device removes a port, what is in flight ends with -PV_EIO: at once with
 * VIRTIO_F_RING_RESET, otherwise as the device gives it back, or is reset. Until then it has the
 * memory.
 */
int pv_serdrv_write(struct pv_serdrv_port *port, struct pv_serdrv_data *data);

/*
 * Adds room for bytes that come into a port; it is done as soon as some have, of one or more of the
 * sender's pieces. Returns as pv_serdrv_write() does, or -PV_ENOTSUP where the driver has buffers
 * of its own.
 */
int pv_serdrv_read(struct pv_serdrv_port *port, struct pv_serdrv_data *data);

/* Shows the device what was added to both queues of a port, and kicks it if it wants to be. */
void pv_serdrv_publish(struct pv_serdrv_port *port);

/*
 * Ends what the device is done with, and hands on what came; at most as many as the queues have
 * places. All: messages of the control queue, then each port; one: only its data. Returns how many
 * there were. On a broken queue 0, for good.
 */
uint32_t pv_serdrv_poll(struct pv_serdrv *serial);
uint32_t pv_serdrv_poll_port(struct pv_serdrv_port *port);

/*
 * Asks for one interrupt of each queue that something may come from, to be called before each
 * sleep: true if there is something to poll for already that no interrupt will announce. Interrupts
 * are off at the start.
 */
bool pv_serdrv_interrupts_on(struct pv_serdrv *serial);
void pv_serdrv_interrupts_off(struct pv_serdrv *serial);

/*
 * Polls and sleeps (port: wait) until `*is_done`, which a callback sets, or is that of data.
 * Returns 0; -PV_ETIMEDOUT after `timeout_ns`; -PV_EBROKEN when a queue broke.
 */
int pv_serdrv_wait(struct pv_serdrv *serial, const bool *is_done, uint64_t timeout_ns);

/*
 * Takes both queues of a port back from the device and gives them back empty, the driver's own
 * buffers posted again; all else that is in flight ends with -PV_EIO, and what callbacks add is
 * refused. Returns 0; -PV_ENOTSUP without VIRTIO_F_RING_RESET, or on a bus that cannot do it all
 * the same; or an error of the bus.
 */
int pv_serdrv_queues_reset(struct pv_serdrv_port *port);

/* ---- waiting ---- */

/*
 * Copies bytes, writes them, and waits until the device has taken them; callbacks are called
 * meanwhile. Not from a callback. Returns 0; -PV_ETIMEDOUT after `timeout_ns`: some of them may be
 * out; -PV_EBUSY while what an earlier call left is not; or an error of pv_serdrv_write(), or that
 * its data can end with.
 */
int pv_serdrv_put(struct pv_serdrv_port *port, const void *from, size_t bytes, uint64_t timeout_ns);

/*
 * Waits for bytes and copies them, as many as there are at once. Not from a callback. `*bytes`: in:
 * room, at least 1; out: how many there are, 0 with an error. Returns 0; -PV_ETIMEDOUT; -PV_EIO for
 * a port that is not there or not open; -PV_ENOTSUP where the driver has no buffers of its own, or
 * there is options.received; -PV_EBROKEN.
 */
int pv_serdrv_get(struct pv_serdrv_port *port, void *to, size_t *bytes, uint64_t timeout_ns);

/* ---- counters ---- */

struct pv_serdrv_counters {
	uint64_t writes;    /* ended without an error */
	uint64_t bytes_out; /* of them */
	uint64_t errors;    /* writes and reads that ended with an error */
	uint64_t reads;     /* buffers that bytes came in */
	uint64_t bytes_in;
	uint64_t empty;   /* buffers that came back with nothing, and were posted again */
	uint64_t dropped; /* bytes that came while the port was closed */
	uint64_t kicks;   /* sent */
	uint64_t lies;    /* used lengths beyond what could have been written */
	uint64_t repeats; /* writes and reads handed to the device once more */
	uint64_t overdue; /* writes ended since they took too long */
};

struct pv_serdrv_counters pv_serdrv_counters(const struct pv_serdrv_port *port);

/* Of the control queues; all 0 without MULTIPORT. */
struct pv_serdrv_control_counters {
	uint64_t messages_in;
	uint64_t messages_out;
	uint64_t malformed; /* came, and made no sense */
	uint64_t kicks;
	uint64_t lies;
};

struct pv_serdrv_control_counters pv_serdrv_control_counters(const struct pv_serdrv *serial);

/* Places in each of the rings of a port: where data goes out, and where it comes in. */
uint16_t pv_serdrv_out_size(const struct pv_serdrv_port *port);
uint16_t pv_serdrv_in_size(const struct pv_serdrv_port *port);

#endif
