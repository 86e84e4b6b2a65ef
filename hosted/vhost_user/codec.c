/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vhost_user/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ring/err.h"

/* What a message's payload is made of, which says how long it is. */
enum shape {
	NOTHING,
	U64,
	STATE,
	ADDR,
	TABLE, /* as long as its count of regions or longer, at most full */
	REGION,
	LOG,
	TRANSFER,
	CONFIG,         /* as long as its size field says */
	CONFIG_OR_NONE, /* a reply without a payload says that there is no such configuration */
	INFLIGHT,       /* with or without the padding at its end */
};

/* The descriptors that come with a message. */
enum fd_rule {
	NO_FD,
	ONE_FD,
	MAYBE_FD,
	REGION_FDS,  /* one for each region of the table */
	VRING_FD,    /* one, or none where the payload says so */
	INFLIGHT_FD, /* one, or none where the region is empty */
};

struct rule {
	uint32_t request;
	const char *name;
	enum shape shape;
	enum fd_rule fds;
	enum shape reply;
};

/* A request without an answer of its own is acknowledged with a u64 where that was agreed on. */
static const struct rule frontend_rules[] = {
	{ VHOST_USER_GET_FEATURES, "GET_FEATURES", NOTHING, NO_FD, U64 },
	{ VHOST_USER_SET_FEATURES, "SET_FEATURES", U64, NO_FD, U64 },
	{ VHOST_USER_SET_OWNER, "SET_OWNER", NOTHING, NO_FD, U64 },
	{ VHOST_USER_RESET_OWNER, "RESET_OWNER", NOTHING, NO_FD, U64 },
	{ VHOST_USER_SET_MEM_TABLE, "SET_MEM_TABLE", TABLE, REGION_FDS, U64 },
	{ VHOST_USER_SET_LOG_BASE, "SET_LOG_BASE", LOG, ONE_FD, U64 },
	{ VHOST_USER_SET_LOG_FD, "SET_LOG_FD", NOTHING, ONE_FD, U64 },
	{ VHOST_USER_SET_VRING_NUM, "SET_VRING_NUM", STATE, NO_FD, U64 },
	{ VHOST_USER_SET_VRING_ADDR, "SET_VRING_ADDR", ADDR, NO_FD, U64 },
	{ VHOST_USER_SET_VRING_BASE, "SET_VRING_BASE", STATE, NO_FD, U64 },
	{ VHOST_USER_GET_VRING_BASE, "GET_VRING_BASE", STATE, NO_FD, STATE },
	{ VHOST_USER_SET_VRING_KICK, "SET_VRING_KICK", U64, VRING_FD, U64 },
	{ VHOST_USER_SET_VRING_CALL, "SET_VRING_CALL", U64, VRING_FD, U64 },
	{ VHOST_USER_SET_VRING_ERR, "SET_VRING_ERR", U64, VRING_FD, U64 },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, "GET_PROTOCOL_FEATURES", NOTHING, NO_FD, U64 },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, "SET_PROTOCOL_FEATURES", U64, NO_FD, U64 },
	{ VHOST_USER_GET_QUEUE_NUM, "GET_QUEUE_NUM", NOTHING, NO_FD, U64 },
	{ VHOST_USER_SET_VRING_ENABLE, "SET_VRING_ENABLE", STATE, NO_FD, U64 },
	{ VHOST_USER_SEND_RARP, "SEND_RARP", U64, NO_FD, U64 },
	{ VHOST_USER_NET_SET_MTU, "NET_SET_MTU", U64, NO_FD, U64 },
	{ VHOST_USER_SET_BACKEND_REQ_FD, "SET_BACKEND_REQ_FD", NOTHING, ONE_FD, U64 },
	{ VHOST_USER_GET_CONFIG, "GET_CONFIG", CONFIG, NO_FD, CONFIG_OR_NONE },
	{ VHOST_USER_SET_CONFIG, "SET_CONFIG", CONFIG, NO_FD, U64 },
	{ VHOST_USER_GET_INFLIGHT_FD, "GET_INFLIGHT_FD", INFLIGHT, NO_FD, INFLIGHT },
	{ VHOST_USER_SET_INFLIGHT_FD, "SET_INFLIGHT_FD", INFLIGHT, ONE_FD, U64 },
	{ VHOST_USER_RESET_DEVICE, "RESET_DEVICE", NOTHING, NO_FD, U64 },
	{ VHOST_USER_VRING_KICK, "VRING_KICK", STATE, NO_FD, U64 },
	{ VHOST_USER_GET_MAX_MEM_SLOTS, "GET_MAX_MEM_SLOTS", NOTHING, NO_FD, U64 },
	{ VHOST_USER_ADD_MEM_REG, "ADD_MEM_REG", REGION, ONE_FD, U64 },
	{ VHOST_USER_REM_MEM_REG, "REM_MEM_REG", REGION, MAYBE_FD, U64 },
	{ VHOST_USER_SET_STATUS, "SET_STATUS", U64, NO_FD, U64 },
	{ VHOST_USER_GET_STATUS, "GET_STATUS", NOTHING, NO_FD, U64 },
	{ VHOST_USER_SET_DEVICE_STATE_FD, "SET_DEVICE_STATE_FD", TRANSFER, ONE_FD, U64 },
	{ VHOST_USER_CHECK_DEVICE_STATE, "CHECK_DEVICE_STATE", NOTHING, NO_FD, U64 },
};

