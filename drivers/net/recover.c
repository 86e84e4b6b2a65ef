/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that needs a reset gets it, is told what it was told before, and goes on where it was.
 */
#include "drivers/net/internal.h"
#include "ring/err.h"

/* Buffers were made for packets with this header, and queues for these pairs. */
static bool is_same(const struct pv_netdrv_info *before, const struct pv_netdrv_info *now)
{
	return now->pairs == before->pairs && now->pairs_max == before->pairs_max &&
	       now->buffer_bytes_min <= before->buffer_bytes_min;
}

static int read_again(struct pv_netdrv *net)
{
	const struct pv_netdrv_info before = net->info;
	int error = pv_netdrv_config_load(net);

	if (!error && !is_same(&before, &net->info))
		error = -PV_EBROKEN;
	if (error)
		net->info = before;
	return error;
}

static int start_again(struct pv_netdrv *net)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < net->started; i++)
		error = pv_driver_queue_begin_again(&net->queue[i].base);
	if (!error && net->has_control)
		error = pv_driver_queue_begin_again(&net->control.queue);
	return error ? error : pv_driver_start(&net->driver);
}

/* ---- what it was told ---- */

static int repeat_memos(struct pv_netdrv *net)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < PV_NETDRV_MEMOS; i++) {
		struct pv_netdrv_command command = net->control.memo[i];

		if (command.bytes > 0)
			error = pv_netdrv_command(net, &command);
	}
	return error;
}

static int repeat_rx_modes(struct pv_netdrv *net)
{
	const struct pv_netdrv_control *control = &net->control;
	int error = 0;

	for (uint8_t i = 0; !error && i <= VIRTIO_NET_CTRL_RX_NOBCAST; i++)
		if (control->rx_modes_told >> i & 1)
			error = pv_netdrv_set_rx_mode(net, i, control->rx_modes >> i & 1);
	return error;
}

static int repeat_vlans(struct pv_netdrv *net)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < VIRTIO_NET_VLANS; i++)
		if (net->control.vlans[i / 8] >> i % 8 & 1)
			error = pv_netdrv_set_vlan(net, i, true);
	return error;
}

static int repeat_coalescing(struct pv_netdrv *net)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < net->started; i++)
		if (net->queue[i].has_coalescing)
			error = pv_netdrv_set_queue_coalescing(&net->queue[i],
			                                       net->queue[i].coalescing);
	return error;
}

static int tell_again(struct pv_netdrv *net)
{
	int error = 0;

	if (net->control.has_mac)
		error = pv_netdrv_set_mac(net, net->control.mac);
	if (!error)
		error = repeat_memos(net);
	if (!error)
		error = repeat_rx_modes(net);
	if (!error)
		error = repeat_vlans(net);
	return error ? error : repeat_coalescing(net);
}

/* ---- what was in flight ---- */

/* First what can come in, then what it depends on, then what goes out. */
static int go_on(struct pv_netdrv *net)
{
	int error = 0;

	if (net->has_control)
		pv_driver_queue_repeat(&net->control.queue, true);
	for (uint16_t i = 0; !error && i < net->started; i += 2) {
		pv_driver_queue_repeat(&net->queue[i].base, false);
		error = pv_netdrv_post_own(&net->queue[i]);
	}
	if (!error)
		error = tell_again(net);
	for (uint16_t i = 1; !error && i < net->started; i += 2)
		pv_driver_queue_repeat(&net->queue[i].base, net->options.fails_on_reset);
	return error;
}

int pv_netdrv_recover(struct pv_netdrv *net)
{
	int error = pv_driver_init_again(&net->driver);

	if (!error)
		error = read_again(net);
	if (!error)
		error = start_again(net);
	if (!error)
		error = go_on(net);
	if (error) {
		pv_driver_fail(&net->driver);
		pv_netdrv_fail(net);
	}
	return error;
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

uint64_t pv_netdrv_deadline_ns(const struct pv_netdrv *net)
{
	uint64_t earliest_ns = UINT64_MAX;

	if (net->has_control)
		earliest_ns = pv_driver_queue_deadline_ns(&net->control.queue);
	for (uint16_t i = 1; i < net->started; i += 2)
		earliest_ns =
			earlier(earliest_ns, pv_driver_queue_deadline_ns(&net->queue[i].base));
	return earliest_ns;
}

int pv_netdrv_tend(struct pv_netdrv *net)
{
	struct pv_os *os = net->driver.os;
	int error;

	for (uint16_t i = 0; i < net->started; i++)
		pv_netdrv_poll(&net->queue[i], 0);
	pv_netdrv_control_poll(net);
	if (!pv_netdrv_is_broken(net) && os->ops->now_ns(os) < pv_netdrv_deadline_ns(net))
		return 0;
	error = pv_netdrv_recover(net);
	return error ? error : 1;
}
