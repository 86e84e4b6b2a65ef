#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""net_scapy.py NET_CUT: what the device makes of packets that are to be finished, against what scapy says
it must be, byte for byte. PV_SEED=N runs the same packets again."""

import os
import random
import struct
import subprocess
import sys
import time
import unittest

DEBIANS_PYTHON = "/usr/bin/python3"
try:
    import logging
    logging.getLogger("scapy").setLevel(logging.ERROR)
    from scapy.all import (HAO, IP, TCP, UDP, Dot1AD, Dot1Q, Ether, IPOption, IPOption_LSRR, IPOption_NOP,
                           IPOption_RR, IPOption_Security, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                           IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting, PadN, Raw, raw)
    from scapy.layers.inet import checksum, defragment, in4_pseudoheader
    from scapy.layers.inet6 import defragment6, in6_pseudoheader
except ImportError:
    # Its package is one of Debian's own interpreter, which need not be the one that runs this.
    if sys.executable != DEBIANS_PYTHON and os.access(DEBIANS_PYTHON, os.X_OK):
        os.execv(DEBIANS_PYTHON, [DEBIANS_PYTHON, *sys.argv])
    print("skipped: no scapy (package python3-scapy)")
    sys.exit(77)

NET_CUT = sys.argv.pop(1)
SEED = int(os.environ.get("PV_SEED") or time.time_ns() % 2**32)
SCALE = 20 if os.environ.get("PV_LONG") else 1

# By a port that it knows scapy would take random bytes for some protocol's, and write them otherwise.
UDP.payload_guess = TCP.payload_guess = []

NEEDS_CSUM = 1
NONE, TCPV4, UFO, TCPV6, USO, ECN = 0, 1, 3, 4, 5, 0x80
KIND_OF_TCP = {4: TCPV4, 6: TCPV6}
EINVAL = -1

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << i for i in range(8))
CSUM_OFFSET = {TCP: 16, UDP: 6}


class Cutter:
    """The program under test. One record goes in, one answer comes out."""

    def __init__(self):
        self.process = subprocess.Popen([NET_CUT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()

    def read(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def take(self, count):
        data = self.process.stdout.read(count)
        if len(data) != count:
            raise AssertionError(f"net_cut ended with {self.process.wait()}")
        return data

    def cut(self, header, frame, pieces, is_exact=False):
        """The frames that come out; the error, negative, where it refuses."""
        self.process.stdin.write(header + bytes([is_exact]) + struct.pack("=I", len(pieces)) +
                                 struct.pack(f"={len(pieces)}I", *pieces) + frame)
        self.process.stdin.flush()
        error, count = self.read("=i"), self.read("=I")
        return error or [self.take(self.read("=I")) for _ in range(count)]


def header_of(flags=0, gso_type=NONE, hdr_len=0, gso_size=0, csum_start=0, csum_offset=0):
    return struct.pack("<BBHHHH", flags, gso_type, hdr_len, gso_size, csum_start, csum_offset)


def pieces_of(rng, count):
    """So many bytes in pieces that are cut anywhere: headers too."""
    cuts = sorted(rng.choices(range(count + 1), k=rng.choice((0, 0, 1, 3, 20))) +
                  rng.choices(range(min(count, 100) + 1), k=rng.choice((0, 0, 1, 5))))
    return [b - a for a, b in zip([0] + cuts, cuts + [count])]


# ---- packets ----

def address4(rng):
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


def address6(rng):
    return ":".join(f"{rng.randrange(1, 65536):x}" for _ in range(8))


def some_ipv4(rng):
    options = rng.choice(([], [], [IPOption_NOP()], [IPOption_RR(routers=[address4(rng)] * 3)],
                          [IPOption_Security(), IPOption_NOP()],
                          [IPOption_LSRR(routers=[address4(rng), address4(rng)])],
                          [IPOption_LSRR(routers=[address4(rng)]), IPOption_RR(routers=["0.0.0.0"])],
                          [IPOption(b"\x94\x04\0\0"), IPOption(b"\x44\x08\x05\0\x01\x02\x03\x04")]))
    return IP(src=address4(rng), dst=address4(rng), id=rng.choice((0, 0xfffe, rng.randrange(65536))),
              tos=rng.randrange(256), ttl=rng.randrange(1, 256), flags=rng.choice((0, "DF")),
              options=options)


def some_extensions(rng):
    """In the order of RFC 8200; at most one of each, and each but the first by chance."""
    extensions = []
    if rng.random() < 0.3:
        extensions.append(IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(rng.randrange(12)))]))
    if rng.random() < 0.3:
        extensions.append(rng.choice((
            IPv6ExtHdrRouting(type=2, segleft=1, addresses=[address6(rng)]),
            IPv6ExtHdrRouting(type=0, addresses=[address6(rng) for _ in range(3)]),
            IPv6ExtHdrRouting(type=0, segleft=0, addresses=[address6(rng)]),
            IPv6ExtHdrSegmentRouting(segleft=1, addresses=[address6(rng), address6(rng)]))))
    if rng.random() < 0.3:
        extensions.append(IPv6ExtHdrDestOpt(options=[rng.choice((HAO(hoa=address6(rng)),
                                                                 PadN(optdata=bytes(30))))]))
    return extensions


def some_ipv6(rng):
    packet = IPv6(src=address6(rng), dst=address6(rng), tc=rng.randrange(256), fl=rng.randrange(1 << 20),
                  hlim=rng.randrange(1, 256))
    extensions = some_extensions(rng) if rng.random() < 0.6 else []
    for extension in extensions:
        packet /= extension
    return packet


def some_ethernet(rng):
    packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    tags = rng.choice((0, 0, 1, 2))
    if tags == 2:
        packet /= Dot1AD(vlan=rng.randrange(4096), prio=rng.randrange(8))
    if tags:
        packet /= Dot1Q(vlan=rng.randrange(4096), prio=rng.randrange(8))
    return packet


def some_tcp(rng):
    options = rng.choice(([], [("NOP", None), ("NOP", None), ("Timestamp", (rng.randrange(2**32), 7))],
                          [("SAck", (1, 2, 3, 4, 5, 6, 7, 8))], [("MSS", 1460), ("WScale", 7)]))
    return TCP(sport=rng.randrange(65536), dport=rng.randrange(65536), options=options,
               seq=rng.choice((0, 2**32 - 1000, rng.randrange(2**32))), ack=rng.randrange(2**32),
               flags=ACK | rng.randrange(256) & (FIN | PSH | URG | ECE | CWR), urgptr=rng.randrange(9),
               window=rng.randrange(65536))


def some_udp(rng):
    return UDP(sport=rng.randrange(65536), dport=rng.randrange(65536))


def some_headers(rng, version, transport):
    ip = some_ipv4(rng) if version == 4 else some_ipv6(rng)
    return some_ethernet(rng) / ip / (some_tcp(rng) if transport is TCP else some_udp(rng))


def some_payload(rng, count):
    """Mostly random; all ones and all zeroes are where sums carry most, and not at all."""
    return rng.choice((rng.randbytes(count), rng.randbytes(count), b"\xff" * count, bytes(count)))


def built(packet, payload=b""):
    """Scapy's own bytes: lengths and checksums filled in. (It changes what it builds: so a copy.)"""
    packet = packet.copy()
    return raw(packet / Raw(payload) if payload else packet)


