/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/vhost_user: the back-end's connection, rings and answers. */
#ifndef PV_HOSTED_BACKEND_INTERNAL_H
#define PV_HOSTED_BACKEND_INTERNAL_H

#include "hosted/vhost_user/backend.h"
#include "hosted/vhost_user/memory.h"
#include "hosted/vhost_user/wire.h"

/* What the front-end said about a queue. */
struct pv_vhu_vring {
	uint16_t size;
	bool has_addr;
	struct vhost_user_vring_addr addr;
	uint32_t base;
	bool is_base_ours; /* it is where the ring stopped here */
	bool is_reset;     /* a reset stopped it ... */
	uint32_t reset_at; /* ... there: its base for who asks, before another is set */
	bool has_stopped;  /* here, since its in-flight region came ... */
	uint32_t end;      /* ... and with this base */
	bool is_kicked;    /* started, by its kick descriptor or by a first kick */
	bool is_enabled;
	int err_fd;
	bool is_call_due; /* an in-band call that the socket had no room for; any thread */
	bool is_err_due;  /* the same of an error; control side */
};

enum pv_vhu_phase {
	PV_VHU_LISTENING,
	PV_VHU_CONNECTED,
	PV_VHU_WAITING, /* connected; the answer to a message waits for lanes */
	PV_VHU_LEAVING, /* the device is being reset after the connection */
	PV_VHU_STOPPED,
};

struct pv_vhu_backend {
	struct pv_vhu_backend_options options;
	struct pv_watch *listen_watch;
	enum pv_vhu_phase phase;

	/* The connection. */
	int socket;
	struct pv_watch *socket_watch;
	struct pv_vhu_decoder decoder;
	bool is_reading;
	bool must_leave;     /* as soon as what it waits for has come */
	uint32_t complaints; /* lines about it */
	uint64_t protocol_features;
	int channel; /* the back-end channel, or -1 */
	struct pv_watch *channel_watch;
	struct pv_loop_message call_message;
	bool is_call_message_out;
	bool is_config_change_due; /* control side */
	struct pv_vhu_memory *memory;
	struct pv_vhu_memory *old_memory; /* until no queue uses it */
	struct pv_vhu_vring *vring;

	/* The dirty log: backend_log.c. */
	struct pv_vhu_log *log;
	struct pv_vhu_log *old_log; /* until no queue uses it */
	bool is_logging;            /* VHOST_F_LOG_ALL */
	bool is_log_miss_reported;

	struct pv_vhu_transfer *transfer; /* of a state: backend_state.c; NULL: none */

	/* The in-flight regions of all queues, in one piece, or NULL. */
	struct pv_vhu_memory *inflight;
	struct vhost_user_inflight inflight_shape;

	/* The message whose answer waits. */
	struct pv_vhu_message pending;

	/* To ourselves: there is more to accept or to read, when others have had their turn. */
	struct pv_loop_message go_on_message;
	bool is_go_on_posted;

	/* A queue that waits for a lock, as the message at hand does: backend_vrings.c. */
	struct {
		int timer_fd;
		struct pv_watch *watch; /* while it waits */
		uint16_t queue;
		uint32_t tries; /* left */
	} lock_wait;

	struct pv_waiter stopped;
};

/* How a message was handled. */
enum pv_vhu_handled {
	PV_VHU_OK,      /* acknowledge it if that was asked for */
	PV_VHU_REPLIED, /* its own reply was sent */
	PV_VHU_REFUSED, /* say so where it can be said; the connection goes on if it could be */
	PV_VHU_FATAL,   /* end the connection */
	PV_VHU_LATER,   /* pv_vhu_backend_answered() follows, when lanes or a lock have answered */
};

/* backend_requests.c: carries out a complete message ... */
enum pv_vhu_handled pv_vhu_handle(struct pv_vhu_backend *backend, struct pv_vhu_message *message);

/* ... by the one of these that is its request's. The queue that it names is there. */
typedef enum pv_vhu_handled pv_vhu_handler(struct pv_vhu_backend *backend,
                                           struct pv_vhu_message *message);

/* backend_memory.c */
pv_vhu_handler pv_vhu_set_mem_table, pv_vhu_add_mem_reg, pv_vhu_rem_mem_reg,
	pv_vhu_get_max_mem_slots;
/*
 * A piece of another file of the front-end's, mapped as its memory is (checked, and guarded against
 * a file that shrinks), in a table of its own; the caller destroys it. NULL: `*error` says why. The
 * descriptor stays the caller's.
 */
struct pv_vhu_memory *pv_vhu_memory_of_file(const struct pv_vhu_backend *backend, uint64_t bytes,
                                            uint64_t offset, int fd, const char **error);

