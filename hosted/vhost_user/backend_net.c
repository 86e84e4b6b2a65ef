/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front-end of a network says beside all the rest: the largest packet that it has told its
 * guest, and that a guest has come here whose driver cannot tell the network so.
 */
#include "hosted/vhost_user/backend_internal.h"

#define MAC_BYTES 6u

uint64_t pv_vhu_net_protocol_features(const struct pv_vhu_backend *backend)
{
	return backend->options.net ? VHOST_USER_PROTOCOL_F_NET_MTU | VHOST_USER_PROTOCOL_F_RARP
	                            : 0;
}

enum pv_vhu_handled pv_vhu_net_set_mtu(struct pv_vhu_backend *backend,
                                       struct pv_vhu_message *message)
{
	const struct pv_vhu_net_ops *net = backend->options.net;
	uint64_t mtu = message->payload.u64;

	if (!net)
		return pv_vhu_refuse(backend, message, "this is no network");
	if (mtu > UINT16_MAX || !net->set_mtu(backend->options.net_arg, (uint16_t)mtu))
		return pv_vhu_refuse(backend, message, "larger than mtu= allows");
	return PV_VHU_OK;
}

/* The address is in the order of its bytes, as they lie in memory. */
enum pv_vhu_handled pv_vhu_send_rarp(struct pv_vhu_backend *backend, struct pv_vhu_message *message)
{
	const struct pv_vhu_net_ops *net = backend->options.net;
	uint8_t mac[MAC_BYTES];

	if (!net)
		return pv_vhu_refuse(backend, message, "this is no network");
	__builtin_memcpy(mac, &message->payload.u64, sizeof(mac));
	net->send_rarp(backend->options.net_arg, mac);
	return PV_VHU_OK;
}
