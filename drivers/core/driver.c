/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/core/driver.h"

#include "ring/err.h"

/* How often a configuration may change under one read. */
#define CONFIG_TRIES 16u

/* Between two looks at a status that is to become zero. */
#define RESET_LOOK_NS 100000u

static int status_get(struct pv_driver *driver, uint8_t *status)
{
	return driver->bus->ops->status_get(driver->bus, status);
}

/* Status bits are added one step at a time; a driver never takes one back. */
static int status_add(struct pv_driver *driver, uint8_t bits)
{
	uint8_t status;
	int error = status_get(driver, &status);

	if (error)
		return error;
	return driver->bus->ops->status_set(driver->bus, status | bits);
}

/* Section 4: a reset has happened when the status reads zero. */
static int reset(struct pv_driver *driver)
{
	struct pv_os *os = driver->os;
	uint64_t begin_ns = os->ops->now_ns(os);
	int error = driver->bus->ops->status_set(driver->bus, 0);

	while (!error) {
		uint8_t status;

		error = status_get(driver, &status);
		if (error || status == 0)
			break;
		if (os->ops->now_ns(os) - begin_ns >= driver->timeout_ns)
			return -PV_ETIMEDOUT;
		os->ops->wait(os, RESET_LOOK_NS);
	}
	driver->is_reset = !error;
	return error;
}

/* Section 3.1.1, steps 4 to 6; a legacy device cannot object (section 3.1.2). */
static int negotiate(struct pv_driver *driver, const struct pv_driver_wish *wish)
{
	const bool is_legacy = driver->bus->is_legacy;
	const uint64_t required = wish->required | (is_legacy ? 0 : VIRTIO_F_VERSION_1);
	uint8_t status;
	int error = driver->bus->ops->features_get(driver->bus, &driver->offered);

	if (error)
		return error;
	driver->features = driver->offered & (wish->wanted | required);
	if (!driver->bus->has_room_in_kicks)
		driver->features &= ~VIRTIO_F_NOTIFICATION_DATA;
	if (wish->choose)
		driver->features = wish->choose(driver->features);
	if ((driver->features & required) != required)
		return -PV_EFEATURES;
	error = driver->bus->ops->features_set(driver->bus, driver->features);
	if (error || is_legacy)
		return error;
	error = status_add(driver, VIRTIO_STATUS_FEATURES_OK);
	if (!error)
		error = status_get(driver, &status);
	if (error)
		return error;
	return status & VIRTIO_STATUS_FEATURES_OK ? 0 : -PV_EFEATURES;
}

static int begin(struct pv_driver *driver, const struct pv_driver_wish *wish)
{
	int error = reset(driver);

	if (!error)
		error = status_add(driver, VIRTIO_STATUS_ACKNOWLEDGE);
	if (!error)
		error = status_add(driver, VIRTIO_STATUS_DRIVER);
	return error ? error : negotiate(driver, wish);
}

int pv_driver_init(struct pv_driver *driver, struct pv_bus *bus, struct pv_os *os,
                   const struct pv_driver_wish *wish)
{
	int error;

	*driver = (struct pv_driver){
		.bus = bus,
		.os = os,
		.timeout_ns = wish->timeout_ns ? wish->timeout_ns : PV_DRIVER_TIMEOUT_NS,
	};
	error = begin(driver, wish);
	if (error) {
		pv_driver_fail(driver);
		return error;
	}
	if (wish->bring_up)
		error = wish->bring_up(driver);
	if (error) {
		pv_driver_fail(driver);
		pv_driver_stop(driver);
	}
	return error;
}

int pv_driver_init_again(struct pv_driver *driver)
{
	const struct pv_driver_wish wish = {
		.required = driver->features,
		.wanted = driver->features,
		.timeout_ns = driver->timeout_ns,
	};
	int error = pv_driver_init(driver, driver->bus, driver->os, &wish);

	/* Its queues are still what they were made for, also where this one was less. */
	driver->features = wish.wanted;
	return error;
}

int pv_driver_start(struct pv_driver *driver)
{
	return status_add(driver, VIRTIO_STATUS_DRIVER_OK);
}

int pv_driver_stop(struct pv_driver *driver)
{
	return driver->is_reset ? 0 : reset(driver);
}

void pv_driver_fail(struct pv_driver *driver)
{
	status_add(driver, VIRTIO_STATUS_FAILED);
}

bool pv_driver_needs_reset(struct pv_driver *driver)
{
	uint8_t status;

	if (status_get(driver, &status))
		return true;
	return status & VIRTIO_STATUS_NEEDS_RESET || !(status & VIRTIO_STATUS_DRIVER_OK);
}

/* Section 2.5.1: a read that the generation stayed the same over is whole. */
int pv_driver_config_read(struct pv_driver *driver, uint32_t offset, void *to, uint32_t bytes)
{
	const struct pv_bus_ops *ops = driver->bus->ops;
	uint32_t before, after;

	for (uint32_t i = 0; i < CONFIG_TRIES; i++) {
		int error = ops->config_generation(driver->bus, &before);

		if (!error)
			error = ops->config_read(driver->bus, offset, to, bytes);
		if (!error)
			error = ops->config_generation(driver->bus, &after);
		if (error)
			return error;
		if (before == after)
			return 0;
	}
	return -PV_EIO;
}

int pv_driver_config_write(struct pv_driver *driver, uint32_t offset, const void *from,
                           uint32_t bytes)
{
	return driver->bus->ops->config_write(driver->bus, offset, from, bytes);
}
