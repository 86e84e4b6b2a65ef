#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a user sees of `paravane serve net`: sentences, what it says of itself, and its control commands."""

import json
import mmap
import re
import socket
import struct
import subprocess
import time
import unittest

from serve_case import PATIENCE_S, PROGRAM, Case, FrontEnd

CTRL_VQ, CTRL_RX, CTRL_VLAN, STATUS, GUEST_ANNOUNCE = 1 << 17, 1 << 18, 1 << 19, 1 << 16, 1 << 21
RX, MAC, VLAN, ANNOUNCE = 0, 1, 2, 3
STATION = '52:54:00:12:34:56'


class Guest(FrontEnd):
    """A driver with a control queue alone: the areas are where start_queue() says."""
    AVAIL, USED, DATA, ANSWER = 0x4000, 0x8000, 0xc000, 0xe000
    NEXT, WRITE = 1, 2
    GET_CONFIG = 24

    def __init__(self, path, features=CTRL_VQ | CTRL_RX | CTRL_VLAN):
        super().__init__(path)
        self.guest = mmap.mmap(self.memory, self.SIZE)
        self.asked = 0
        self.start_queue(8, 2, features)

    def close(self):
        self.guest.close()
        super().close()

    def command(self, kind, command, data=b''):
        """The acknowledgement, 0 if it was carried out."""
        content = bytes([kind, command]) + data
        self.guest[self.DATA:self.DATA + len(content)] = content
        self.guest[self.ANSWER] = 0xff
        struct.pack_into('<QIHH', self.guest, 0, self.GUEST + self.DATA, len(content), self.NEXT, 1)
        struct.pack_into('<QIHH', self.guest, 16, self.GUEST + self.ANSWER, 1, self.WRITE, 0)
        struct.pack_into('<H', self.guest, self.AVAIL + 4 + 2 * (self.asked % 8), 0)
        self.asked += 1
        self.guest[self.AVAIL + 2:self.AVAIL + 4] = struct.pack('<H', self.asked)
        self.kick()
        deadline = time.monotonic() + PATIENCE_S
        while struct.unpack_from('<H', self.guest, self.USED + 2)[0] != self.asked:
            if time.monotonic() > deadline:
                raise RuntimeError('a command was not answered')
            time.sleep(0.001)
        return self.guest[self.ANSWER]

    def open_channel(self):
        """Where the back-end says that something has changed; then the queue runs."""
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        self.send(self.SET_PROTOCOL_FEATURES, struct.pack('<Q', self.BACKEND_REQ | self.CONFIG))
        self.send(self.SET_BACKEND_REQ_FD, b'', [theirs.fileno()])
        theirs.close()
        self.send(18, struct.pack('<II', 2, 1))
        self.is_served()
        return ours

    def queue_num(self):
        self.send(17)
        return struct.unpack('<IIIQ', self.socket.recv(20))[3]


def macs(*texts):
    return struct.pack('<I', len(texts)) + b''.join(bytes.fromhex(t.replace(':', '')) for t in texts)


