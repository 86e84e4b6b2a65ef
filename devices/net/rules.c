/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes in, as the driver set it (virtio 1.3, sections 5.1.6.5.1 to 5.1.6.5.3), and its state.
 */
#include "devices/net/headers.h"
#include "devices/net/internal.h"

#define TPID_AT      12u
#define TPID_VLAN    0x8100u
#define VLAN_ID_MASK 0x0fffu

/* "Device starts in promiscuous mode" is what drivers without commands for it rely on. */
void pv_net_rules_reset(struct pv_net *net)
{
	struct pv_net_rules *rules = &net->rules;

	*rules = (struct pv_net_rules){ .is_promiscuous = true, .pairs = 1 };
	__builtin_memcpy(rules->mac, net->options.mac, sizeof(rules->mac));
	pv_net_rules_changed(net);
}

/* ---- the filter ---- */

static bool are_equal(const uint8_t *a, const uint8_t *b)
{
	return __builtin_memcmp(a, b, VIRTIO_NET_MAC_BYTES) == 0;
}

static bool has(const struct pv_net_macs *macs, const uint8_t *mac)
{
	for (uint16_t i = 0; i < macs->count && i < PV_NET_MACS_MAX; i++)
		if (are_equal(macs->mac[i], mac))
			return true;
	return macs->has_overflow;
}

static bool is_broadcast(const uint8_t *mac)
{
	static const uint8_t broadcast[VIRTIO_NET_MAC_BYTES] = { 255, 255, 255, 255, 255, 255 };

	return are_equal(mac, broadcast);
}

static bool lets_in_address(const struct pv_net_rules *rules, const uint8_t *mac)
{
	if (is_broadcast(mac))
		return !rules->has_no_bcast;
	if (mac[0] & 1)
		return !rules->has_no_multi &&
		       (rules->has_all_multi || has(&rules->multicast, mac));
	if (rules->has_no_uni)
		return false;
	return rules->has_all_uni || are_equal(mac, rules->mac) || has(&rules->unicast, mac);
}

/* The table is of tagged frames only. */
static bool lets_in_vlan(const struct pv_net_rules *rules, const uint8_t *frame, size_t bytes)
{
	uint16_t vlan;

	if (bytes < TPID_AT + 4 || pv_net_get16(frame + TPID_AT) != TPID_VLAN)
		return true;
	vlan = pv_net_get16(frame + TPID_AT + 2) & VLAN_ID_MASK;
	return rules->vlans[vlan / 8] & 1u << vlan % 8;
}

bool pv_net_rules_let_in(const struct pv_net_rules *rules, uint64_t features, const uint8_t *frame,
                         size_t bytes)
{
	if (rules->is_promiscuous)
		return true;
	if ((features & VIRTIO_NET_F_CTRL_VLAN) && !lets_in_vlan(rules, frame, bytes))
		return false;
	return lets_in_address(rules, frame);
}

/* ---- state ---- */

static void save_macs(const struct pv_net_macs *macs, struct pv_state_writer *to)
{
	pv_state_put_u16(to, macs->count);
	pv_state_put_u8(to, macs->has_overflow);
	pv_state_put_bytes(to, macs->mac, (size_t)macs->count * VIRTIO_NET_MAC_BYTES);
}

static void load_macs(struct pv_net_macs *macs, struct pv_state_reader *from)
{
	macs->count = pv_state_get_u16(from);
	macs->has_overflow = pv_state_get_u8(from);
	if (pv_state_check(from, macs->count <= PV_NET_MACS_MAX))
		pv_state_get_bytes(from, macs->mac, (size_t)macs->count * VIRTIO_NET_MAC_BYTES);
}

static uint8_t flags_of(const struct pv_net_rules *rules)
{
	return (uint8_t)(rules->is_promiscuous | rules->has_all_multi << 1 |
	                 rules->has_all_uni << 2 | rules->has_no_multi << 3 |
	                 rules->has_no_uni << 4 | rules->has_no_bcast << 5);
}

static void set_flags(struct pv_net_rules *rules, uint8_t flags)
{
	rules->is_promiscuous = flags & 1;
	rules->has_all_multi = flags & 2;
	rules->has_all_uni = flags & 4;
	rules->has_no_multi = flags & 8;
	rules->has_no_uni = flags & 16;
	rules->has_no_bcast = flags & 32;
}

static void save_hashing(const struct pv_net_rules *rules, struct pv_state_writer *to)
{
	const struct pv_net_steering *steering = &rules->steering;

	pv_state_put_u32(to, rules->hashing.types);
	pv_state_put_u8(to, rules->hashing.key_bytes);
	pv_state_put_bytes(to, rules->hashing.key, sizeof(rules->hashing.key));
	pv_state_put_u8(to, steering->is_on);
	pv_state_put_u16(to, steering->mask);
	pv_state_put_u16(to, steering->unclassified);
	for (uint32_t i = 0; steering->is_on && i <= steering->mask; i++)
		pv_state_put_u16(to, steering->table[i]);
}

static void load_hashing(const struct pv_net *net, struct pv_net_rules *rules,
                         struct pv_state_reader *from)
{
	struct pv_net_steering *steering = &rules->steering;

	rules->hashing.types = pv_state_get_u32(from) & PV_NET_HASH_TYPES;
	rules->hashing.key_bytes = pv_state_get_u8(from);
	pv_state_get_bytes(from, rules->hashing.key, sizeof(rules->hashing.key));
	steering->is_on = pv_state_get_u8(from);
	steering->mask = pv_state_get_u16(from);
	steering->unclassified = pv_state_get_u16(from);
	if (!pv_state_check(from, rules->hashing.key_bytes <= PV_NET_HASH_KEY_BYTES &&
	                                  steering->mask < PV_NET_RSS_TABLE_MAX &&
	                                  steering->unclassified < net->options.pairs))
		return;
	for (uint32_t i = 0; steering->is_on && i <= steering->mask; i++) {
		steering->table[i] = pv_state_get_u16(from);
		pv_state_check(from, steering->table[i] < net->options.pairs);
	}
}

void pv_net_rules_save(const struct pv_net *net, struct pv_state_writer *to)
{
	const struct pv_net_rules *rules = &net->rules;

	pv_state_put_bytes(to, rules->mac, sizeof(rules->mac));
	pv_state_put_u8(to, flags_of(rules));
	save_macs(&rules->unicast, to);
	save_macs(&rules->multicast, to);
	pv_state_put_bytes(to, rules->vlans, sizeof(rules->vlans));
	pv_state_put_u64(to, rules->offloads_off);
	pv_state_put_u16(to, rules->pairs);
	save_hashing(rules, to);
}

void pv_net_rules_load(struct pv_net *net, struct pv_state_reader *from)
{
	struct pv_net_rules rules = { 0 };

	pv_state_get_bytes(from, rules.mac, sizeof(rules.mac));
	set_flags(&rules, pv_state_get_u8(from));
	load_macs(&rules.unicast, from);
	load_macs(&rules.multicast, from);
	pv_state_get_bytes(from, rules.vlans, sizeof(rules.vlans));
	rules.offloads_off = pv_state_get_u64(from);
	rules.pairs = pv_state_get_u16(from);
	load_hashing(net, &rules, from);
	if (!pv_state_check(from, rules.pairs > 0 && rules.pairs <= net->options.pairs &&
	                                  !(rules.offloads_off & ~PV_NET_GUEST_OFFLOADS)))
		return;
	net->rules = rules;
	pv_net_rules_changed(net);
}
