/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control receiveq (virtio 1.3, section 5.3.6.2): marks become messages as the driver gives
 * buffers for them.
 *
 * What a message says is what is so when it is written: a port that was opened and closed while the
 * driver gave no buffer is not worth one.
 */
#include "devices/serial/internal.h"

#define MESSAGES_MAX 64u /* in a run */

struct message {
	struct virtio_console_control head;
	union {
		struct virtio_console_resize resize;
		char name[PV_SERIAL_NAME_MAX];
	};
	size_t bytes; /* of the two; 0: there is nothing to be said */
};

/* ---- marks ---- */

static uint16_t index_of(const struct pv_serial_slot *slot)
{
	return (uint16_t)(slot - slot->serial->slot);
}

static uint32_t bit_of(uint16_t index)
{
	return 1u << index % PV_SERIAL_WORD_BITS;
}

void pv_serial_mark(struct pv_serial_slot *slot, uint8_t marks)
{
	uint16_t index = index_of(slot);

	slot->marks |= marks;
	if (slot->marks)
		slot->serial->marked[index / PV_SERIAL_WORD_BITS] |= bit_of(index);
}

void pv_serial_unmark(struct pv_serial_slot *slot, uint8_t marks)
{
	uint16_t index = index_of(slot);

	slot->marks &= (uint8_t)~marks;
	if (!slot->marks)
		slot->serial->marked[index / PV_SERIAL_WORD_BITS] &= ~bit_of(index);
}

void pv_serial_mark_all(struct pv_serial_slot *slot)
{
	pv_serial_unmark(slot, PV_MARKS);
	slot->told_open = false;
	slot->told_size = 0;
	if (slot->is_console)
		pv_serial_mark(slot, PV_MARK_CONSOLE);
	if (slot->name_bytes > 0)
		pv_serial_mark(slot, PV_MARK_NAME);
	pv_serial_look_at_line(slot);
}

/* The first slot with a mark from the one whose turn it is, or NULL. */
static struct pv_serial_slot *next_marked(struct pv_serial *serial)
{
	uint16_t word = serial->turn / PV_SERIAL_WORD_BITS;
	uint32_t marked = serial->marked[word] & -bit_of(serial->turn);

	/* The word of the turn is looked at twice: at its end, and at its beginning. */
	for (uint16_t i = 0; i <= PV_SERIAL_WORDS; i++) {
		if (marked) {
			serial->turn = (uint16_t)(word * PV_SERIAL_WORD_BITS +
			                          (uint16_t)__builtin_ctz(marked));
			return &serial->slot[serial->turn];
		}
		word = (uint16_t)((word + 1) % PV_SERIAL_WORDS);
		marked = serial->marked[word];
	}
	return NULL;
}

/* ---- messages ---- */

static void say(struct message *message, uint16_t event, uint16_t value, size_t more_bytes)
{
	message->head.event = pv_le16_of(event);
	message->head.value = pv_le16_of(value);
	message->bytes = sizeof(message->head) + more_bytes;
}

static void say_name(const struct pv_serial_slot *slot, struct message *message)
{
	__builtin_memcpy(message->name, slot->name, slot->name_bytes);
	say(message, VIRTIO_CONSOLE_PORT_NAME, 1, slot->name_bytes);
}

/* Older Linux drivers read the two the other way round. */
static void say_size(const struct pv_serial_slot *slot, struct message *message)
{
	uint16_t columns = slot->line->columns, rows = slot->line->rows;

	message->resize.cols = pv_le16_of(slot->has_legacy_resize ? rows : columns);
	message->resize.rows = pv_le16_of(slot->has_legacy_resize ? columns : rows);
	say(message, VIRTIO_CONSOLE_RESIZE, 0, sizeof(message->resize));
}

