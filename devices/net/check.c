/* SPDX-License-Identifier: BSD-2-Clause */
/* Which headers a sending driver may write (virtio 1.3, section 5.1.6.2), by what was negotiated.
 */
#include "devices/net/internal.h"

uint64_t pv_net_host_feature(uint8_t gso_type)
{
	switch (gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_HOST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_HOST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_HOST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_HOST_USO;
	}
	return 0;
}

static bool is_checksum_good(const struct pv_device *device, const struct virtio_net_hdr *hdr,
                             uint32_t bytes)
{
	uint32_t start = pv_le16_get(hdr->csum_start), offset = pv_le16_get(hdr->csum_offset);

	return pv_net_has(device, VIRTIO_NET_F_CSUM) && start + offset + 2 <= bytes;
}

/* To be cut, it needs a checksum as well, and a size to be cut to. */
static bool is_cutting_good(const struct pv_device *device, const struct virtio_net_hdr *hdr)
{
	if ((hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN) && !pv_net_has(device, VIRTIO_NET_F_HOST_ECN))
		return false;
	return pv_net_has(device, pv_net_host_feature(hdr->gso_type)) &&
	       (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && pv_le16_get(hdr->gso_size) > 0;
}

/* What is not cut fits the network. */
uint32_t pv_net_whole_bytes_max(const struct pv_device *device)
{
	if (!pv_net_has(device, VIRTIO_NET_F_MTU))
		return PV_NET_FRAME_MAX;
	return pv_net_of_const(device)->options.mtu + PV_NET_ETHERNET_BYTES;
}

bool pv_net_header_is_good(const struct pv_device *device, const struct virtio_net_hdr *hdr,
                           uint32_t bytes)
{
	if (bytes < PV_NET_FRAME_MIN || bytes > PV_NET_FRAME_MAX)
		return false;
	if ((hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !is_checksum_good(device, hdr, bytes))
		return false;
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return bytes <= pv_net_whole_bytes_max(device);
	return is_cutting_good(device, hdr);
}