/* backend_rings.c */
pv_vhu_handler pv_vhu_set_vring_num, pv_vhu_set_vring_addr, pv_vhu_set_vring_base,
	pv_vhu_get_vring_base, pv_vhu_set_vring_enable, pv_vhu_set_vring_kick,
	pv_vhu_set_vring_call, pv_vhu_set_vring_err, pv_vhu_vring_kick;
/* backend_log.c */
pv_vhu_handler pv_vhu_set_log_base, pv_vhu_set_log_fd;
/* backend_state.c */
pv_vhu_handler pv_vhu_set_device_state_fd, pv_vhu_check_device_state;
/* backend_net.c; what only networks offer */
pv_vhu_handler pv_vhu_net_set_mtu, pv_vhu_send_rarp;
uint64_t pv_vhu_net_protocol_features(const struct pv_vhu_backend *backend);
/* backend_inflight.c */
pv_vhu_handler pv_vhu_get_inflight_fd, pv_vhu_set_inflight_fd;

/* What they end with: the log says why, and the front-end hears that it was refused; ... */
enum pv_vhu_handled pv_vhu_refuse(struct pv_vhu_backend *backend,
                                  const struct pv_vhu_message *message, const char *why);
/* ... or a number is its answer. */
enum pv_vhu_handled pv_vhu_reply_u64(struct pv_vhu_backend *backend,
                                     const struct pv_vhu_message *message, uint64_t value);

/* Its first descriptor is the caller's now; -1: it has none. */
int pv_vhu_take_fd(struct pv_vhu_message *message);

/* The queue of a message about a descriptor. */
static inline uint16_t pv_vhu_vring_of(const struct pv_vhu_message *message)
{
	return message->payload.u64 & VHOST_USER_VRING_INDEX_MASK;
}

/* backend.c */
void pv_vhu_backend_answered(struct pv_vhu_backend *backend, enum pv_vhu_handled handled);
enum pv_vhu_handled pv_vhu_reply(struct pv_vhu_backend *backend, const struct pv_vhu_message *to,
                                 const void *payload, uint32_t bytes);
/* The same with a descriptor, which stays the caller's; -1: none. */
enum pv_vhu_handled pv_vhu_reply_fd(struct pv_vhu_backend *backend, const struct pv_vhu_message *to,
                                    const void *payload, uint32_t bytes, int fd);
void pv_vhu_log(struct pv_vhu_backend *backend, enum pv_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * A warning about what a front-end does and can do again: after some of them it is said that there
 * are more, and no more is said.
 */
void pv_vhu_complain(struct pv_vhu_backend *backend, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* backend_vrings.c */
enum pv_vhu_handled pv_vhu_vring_try_start(struct pv_vhu_backend *backend, uint16_t index);
enum pv_vhu_handled pv_vhu_vring_stop(struct pv_vhu_backend *backend, uint16_t index);
void pv_vhu_vring_forget(struct pv_vhu_backend *backend, uint16_t index);
void pv_vhu_vrings_forget(struct pv_vhu_backend *backend);
uint32_t pv_vhu_vring_base(struct pv_vhu_backend *backend, uint16_t index);

/* backend_log.c. Logging begins or ends; and what was said about a ring's own writes counts. */
enum pv_vhu_handled pv_vhu_log_turn(struct pv_vhu_backend *backend, bool is_on);
enum pv_vhu_handled pv_vhu_log_ring(struct pv_vhu_backend *backend, uint16_t index);
/* Says so, once for each log, if it missed something. */
void pv_vhu_log_look(struct pv_vhu_backend *backend);
/* The connection is over and no queue runs. */
void pv_vhu_log_forget(struct pv_vhu_backend *backend);

/* backend_state.c: a transfer that is under way ends. */
void pv_vhu_state_forget(struct pv_vhu_backend *backend);

/* backend_inflight.c. Gives a queue its journal, if it has one; false: the region is too short. */
bool pv_vhu_inflight_attach(struct pv_vhu_backend *backend, uint16_t index,
                            struct pv_ring_config *config);
void pv_vhu_inflight_forget(struct pv_vhu_backend *backend);

/* backend_channel.c: what we tell the front-end unasked. */
extern const struct pv_host_ops pv_vhu_host_ops;
bool pv_vhu_can_be_told(int fd);
void pv_vhu_channel_init(struct pv_vhu_backend *backend);
void pv_vhu_channel_close(struct pv_vhu_backend *backend);
enum pv_vhu_handled pv_vhu_channel_set(struct pv_vhu_backend *backend, int fd);

#endif
