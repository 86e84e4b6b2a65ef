/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a front-end, as its messages tell it. A change makes a new table beside the old
 * one, which stays until no queue uses it.
 */
#include "hosted/vhost_user/backend_internal.h"

static struct pv_vhu_memory *create_memory(const struct pv_vhu_backend *backend)
{
	const struct pv_vhu_backend_options *options = &backend->options;

	return pv_vhu_memory_create(options->mapped, options->unmapped, options->mapped_arg);
}

struct pv_vhu_memory *pv_vhu_memory_of_file(const struct pv_vhu_backend *backend, uint64_t bytes,
                                            uint64_t offset, int fd, const char **error)
{
	const struct vhost_user_region region = { .bytes = bytes, .mmap_offset = offset };
	struct pv_vhu_memory *memory = create_memory(backend);

	*error = "there is no memory for it";
	if (memory)
		*error = pv_vhu_memory_add(memory, &region, fd);
	if (!*error)
		*error = pv_vhu_memory_seal(memory);
	if (!*error)
		return memory;
	pv_vhu_memory_destroy(memory);
	return NULL;
}

static void memory_changed(void *arg)
{
	struct pv_vhu_backend *backend = arg;

	pv_vhu_memory_destroy(backend->old_memory);
	backend->old_memory = NULL;
	if (backend->options.memory_changed)
		backend->options.memory_changed(backend->options.memory_arg);
	pv_vhu_backend_answered(backend, PV_VHU_OK);
}

/* Puts a new set of regions in force; the answer waits until no queue uses the old one. */
static enum pv_vhu_handled change_memory(struct pv_vhu_backend *backend,
                                         const struct pv_vhu_message *message,
                                         struct pv_vhu_memory *memory, const char *error)
{
	if (!memory)
		error = "there is no memory for it";
	if (!error)
		error = pv_vhu_memory_seal(memory);
	if (error) {
		pv_vhu_memory_destroy(memory);
		return pv_vhu_refuse(backend, message, error);
	}
	backend->old_memory = backend->memory;
	backend->memory = memory;
	pv_host_mem_switch(backend->options.host, backend->options.device, memory->table,
	                   memory_changed, backend);
	return PV_VHU_LATER;
}

enum pv_vhu_handled pv_vhu_set_mem_table(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	const struct vhost_user_mem_table *table = &message->payload.table;
	struct pv_vhu_memory *memory = create_memory(backend);
	const char *error = NULL;

	for (uint32_t i = 0; memory && !error && i < table->count; i++)
		error = pv_vhu_memory_add(memory, &table->region[i], message->fd[i]);
	return change_memory(backend, message, memory, error);
}

static struct pv_vhu_memory *copy_of_memory(struct pv_vhu_backend *backend)
{
	if (backend->memory)
		return pv_vhu_memory_copy(backend->memory);
	return create_memory(backend);
}

enum pv_vhu_handled pv_vhu_add_mem_reg(struct pv_vhu_backend *backend,
                                       struct pv_vhu_message *message)
{
	struct pv_vhu_memory *memory;
	const char *error = NULL;

	if (backend->memory &&
	    pv_vhu_memory_say_again(backend->memory, &message->payload.reg.region))
		return PV_VHU_OK;
	memory = copy_of_memory(backend);
	if (memory)
		error = pv_vhu_memory_add(memory, &message->payload.reg.region, message->fd[0]);
	return change_memory(backend, message, memory, error);
}

enum pv_vhu_handled pv_vhu_rem_mem_reg(struct pv_vhu_backend *backend,
                                       struct pv_vhu_message *message)
{
	struct pv_vhu_memory *memory;
	const char *error = NULL;

	if (backend->memory && pv_vhu_memory_unsay(backend->memory, &message->payload.reg.region))
		return PV_VHU_OK;
	memory = copy_of_memory(backend);
	if (memory)
		error = pv_vhu_memory_remove(memory, &message->payload.reg.region);
	return change_memory(backend, message, memory, error);
}

enum pv_vhu_handled pv_vhu_get_max_mem_slots(struct pv_vhu_backend *backend,
                                             struct pv_vhu_message *message)
{
	return pv_vhu_reply_u64(backend, message, VHOST_USER_MEM_SLOTS);
}