/* Their numbers exist among the front-end's requests too, which are acknowledged alike. */
static const struct rule backend_rules[] = {
	{ VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, "CONFIG_CHANGE_MSG", NOTHING, NO_FD, U64 },
	{ VHOST_USER_BACKEND_VRING_CALL, "VRING_CALL", STATE, NO_FD, U64 },
	{ VHOST_USER_BACKEND_VRING_ERR, "VRING_ERR", STATE, NO_FD, U64 },
};

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define HEADER_BYTES   ((uint32_t)sizeof(struct vhost_user_header))
#define TABLE_BYTES(n) (8 + (n) * (uint32_t)sizeof(struct vhost_user_region))
#define CONFIG_HEAD    12u

struct bounds {
	uint32_t least;
	uint32_t most;
};

/* Indexed by shape. */
static const struct bounds payload_bounds[] = {
	[NOTHING] = { 0, 0 },
	[U64] = { 8, 8 },
	[STATE] = { sizeof(struct vhost_user_vring_state), sizeof(struct vhost_user_vring_state) },
	[ADDR] = { sizeof(struct vhost_user_vring_addr), sizeof(struct vhost_user_vring_addr) },
	[TABLE] = { TABLE_BYTES(0), TABLE_BYTES(VHOST_USER_MEM_REGIONS) },
	[REGION] = { sizeof(struct vhost_user_mem_reg), sizeof(struct vhost_user_mem_reg) },
	[LOG] = { sizeof(struct vhost_user_log), sizeof(struct vhost_user_log) },
	[TRANSFER] = { sizeof(struct vhost_user_transfer), sizeof(struct vhost_user_transfer) },
	[CONFIG] = { CONFIG_HEAD + 1, CONFIG_HEAD + VHOST_USER_CONFIG_BYTES },
	[INFLIGHT] = { offsetof(struct vhost_user_inflight, padding),
	               sizeof(struct vhost_user_inflight) },
	[CONFIG_OR_NONE] = { 0, CONFIG_HEAD + VHOST_USER_CONFIG_BYTES },
};

static const struct rule *rule_of(enum pv_vhu_direction direction, uint32_t request)
{
	bool is_backend = direction == PV_VHU_FROM_BACKEND;
	const struct rule *rules = is_backend ? backend_rules : frontend_rules;
	size_t count = is_backend ? COUNT(backend_rules) : COUNT(frontend_rules);

	for (size_t i = 0; i < count; i++) {
		if (rules[i].request == request)
			return &rules[i];
	}
	return NULL;
}

const char *pv_vhu_request_name(enum pv_vhu_direction direction, uint32_t request)
{
	const struct rule *rule = rule_of(direction, request);

	return rule ? rule->name : "unknown";
}

/* Always returns false, for `return refuse(...)`. */
__attribute__((format(printf, 2, 3))) static bool refuse(struct pv_vhu_decoder *decoder,
                                                         const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(decoder->error, sizeof(decoder->error), format, arguments);
	va_end(arguments);
	return false;
}

/* The message's name as its sentences begin. */
static const char *called(const struct pv_vhu_decoder *decoder)
{
	return pv_vhu_request_name(decoder->direction, decoder->message.request);
}

static const char *reply_to(const struct pv_vhu_decoder *decoder)
{
	return decoder->direction == PV_VHU_REPLY ? "reply to " : "";
}

static enum shape shape_of(const struct pv_vhu_decoder *decoder)
{
	const struct rule *rule = rule_of(decoder->direction, decoder->message.request);