/* The first of the slot's marks, as a message. Returns the mark. */
static uint8_t make(const struct pv_serial_slot *slot, struct message *message)
{
	uint8_t mark = (uint8_t)(slot->marks & -slot->marks);

	*message = (struct message){ .head.id = pv_le32_of(index_of(slot)) };
	switch (mark) {
	case PV_MARK_REMOVE:
		say(message, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, 0);
		break;
	case PV_MARK_ADD:
		say(message, VIRTIO_CONSOLE_DEVICE_ADD, 1, 0);
		break;
	case PV_MARK_CONSOLE:
		say(message, VIRTIO_CONSOLE_CONSOLE_PORT, 1, 0);
		break;
	case PV_MARK_NAME:
		say_name(slot, message);
		break;
	case PV_MARK_RESIZE:
		say_size(slot, message);
		break;
	case PV_MARK_OPEN:
		if (slot->line->is_open != slot->told_open)
			say(message, VIRTIO_CONSOLE_PORT_OPEN, slot->line->is_open, 0);
		break;
	}
	return mark;
}

/* The driver has it. */
static void was_told(struct pv_serial_slot *slot, uint8_t mark, const struct message *message)
{
	switch (mark) {
	case PV_MARK_REMOVE:
		slot->is_known = false;
		break;
	case PV_MARK_ADD:
		slot->is_known = true;
		break;
	case PV_MARK_RESIZE:
		slot->told_size = (uint32_t)slot->line->rows << 16 | slot->line->columns;
		break;
	case PV_MARK_OPEN:
		slot->told_open = pv_le16_get(message->head.value);
		break;
	}
}

/* ---- a run ---- */

static bool is_buffer(const struct pv_chain *chain, size_t bytes)
{
	return !chain->is_incomplete && chain->readable_bytes == 0 &&
	       chain->writable_bytes >= bytes;
}

/* Returns whether there was a buffer. One that is too small is given back as it is. */
static bool give(struct pv_queue *queue, const struct message *message, bool *is_given)
{
	struct pv_chain chain = { .iov = pv_serial_of(queue->device)->burst.iov,
		                  .capacity = PV_SERIAL_CHAIN_PIECES };
	struct pv_cursor writer;

	if (!pv_queue_take(queue, &chain))
		return false;
	*is_given = is_buffer(&chain, message->bytes);
	if (!*is_given) {
		if (!chain.is_incomplete)
			pv_queue_bad_chain(queue, "a buffer without room for a control message");
		pv_queue_return(queue, &chain, 0);
		return true;
	}
	writer = pv_chain_writer(&chain);
	pv_cursor_write(&writer, message, message->bytes);
	pv_queue_return(queue, &chain, (uint32_t)message->bytes);
	pv_count(&pv_serial_counters_of(queue)->messages);
	return true;
}

/* One that changes all the time does not keep the others waiting. */
static void pass_turn(struct pv_serial_slot *slot)
{
	struct pv_serial *serial = slot->serial;

	serial->turn = (uint16_t)((index_of(slot) + 1u) % serial->options.ports_max);
}

/* Returns whether there may be more to do about it in this run. */
static bool tell(struct pv_queue *queue, struct pv_serial_slot *slot)
{
	struct message message;
	uint8_t mark = make(slot, &message);
	bool is_given = true;

	if (message.bytes > 0) {
		if (!give(queue, &message, &is_given))
			return false;
		if (is_given)
			was_told(slot, mark, &message);
	}
	if (is_given)
		pv_serial_unmark(slot, mark);
	if (!slot->marks)
		pass_turn(slot);
	return true;
}

/* While there is nothing to be told the driver need not say that it has buffers. */
bool pv_serial_tell(struct pv_queue *queue)
{
	struct pv_serial *serial = pv_serial_of(queue->device);
	struct pv_serial_slot *slot;
	uint32_t count;

	for (count = 0; count < MESSAGES_MAX; count++) {
		slot = next_marked(serial);
		queue->is_stalled = !slot;
		if (!slot || !tell(queue, slot))
			break;
	}
	return count > 0;
}