class Net(Case):
    DEVICE = 'net'

    def serve(self, backend='null', **more):
        return self.start('--socket-path', self.socket, '--backend', backend, '--qmp',
                          f'unix:{self.qmp}', **more)

    def guest(self, **more):
        guest = Guest(self.socket, **more)
        self.addCleanup(guest.close)
        return guest

    def tell(self, name, /, **arguments):
        return self.ask({'execute': name, 'arguments': arguments})[0]

    def rx_filter(self):
        (rx_filter,) = self.tell('query-rx-filter')['return']
        return rx_filter

    # ---- what it says ----

    def test_wishes_that_cannot_be_fulfilled_are_named(self):
        place = ('--socket-path', self.socket)
        self.assertIn('give --backend user, tap,', self.refuse_serve(*place))
        self.assertIn('--socket-path', self.refuse_serve('--backend', 'null'))
        for backend, words in (('taps', "option '--backend' begins with user, tap,"),
                               ('null,mtu=1', "option '--backend': 'mtu' takes"),
                               ('null,mtx=1500', "unknown key 'mtx'; did you mean 'mtu'?"),
                               ('null,path=x', "'path' goes with stream, not with null"),
                               ('tap,fd=999', "'fd': descriptor 999 is not open"),
                               ('tap,fd=x', "'fd' takes the numbers of open descriptors"),
                               ('stream', "option '--backend': "),
                               ('stream,path=/nowhere/x,server=on', "option '--backend': path="),
                               ('dgram', "option '--backend': ")):
            with self.subTest(backend=backend):
                self.assertIn(words, self.refuse_serve(*place, '--backend', backend))

    def test_it_says_what_it_can_do(self):
        done = subprocess.run([PROGRAM, 'serve', 'net', '--print-capabilities'], check=True,
                              capture_output=True, text=True)
        self.assertEqual(json.loads(done.stdout), {'type': 'net'})

    def test_an_address_stays_the_same_for_the_same_socket(self):
        said = set()
        for _ in range(2):
            process, line = self.serve()
            said.update(re.findall(r'\(([0-9a-f:]{17})\)', line))
            process.terminate()
            self.assert_ends_well(process)
        self.assertEqual(len(said), 1)
        # Of one station, and not given out by anybody.
        self.assertEqual(int(said.pop()[:2], 16) & 3, 2)
        _, line = self.serve(f'null,mac={STATION}')
        self.assertIn(f'net0: serving null network ({STATION}) on', line)

    def test_pairs_are_what_a_front_end_hears_of(self):
        self.serve('null,queues=3')
        self.assertEqual(self.guest().queue_num(), 3)

    # ---- what a front-end may ask for ----

    NET_MTU, RARP, REPLY_ACK = 1 << 4, 1 << 2, 1 << 3

    def negotiated(self):
        front_end = self.connect(self.socket)
        front_end.send(front_end.SET_FEATURES,
                       struct.pack('<Q', front_end.VERSION_1 | front_end.F_PROTOCOL))
        front_end.send(15)
        offered = struct.unpack('<IIIQ', front_end.socket.recv(20))[3]
        wanted = self.NET_MTU | self.RARP | self.REPLY_ACK
        self.assertEqual(offered & wanted, wanted)
        front_end.send(front_end.SET_PROTOCOL_FEATURES, struct.pack('<Q', wanted))
        return front_end

    @staticmethod
    def acknowledgement(front_end, request, number):
        front_end.socket.sendall(struct.pack('<IIIQ', request, 1 | 8, 8, number))
        return struct.unpack('<IIIQ', front_end.socket.recv(20))[3]

    def test_a_front_end_may_say_the_mtu_that_we_have(self):
        self.serve('null,mtu=9000')
        front_end = self.negotiated()
        self.assertEqual([self.acknowledgement(front_end, 20, mtu)
                          for mtu in (68, 1500, 9000, 9001, 67, 0x10000 + 1500)], [0, 0, 0, 1, 1, 1])

    def test_the_network_is_told_of_a_guest_that_has_come(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(ours.close)
        ours.settimeout(PATIENCE_S)
        self.serve(f'stream,fd={theirs.fileno()}', pass_fds=[theirs.fileno()])
        theirs.close()
        front_end = self.negotiated()
        mac = bytes.fromhex(STATION.replace(':', ''))
        self.assertEqual(self.acknowledgement(front_end, 19, int.from_bytes(mac, 'little')), 0)
        frame = ours.recv(4 + 60, socket.MSG_WAITALL)
        self.assertEqual(frame, struct.pack('>I', 60) + b'\xff' * 6 + mac +
                         bytes.fromhex('80350001080006040003') + mac + bytes(4) + mac + bytes(22))
        # Nothing passes while the link is down.
        self.tell('set_link', name='net0', up=False)
        self.assertEqual(self.acknowledgement(front_end, 19, int.from_bytes(mac, 'little')), 0)
        ours.settimeout(0.2)
        self.assertRaises(TimeoutError, ours.recv, 1)

    # ---- control commands ----

    def test_a_filter_is_told_as_qemu_tells_it(self):
        self.serve(f'null,mac={STATION}')
        self.assertEqual(self.rx_filter()['main-mac'], STATION)
        guest = self.guest()
        self.assertEqual(guest.command(RX, 0, b'\0'), 0)
        self.assertEqual(guest.command(RX, 1, b'\1'), 0)
        self.assertEqual(guest.command(MAC, 0, macs('02:00:00:00:00:01') +
                                       macs('01:00:5e:00:00:01', '33:33:00:00:00:01')), 0)
        self.assertEqual(guest.command(VLAN, 0, struct.pack('<H', 5)), 0)
        self.assertEqual(guest.command(VLAN, 0, struct.pack('<H', 4095)), 0)
        self.assertEqual(self.rx_filter(), {
            'name': 'net0', 'promiscuous': False, 'multicast': 'all', 'unicast': 'normal',
            'vlan': 'normal', 'broadcast-allowed': True, 'multicast-overflow': False,
            'unicast-overflow': False, 'main-mac': STATION, 'vlan-table': [5, 4095],
            'unicast-table': ['02:00:00:00:00:01'],
            'multicast-table': ['01:00:5e:00:00:01', '33:33:00:00:00:01']})

    def test_a_filter_of_more_addresses_than_fit_lets_all_in(self):
        self.serve()
        many = [f'02:00:00:00:{i // 256:02x}:{i % 256:02x}' for i in range(200)]
        guest = self.guest()
        self.assertEqual(guest.command(MAC, 0, macs(*many) + macs()), 0)
        rx_filter = self.rx_filter()
        self.assertTrue(rx_filter['unicast-overflow'])
        self.assertFalse(rx_filter['multicast-overflow'])

    def test_a_change_of_the_filter_is_told_once_until_it_is_asked_for(self):
        self.serve()
        guest = self.guest()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self.qmp))
            lines = client.makefile('r', encoding='utf-8')
            lines.readline()
            client.sendall(b'{"execute": "qmp_capabilities"}')
            lines.readline()
            self.rx_filter()
            for turn in range(2):
                guest.command(RX, 0, b'\0')
                guest.command(RX, 0, b'\1')
                event = json.loads(lines.readline())
                self.assertEqual(event['event'], 'NIC_RX_FILTER_CHANGED', turn)
                self.assertEqual(event['data'], {'name': 'net0', 'path': '/net0'})
                client.sendall(b'{"execute": "query-rx-filter"}')
                self.assertIn('return', json.loads(lines.readline()), turn)
            lines.close()

    def test_a_link_goes_down_and_up_and_the_guest_is_told(self):
        self.serve()
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        front_end = self.connect(self.socket)
        self.assertTrue(front_end.give_channel(theirs.fileno()))
        theirs.close()
        ours.settimeout(PATIENCE_S)
        for is_up in (False, True):
            self.assertEqual(self.tell('set_link', name='net0', up=is_up), {'return': {}})
            self.assertEqual(struct.unpack('<III', ours.recv(12))[0], front_end.CONFIG_CHANGE_MSG)
            front_end.send(Guest.GET_CONFIG, struct.pack('<III', 6, 2, 0) + bytes(2))
            self.assertEqual(front_end.socket.recv(26)[24] & 1, is_up)
        # Nothing changes, and nothing is told.
        self.tell('set_link', name='net0', up=True)
        ours.settimeout(0.2)
        self.assertRaises(TimeoutError, ours.recv, 12)

    def test_devices_that_are_not_there_are_not_found(self):
        self.serve()
        answer = self.tell('set_link', name='net7', up=True)
        self.assertEqual(answer['error']['class'], 'DeviceNotFound')
        self.assertIn("'net7'", answer['error']['desc'])
        self.assertIn("'net7'", self.tell('query-rx-filter', name='net7')['error']['desc'])
        self.assertIn('error', self.tell('set_link', name='net0'))

    def test_announcements_are_asked_for_as_often_as_was_said(self):
        self.serve()
        guest = self.guest(features=CTRL_VQ | STATUS | GUEST_ANNOUNCE | Guest.F_PROTOCOL)
        channel = guest.open_channel()
        self.addCleanup(channel.close)
        good = {'initial': 20, 'max': 30, 'rounds': 3, 'step': 20}
        for wrong in ({'rounds': 0}, {'initial': 0}, {'max': 100001}, {'step': -1},
                      {'interfaces': [5]}):
            self.assertIn('error', self.tell('announce-self', **{**good, **wrong}))
        self.assertEqual(self.tell('announce-self', **good, interfaces=['other']), {'return': {}})
        self.assertEqual(self.tell('announce-self', **good, interfaces=['net0']), {'return': {}})
        for _ in range(3):
            self.assertEqual(struct.unpack('<III', channel.recv(12))[0], guest.CONFIG_CHANGE_MSG)
            self.assertEqual(guest.command(ANNOUNCE, 0), 0)
        channel.settimeout(0.2)
        self.assertRaises(TimeoutError, channel.recv, 12)

    def test_a_switch_takes_its_feature_away(self):
        process, _ = self.serve('null,csum=off,mrg_rxbuf=off')
        front_end = self.connect(self.socket)
        front_end.send(front_end.GET_FEATURES)
        features = struct.unpack('<IIIQ', front_end.socket.recv(20))[3]
        # CSUM, HOST_TSO4, MRG_RXBUF are not there, GUEST_CSUM is.
        self.assertEqual(features & (1 << 0 | 1 << 11 | 1 << 15), 0)
        self.assertTrue(features & 1 << 1)
        process.terminate()
        self.assert_ends_well(process)

    def test_a_descriptor_that_was_passed_is_used(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(ours.close)
        _, line = self.start('--socket-path', self.socket, '--backend', f'stream,fd={theirs.fileno()}',
                             pass_fds=[theirs.fileno()])
        theirs.close()
        self.assertIn('stream socket', line)


if __name__ == '__main__':
    unittest.main(verbosity=2)