	return decoder->direction == PV_VHU_REPLY ? rule->reply : rule->shape;
}

static bool flags_are_good(struct pv_vhu_decoder *decoder)
{
	uint32_t flags = decoder->message.flags;
	bool is_reply = flags & VHOST_USER_FLAG_REPLY;

	if ((flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return refuse(decoder, "message %u of protocol version %u, %u expected",
		              decoder->message.request, flags & VHOST_USER_VERSION_MASK,
		              VHOST_USER_VERSION);
	if (!rule_of(decoder->direction, decoder->message.request))
		return refuse(decoder, "unknown %s %u",
		              decoder->direction == PV_VHU_REPLY ? "reply" : "request",
		              decoder->message.request);
	if (is_reply && decoder->direction != PV_VHU_REPLY)
		return refuse(decoder, "%s marked as a reply", called(decoder));
	if (!is_reply && decoder->direction == PV_VHU_REPLY)
		return refuse(decoder, "%s where a reply is expected", called(decoder));
	return true;
}

static bool size_is_good(struct pv_vhu_decoder *decoder)
{
	struct bounds bounds = payload_bounds[shape_of(decoder)];
	uint32_t size = decoder->message.size;

	if (size >= bounds.least && size <= bounds.most)
		return true;
	if (bounds.least == bounds.most)
		return refuse(decoder, "%s%s with a payload of %u bytes, %u expected",
		              reply_to(decoder), called(decoder), size, bounds.least);
	return refuse(decoder, "%s%s with a payload of %u bytes, %u to %u expected",
	              reply_to(decoder), called(decoder), size, bounds.least, bounds.most);
}

static bool header_is_good(struct pv_vhu_decoder *decoder)
{
	struct vhost_user_header header;

	memcpy(&header, decoder->bytes, sizeof(header));
	decoder->message.request = header.request;
	decoder->message.flags = header.flags;
	decoder->message.size = header.size;
	return flags_are_good(decoder) && size_is_good(decoder);
}

static bool table_is_good(struct pv_vhu_decoder *decoder)
{
	uint32_t regions = decoder->message.payload.table.count;

	if (regions > VHOST_USER_MEM_REGIONS)
		return refuse(decoder, "SET_MEM_TABLE of %u regions, at most %u expected", regions,
		              VHOST_USER_MEM_REGIONS);
	if (decoder->message.size < TABLE_BYTES(regions))
		return refuse(decoder,
		              "SET_MEM_TABLE of %u regions with a payload of %u bytes, %u expected",
		              regions, decoder->message.size, TABLE_BYTES(regions));
	return true;
}

static bool config_is_good(struct pv_vhu_decoder *decoder)
{
	uint32_t bytes = decoder->message.payload.config.size;

	if (bytes < 1 || bytes > VHOST_USER_CONFIG_BYTES)
		return refuse(decoder, "%s%s of %u bytes of configuration, 1 to %u expected",
		              reply_to(decoder), called(decoder), bytes, VHOST_USER_CONFIG_BYTES);
	if (decoder->message.size != CONFIG_HEAD + bytes)
		return refuse(decoder,
		              "%s%s of %u bytes of configuration with a payload of %u, %u expected",
		              reply_to(decoder), called(decoder), bytes, decoder->message.size,
		              CONFIG_HEAD + bytes);
	return true;
}

static bool vring_word_is_good(struct pv_vhu_decoder *decoder)
{
	uint64_t word = decoder->message.payload.u64;

	if (word & ~(uint64_t)(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NO_FD))
		return refuse(decoder, "%s with unknown bits in %#llx", called(decoder),
		              (unsigned long long)word);
	return true;
}

static bool payload_is_good(struct pv_vhu_decoder *decoder)
{
	switch (shape_of(decoder)) {
	case TABLE:
		return table_is_good(decoder);
	case CONFIG_OR_NONE:
		return decoder->message.size == 0 || config_is_good(decoder);
	case CONFIG:
		return config_is_good(decoder);
	default:
		break;
	}
	if (decoder->direction == PV_VHU_FROM_FRONTEND &&
	    rule_of(decoder->direction, decoder->message.request)->fds == VRING_FD)
		return vring_word_is_good(decoder);
	return true;
}

/* Of the answers one brings a descriptor. */
static enum fd_rule fd_rule_of(const struct pv_vhu_decoder *decoder)
{
	uint32_t request = decoder->message.request;

	if (decoder->direction == PV_VHU_REPLY)
		return request == VHOST_USER_GET_INFLIGHT_FD ? INFLIGHT_FD : NO_FD;
	return rule_of(decoder->direction, request)->fds;
}

static struct bounds fd_bounds(const struct pv_vhu_decoder *decoder)
{
	const struct pv_vhu_message *message = &decoder->message;
	uint32_t exact = 0;

	switch (fd_rule_of(decoder)) {
	case NO_FD:
		break;
	case ONE_FD:
		exact = 1;
		break;
	case MAYBE_FD:
		return (struct bounds){ 0, 1 };
	case REGION_FDS:
		exact = message->payload.table.count;
		break;
	case VRING_FD:
		exact = message->payload.u64 & VHOST_USER_VRING_NO_FD ? 0 : 1;
		break;
	case INFLIGHT_FD:
		exact = message->payload.inflight.mmap_size > 0 ? 1 : 0;
		break;
	}
	return (struct bounds){ exact, exact };
}

static bool fds_are_good(struct pv_vhu_decoder *decoder)
{
	struct bounds bounds = fd_bounds(decoder);
	uint32_t fds = decoder->message.fds;

	if (fds >= bounds.least && fds <= bounds.most)
		return true;
	return refuse(decoder, "%s%s with %u descriptor%s, %s%u expected", reply_to(decoder),
	              called(decoder), fds, fds == 1 ? "" : "s",
	              bounds.least == bounds.most ? "" : "at most ", bounds.most);
}

static void message_begin(struct pv_vhu_decoder *decoder)
{
	memset(&decoder->message, 0, sizeof(decoder->message));
	for (size_t i = 0; i < COUNT(decoder->message.fd); i++)
		decoder->message.fd[i] = -1;
}

void pv_vhu_decoder_init(struct pv_vhu_decoder *decoder, enum pv_vhu_direction direction)
{
	memset(decoder, 0, sizeof(*decoder));
	decoder->direction = direction;
	message_begin(decoder);
}

uint32_t pv_vhu_decoder_wants(const struct pv_vhu_decoder *decoder)
{
	if (decoder->have < HEADER_BYTES)
		return HEADER_BYTES - decoder->have;
	return HEADER_BYTES + decoder->message.size - decoder->have;
}

/* Before this call there are at most VHOST_USER_FDS of them, so there is room. */
static bool fds_take(struct pv_vhu_decoder *decoder, const int *fd, uint32_t fds)
{
	struct pv_vhu_message *message = &decoder->message;
	uint32_t taken = fds < VHOST_USER_FDS ? fds : VHOST_USER_FDS;

	for (uint32_t i = 0; i < taken; i++)
		message->fd[message->fds++] = fd[i];
	if (fds > VHOST_USER_FDS || message->fds > VHOST_USER_FDS)
		return refuse(decoder, "more than %u descriptors with one message", VHOST_USER_FDS);
	return true;
}

static enum pv_vhu_decoded message_end(struct pv_vhu_decoder *decoder)
{
	memcpy(&decoder->message.payload, decoder->bytes + HEADER_BYTES, decoder->message.size);
	decoder->have = 0;
	return payload_is_good(decoder) && fds_are_good(decoder) ? PV_VHU_MESSAGE : PV_VHU_ERROR;
}

enum pv_vhu_decoded pv_vhu_decoder_feed(struct pv_vhu_decoder *decoder, const void *data,
                                        uint32_t count, const int *fd, uint32_t fds)
{
	bool was_in_header = decoder->have < HEADER_BYTES;

	pv_bug_on(count > pv_vhu_decoder_wants(decoder));
	if (decoder->have == 0)
		message_begin(decoder);
	if (!fds_take(decoder, fd, fds))
		return PV_VHU_ERROR;
	memcpy(decoder->bytes + decoder->have, data, count);
	decoder->have += count;
	if (decoder->have < HEADER_BYTES)
		return PV_VHU_MORE;
	if (was_in_header && !header_is_good(decoder))
		return PV_VHU_ERROR;
	if (decoder->have < HEADER_BYTES + decoder->message.size)
		return PV_VHU_MORE;
	return message_end(decoder);
}

uint32_t pv_vhu_encode(void *to, uint32_t request, uint32_t flags, const void *payload,
                       uint32_t bytes)
{
	struct vhost_user_header header = { request, flags | VHOST_USER_VERSION, bytes };

	memcpy(to, &header, sizeof(header));
	if (bytes)
		memcpy((uint8_t *)to + sizeof(header), payload, bytes);
	return HEADER_BYTES + bytes;
}
