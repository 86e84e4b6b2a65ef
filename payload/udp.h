/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames for a network of which a host has told nothing: that of a user-mode network as everybody
 * has it, 10.0.2.0/24, where 10.0.2.2 is the host and 10.0.2.15 the guest.
 */
#ifndef PV_PAYLOAD_UDP_H
#define PV_PAYLOAD_UDP_H

#include <stddef.h>
#include <stdint.h>

#define UDP_HEAD_BYTES 42u
#define ARP_BYTES      60u

/* Writes the head of a frame of `bytes` to this UDP port of the host; without a checksum. */
void udp_head(uint8_t *frame, const uint8_t *mac, uint16_t bytes, uint16_t port);

/* Writes a frame of ARP_BYTES that asks for the host's address, and so tells ours. */
void udp_arp(uint8_t *frame, const uint8_t *mac);

#endif