def is_ipv6(packet):
    return IPv6 in packet


def transport_of(packet):
    return TCP if TCP in packet else UDP


def headers_bytes(packet):
    return len(built(packet))


def transport_at(packet):
    return headers_bytes(packet) - len(packet.copy()[transport_of(packet)])


def pseudo_sum(packet, count):
    """Of so many bytes from the transport on: what a driver leaves in the checksum's place."""
    packet = packet.copy()
    kind = transport_of(packet)
    upper = packet[kind]
    number = 6 if kind is TCP else 17
    if is_ipv6(packet):
        pseudo = raw(in6_pseudoheader(number, upper.underlayer, count))
    else:
        pseudo = in4_pseudoheader(number, packet[IP], count)
    return ~checksum(pseudo) & 0xffff


def as_driver_leaves_it(packet, payload):
    """The frame with a partial checksum, and where that is."""
    frame, start = bytearray(built(packet, payload)), transport_at(packet)
    at = start + CSUM_OFFSET[transport_of(packet)]
    frame[at:at + 2] = struct.pack("!H", pseudo_sum(packet, len(frame) - start))
    return bytes(frame), start


# ---- what must come out ----

def segments_of(packet, payload, size):
    """TCP: section 5.1.6.2 says that it is cut; how, RFC 9293 and RFC 3168 do."""
    chunks = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    for i, chunk in enumerate(chunks):
        part = packet.copy()
        part[TCP].seq = (part[TCP].seq + i * size) % 2**32
        if i + 1 < len(chunks):
            part[TCP].flags = int(part[TCP].flags) & ~(FIN | PSH)
        if i > 0:
            part[TCP].flags = int(part[TCP].flags) & ~CWR
        if IP in part:
            part[IP].id = (part[IP].id + i) % 65536
        yield built(part, chunk)


