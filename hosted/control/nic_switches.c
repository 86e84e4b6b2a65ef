/* SPDX-License-Identifier: BSD-2-Clause */
/* Features of a network device that can be switched off, by the names that QEMU's users know. */
#include "hosted/control/nic.h"
#include "hosted/control/nic_internal.h"

/* What others need (section 5.1.3.1), one of them at least. */
#define CHECKSUM       VIRTIO_NET_F_CSUM
#define GUEST_CHECKSUM VIRTIO_NET_F_GUEST_CSUM
#define CONTROL        VIRTIO_NET_F_CTRL_VQ
#define HOST_TSO       (VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)
#define GUEST_TSO      (VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)

/* The feature, its name, what it needs, and what it is. */
/* clang-format off */
#define SWITCHES(X) \
	X(CSUM, "csum", 0, "partial checksums from the driver") \
	X(HOST_TSO4, "host_tso4", CHECKSUM, "TCP over IPv4 to be cut") \
	X(HOST_TSO6, "host_tso6", CHECKSUM, "TCP over IPv6 to be cut") \
	X(HOST_ECN, "host_ecn", HOST_TSO, "such TCP with ECN") \
	X(HOST_UFO, "host_ufo", CHECKSUM, "UDP to be cut into fragments") \
	X(HOST_USO, "host_uso", CHECKSUM, "UDP to be cut into datagrams") \
	X(GUEST_CSUM, "guest_csum", 0, "partial checksums to the driver") \
	X(GUEST_TSO4, "guest_tso4", GUEST_CHECKSUM, "TCP over IPv4, uncut") \
	X(GUEST_TSO6, "guest_tso6", GUEST_CHECKSUM, "TCP over IPv6, uncut") \
	X(GUEST_ECN, "guest_ecn", GUEST_TSO, "such TCP with ECN") \
	X(GUEST_UFO, "guest_ufo", GUEST_CHECKSUM, "UDP, not in fragments") \
	X(GUEST_USO4, "guest_uso4", GUEST_CHECKSUM, "UDP over IPv4, uncut") \
	X(GUEST_USO6, "guest_uso6", GUEST_CHECKSUM, "UDP over IPv6, uncut") \
	X(GUEST_HDRLEN, "guest_hdrlen", 0, "exact lengths of headers") \
	X(MRG_RXBUF, "mrg_rxbuf", 0, "frames in several buffers") \
	X(STATUS, "status", 0, "whether the link is up") \
	X(CTRL_VQ, "ctrl_vq", 0, "the control queue") \
	X(CTRL_RX, "ctrl_rx", CONTROL, "filters of addresses") \
	X(CTRL_RX_EXTRA, "ctrl_rx_extra", CONTROL, "more such filters") \
	X(CTRL_VLAN, "ctrl_vlan", CONTROL, "the filter of VLANs") \
	X(CTRL_MAC_ADDR, "ctrl_mac_addr", CONTROL, "the driver may change the address") \
	X(CTRL_GUEST_OFFLOADS, "ctrl_guest_offloads", CONTROL, "the driver may change the guest_ ones while it runs") \
	X(GUEST_ANNOUNCE, "guest_announce", CONTROL, "asks the driver to tell the network where it is") \
	X(MQ, "mq", CONTROL, "several pairs of queues") \
	X(RSS, "rss", CONTROL, "frames spread by their hash") \
	X(HASH_REPORT, "hash", CONTROL, "the hash told with each frame") \
	X(NOTF_COAL, "notf_coal", CONTROL, "fewer interrupts on request") \
	X(VQ_NOTF_COAL, "vq_notf_coal", CONTROL, "the same of each queue") \
	X(DEVICE_STATS, "device_stats", CONTROL, "counters for the guest")
/* clang-format on */

#define INDEX(bit, name, needs, help) SWITCH_##bit,
enum { SWITCHES(INDEX) SWITCHES_COUNT };

_Static_assert(SWITCHES_COUNT <= PV_NIC_SWITCHES_MAX, "there is room for all");

#define FEATURE(bit, name, needs, help) { VIRTIO_NET_F_##bit, needs },
static const struct {
	uint64_t bit, needs;
} features[] = { SWITCHES(FEATURE) };

#define KEY(bit, name, needs, help)                                                                \
	{ name, NULL, help, PV_OPTION_FLAG_AT(struct pv_nic_options, has[SWITCH_##bit]) },
static const struct pv_option switch_keys[] = { SWITCHES(KEY){ 0 } };

const struct pv_option_group pv_nic_switch_group = {
	"Features, all on where the device has them, as KEY=off", switch_keys
};

uint64_t pv_nic_without(const struct pv_nic_options *options)
{
	uint64_t without = 0, before;

	for (size_t i = 0; i < SWITCHES_COUNT; i++)
		without |= options->has[i] ? 0 : features[i].bit;
	do {
		before = without;
		for (size_t i = 0; i < SWITCHES_COUNT; i++)
			if (features[i].needs && !(features[i].needs & ~without))
				without |= features[i].bit;
	} while (without != before);
	return without;
}
