/* SPDX-License-Identifier: BSD-2-Clause */
/* What a console device says about itself, believed only as far as it makes sense. */
#include "drivers/serial/internal.h"
#include "ring/err.h"

/* Bytes of the configuration that exist with these features. */
static uint32_t config_bytes(uint64_t features)
{
	if (features & VIRTIO_CONSOLE_F_MULTIPORT)
		return offsetof(struct virtio_console_config, emerg_wr);
	if (features & VIRTIO_CONSOLE_F_SIZE)
		return offsetof(struct virtio_console_config, max_nr_ports);
	return 0;
}

static int read_config(struct pv_serdrv *serial, struct virtio_console_config *config)
{
	const uint32_t bytes = config_bytes(serial->driver.features);

	*config = (struct virtio_console_config){ 0 };
	return bytes ? pv_driver_config_read(&serial->driver, 0, config, bytes) : 0;
}

static bool take_ports(struct pv_serdrv_info *info, const struct virtio_console_config *config,
                       uint16_t wanted)
{
	uint32_t ports = 1;

	if (info->has_control)
		ports = pv_le32_get(config->max_nr_ports);
	if (ports > VIRTIO_CONSOLE_PORTS_MAX)
		ports = VIRTIO_CONSOLE_PORTS_MAX;
	info->ports_max = (uint16_t)ports;
	info->ports = info->ports_max < wanted ? info->ports_max : wanted;
	return ports > 0;
}

/* Of port 0 only. Returns whether it is another one. */
static bool take_size(struct pv_serdrv *serial, const struct virtio_console_config *config)
{
	struct pv_serdrv_state *state = &serial->port[0].state;
	const uint16_t columns = pv_le16_get(config->cols), rows = pv_le16_get(config->rows);

	if (!(serial->driver.features & VIRTIO_CONSOLE_F_SIZE) ||
	    (state->columns == columns && state->rows == rows))
		return false;
	state->columns = columns;
	state->rows = rows;
	return true;
}

int pv_serdrv_config_load(struct pv_serdrv *serial)
{
	struct pv_serdrv_info *info = &serial->info;
	struct virtio_console_config config;
	int error = read_config(serial, &config);

	if (error)
		return error;
	*info = (struct pv_serdrv_info){ .features = serial->driver.features };
	info->has_control = info->features & VIRTIO_CONSOLE_F_MULTIPORT;
	if (!take_ports(info, &config, serial->options.ports_max))
		return -PV_EBROKEN;
	take_size(serial, &config);
	return 0;
}

int pv_serdrv_config_changed(struct pv_serdrv *serial)
{
	struct virtio_console_config config;
	int error;

	if (pv_driver_needs_reset(&serial->driver))
		return -PV_EBROKEN;
	error = read_config(serial, &config);
	if (!error && take_size(serial, &config) && serial->port[0].state.is_there)
		pv_serdrv_changed(&serial->port[0], PV_SERDRV_RESIZED);
	return error;
}

/* The lowest byte of the field is the one at its begin, also for a legacy device known here. */
int pv_serdrv_emergency(struct pv_bus *bus, uint8_t byte)
{
	const struct pv_le32 emerg_wr = pv_le32_of(byte);
	uint64_t features;
	int error = bus->ops->features_get(bus, &features);

	if (error)
		return error;
	if (!(features & VIRTIO_CONSOLE_F_EMERG_WRITE))
		return -PV_ENOTSUP;
	return bus->ops->config_write(bus, offsetof(struct virtio_console_config, emerg_wr),
	                              &emerg_wr, sizeof(emerg_wr));
}