def datagrams_of(packet, payload, size):
    chunks = [payload[at:at + size] for at in range(0, len(payload), size)] or [b""]
    for i, chunk in enumerate(chunks):
        part = packet.copy()
        if IP in part:
            part[IP].id = (part[IP].id + i) % 65536
        yield built(part, chunk)


def later_options(options):
    """Those of RFC 791 that all fragments have; the others' place stays."""
    left = []
    for option in options:
        data = raw(option)
        left += [option] if data[0] & 0x80 else [IPOption_NOP()] * len(data)
    return left


def fragments4(packet, payload, size):
    whole = built(packet, payload)
    start = transport_at(packet)
    body = whole[start:]
    for at in range(0, len(body), size):
        part = packet.copy()
        del part[IP].payload
        part[IP].proto, part[IP].frag = 17, at // 8
        part[IP].flags = "MF" if at + size < len(body) else 0
        if at:
            part[IP].options = later_options(part[IP].options)
        yield built(part, body[at:at + size])


def fragmentable_at(packet):
    """Where a fragment header belongs: behind the last header that every router on the way looks at. And
    where its number is to be written, and IPv6 begins."""
    packet = packet.copy()
    layers = [layer for layer in packet.iterpayloads() if not isinstance(layer, (Ether, Dot1Q))]
    network = headers_bytes(packet) - len(layers[0])
    at, end, number = network, network + 40, network + 6
    for layer in layers[:-1]:
        if isinstance(layer, (IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrSegmentRouting)):
            number, end = at, at + len(layer) - len(layer.payload)
        at += len(layer) - len(layer.payload)
    return end, number, network


def fragments6(packet, payload, size, identification):
    whole = built(packet, payload)
    end, number, network = fragmentable_at(packet)
    body = whole[end:]
    for at in range(0, len(body), size):
        chunk = body[at:at + size]
        head = bytearray(whole[:end] + raw(IPv6ExtHdrFragment(
            nh=whole[number], offset=at // 8, m=int(at + size < len(body)), id=identification)))
        head[number] = 44
        head[network + 4:network + 6] = struct.pack("!H", len(head) + len(chunk) - network - 40)
        yield bytes(head) + chunk


class Scapy(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(f"{SEED} {self.id()}")
        self.cutter = Cutter()
        self.addCleanup(self.close)

    def close(self):
        self.assertEqual(self.cutter.close(), 0)

    def cut(self, header, frame, is_exact=False):
        return self.cutter.cut(header, frame, pieces_of(self.rng, len(frame)), is_exact)

    def some(self, count, *choices):
        """So many draws of one of each of the choices."""
        for _ in range(count * SCALE):
            yield [self.rng.choice(choice) for choice in choices]

    def assert_frames(self, frames, wanted, packet):
        self.assertNotIsInstance(frames, int, packet.command())
        self.assertEqual(len(frames), len(wanted), packet.command())
        for i, (frame, want) in enumerate(zip(frames, wanted)):
            self.assertEqual(frame.hex(), want.hex(), f"frame {i} of {len(wanted)}: {packet.command()}")

    def cut_as(self, kind, packet, payload, size):
        """A frame that is to be cut, by a driver that says all that it can say."""
        frame, start = as_driver_leaves_it(packet, payload)
        return self.cut(header_of(NEEDS_CSUM, kind, headers_bytes(packet), size, start,
                                  CSUM_OFFSET[transport_of(packet)]), frame, is_exact=True)

    def test_a_frame_without_work_comes_out_as_it_is(self):
        for version, transport, count in self.some(60, (4, 6), (TCP, UDP), (0, 1, 99, 1400, 9000)):
            frame = built(some_headers(self.rng, version, transport), some_payload(self.rng, count))
            self.assertEqual(self.cut(header_of(), frame), [frame])

    def test_a_partial_checksum_is_completed(self):
        for version, transport, count in self.some(120, (4, 6), (TCP, UDP), (0, 1, 2, 3, 777, 1400, 60000)):
            packet = some_headers(self.rng, version, transport)
            payload = some_payload(self.rng, count)
            frame, start = as_driver_leaves_it(packet, payload)
            header = header_of(NEEDS_CSUM, csum_start=start, csum_offset=CSUM_OFFSET[transport])
            self.assert_frames(self.cut(header, frame), [built(packet, payload)], packet)

    def test_tcp_is_cut_into_segments(self):
        for version, count, size, ecn in self.some(120, (4, 6), (0, 1, 1448, 2897, 10000, 60000),
                                                   (1, 7, 536, 1448, 8960, 65000), (0, ECN)):
            size = max(size, count // 40)
            packet, payload = some_headers(self.rng, version, TCP), some_payload(self.rng, count)
            frames = self.cut_as(KIND_OF_TCP[version] | ecn, packet, payload, size)
            self.assert_frames(frames, list(segments_of(packet, payload, size)), packet)

    def test_udp_is_cut_into_datagrams(self):
        for version, count, size in self.some(120, (4, 6), (0, 1, 1472, 2945, 10000, 60000),
                                              (1, 8, 33, 1200, 1472, 65000)):
            size = max(size, count // 40)
            packet, payload = some_headers(self.rng, version, UDP), some_payload(self.rng, count)
            frames = self.cut_as(USO, packet, payload, size)
            self.assert_frames(frames, list(datagrams_of(packet, payload, size)), packet)

    def test_a_datagram_over_ipv4_is_cut_into_fragments(self):
        for count, size in self.some(120, (0, 1, 1472, 2945, 10000, 60000), (8, 15, 24, 1480, 1481, 65000)):
            size = max(size, count // 40)
            packet, payload = some_headers(self.rng, 4, UDP), some_payload(self.rng, count)
            frames = self.cut_as(UFO, packet, payload, size)
            if count + 8 <= size:
                self.assert_frames(frames, [built(packet, payload)], packet)
                continue
            self.assert_frames(frames, list(fragments4(packet, payload, size - size % 8)), packet)
            whole = defragment([Ether(frame) for frame in frames])
            self.assertEqual(len(whole), 1)
            self.assertEqual(raw(whole[0][IP].payload), built(packet, payload)[transport_at(packet):])

    def test_a_datagram_over_ipv6_is_cut_into_fragments(self):
        ids = []
        for count, size in self.some(120, (0, 1, 1472, 2945, 10000, 60000), (8, 15, 24, 1448, 1452, 65000)):
            size = max(size, count // 40)
            packet, payload = some_headers(self.rng, 6, UDP), some_payload(self.rng, count)
            frames, whole = self.cut_as(UFO, packet, payload, size), built(packet, payload)
            if len(whole) - fragmentable_at(packet)[0] <= size:
                self.assert_frames(frames, [whole], packet)
                continue
            ids.append(Ether(frames[0])[IPv6ExtHdrFragment].id)
            self.assert_frames(frames, list(fragments6(packet, payload, size - size % 8, ids[-1])), packet)
            together = raw(defragment6([Ether(frame) for frame in frames])[IPv6])
            self.assertEqual(together, whole[len(whole) - len(together):], packet.command())
        self.assertEqual(len(ids), len(set(ids)))

    def sound(self, frame):
        """Is every length and every checksum of it what scapy would have written?"""
        packet = Ether(frame)
        for layer in packet.iterpayloads():
            # It looks at a home address only where that is alone, as it is before the padding comes.
            if isinstance(layer, IPv6ExtHdrDestOpt):
                layer.options = [o for o in layer.options if isinstance(o, HAO)] or layer.options
            for field in ("len", "chksum", "plen"):
                if field in layer.fields and isinstance(layer, (IP, IPv6, UDP, TCP)):
                    layer.delfieldval(field)
        return raw(packet) == frame

    def test_headers_that_lie_make_no_frame_of_another_length(self):
        """Any header of a packet on any frame: refused, or finished well."""
        refused = 0
        for version, transport, kind, count in self.some(
                400, (4, 6), (TCP, UDP), (TCPV4, UFO, TCPV6, USO, 2, 6, 0x21, 0x7f), (0, 9, 1400, 20000)):
            packet, payload = some_headers(self.rng, version, transport), self.rng.randbytes(count)
            frame, start = as_driver_leaves_it(packet, payload)
            lie = [NEEDS_CSUM, kind, headers_bytes(packet), self.rng.choice((0, 1, 8, 100, 1448, 65535)), start,
                   CSUM_OFFSET[transport]]
            for _ in range(self.rng.choice((0, 0, 1, 2))):
                lie[self.rng.randrange(2, 6)] = self.rng.choice((0, 14, 34, 65535, self.rng.randrange(65536)))
            frames = self.cut(header_of(*lie), frame[:self.rng.choice((len(frame),) * 3 + (60, 14))],
                              self.rng.random() < 0.5)
            if frames == EINVAL:
                refused += 1
                continue
            for part in self.rng.sample(frames, min(len(frames), 5)) if kind != UFO else ():
                self.assertTrue(self.sound(part), f"{lie} {packet.command()}")
        self.assertGreater(refused, 40)


if __name__ == "__main__":
    print(f"PV_SEED={SEED}", flush=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
