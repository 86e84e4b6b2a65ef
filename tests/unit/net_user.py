#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The user-mode network, as a guest sees it: frames made by scapy on one side, the host's sockets on
the other, and what was traced of it read by tcpdump and tshark.

net_user.py WIRE_BRIDGE
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

# The distribution's Python has the distribution's modules; another one may come first in the path.
SYSTEM_PYTHON = '/usr/bin/python3'
try:
    from scapy.all import (ARP, BOOTP, DHCP, ICMP, IP, TCP, TFTP, UDP, Ether, ICMPv6EchoRequest,
                           ICMPv6ND_NS, IPv6, TFTP_RRQ)
except ImportError:
    if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON) and \
            os.path.exists(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
    print('skipped: scapy (package python3-scapy)')
    sys.exit(77)

bridge_program = sys.argv.pop(1)
MAC = '52:54:00:12:34:56'
HOST_MAC = '52:55:0a:00:02:02'
GUEST, HOST, DNS = '10.0.2.15', '10.0.2.2', '10.0.2.3'


class Bridge:
    """A wire, and the guest's end of it."""

    def __init__(self, *words):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.process = subprocess.Popen(
            [bridge_program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, close_fds=False,
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        theirs.close()
        self.text = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
        self.process.wait(10)
        self.error = self.process.stderr.read().strip()
        for file in (self.socket, self.process.stdin, self.process.stdout, self.process.stderr):
            file.close()

    def send(self, packet, to=HOST_MAC):
        self.socket.send(bytes(Ether(src=MAC, dst=to) / packet))

    def wait_for(self, is_wanted):
        """The next frame of this kind. ARP requests are answered meanwhile, as a guest does."""
        while True:
            frame = Ether(self.socket.recv(70000))
            if is_wanted(frame):
                return frame
            if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == GUEST:
                self.send(ARP(op=2, hwsrc=MAC, psrc=GUEST, hwdst=frame.src, pdst=frame[ARP].psrc))

    def meet(self):
        """ARP, without which nothing comes."""
        self.send(ARP(op=1, hwsrc=MAC, psrc=GUEST, pdst=HOST), to='ff:ff:ff:ff:ff:ff')
        return self.wait_for(lambda f: ARP in f and f[ARP].op == 2)

    def ping(self):
        self.send(IP(src=GUEST, dst=HOST) / ICMP(id=7, seq=1) / b'payload of the ping')
        return self.wait_for(lambda f: ICMP in f and f[ICMP].type == 0)


def dhcp(bridge, kind):
    bridge.send(IP(src='0.0.0.0', dst='255.255.255.255') / UDP(sport=68, dport=67) /
                BOOTP(chaddr=bytes.fromhex(MAC.replace(':', '')), xid=99) /
                DHCP(options=[('message-type', kind), 'end']), to='ff:ff:ff:ff:ff:ff')
    answer = bridge.wait_for(lambda f: BOOTP in f and f[BOOTP].op == 2)
    return answer[BOOTP].yiaddr, dict(o for o in answer[DHCP].options if isinstance(o, tuple))


class Guest:
    """One TCP connection of the guest's, which has no loss to deal with."""

    def __init__(self, bridge):
        self.bridge, self.sequence, self.next = bridge, 1000, 0

    def segment(self, flags, data=b''):
        self.bridge.send(IP(src=GUEST, dst=self.peer[0]) /
                         TCP(sport=self.port, dport=self.peer[1], flags=flags, seq=self.sequence,
                             ack=self.next, window=60000) / data)
        self.sequence += len(data) + ('S' in flags) + ('F' in flags)

    def wait(self, flag):
        frame = self.bridge.wait_for(lambda f: TCP in f and flag in str(f[TCP].flags))
        self.next = max(self.next, frame[TCP].seq + ('S' in str(frame[TCP].flags)))
        return frame

    def accept(self, port):
        frame = self.wait('S')
        self.port, self.peer = port, (frame[IP].src, frame[TCP].sport)
        assert frame[TCP].dport == port
        self.next = frame[TCP].seq + 1
        self.segment('SA')

    def connect(self, address, port):
        self.port, self.peer = 40000, (address, port)
        self.segment('S')
        self.wait('S')
        self.segment('A')

    def receive(self, count):
        data = b''
        while len(data) < count:
            frame = self.bridge.wait_for(lambda f: TCP in f)
            length = frame[IP].len - 4 * frame[IP].ihl - 4 * frame[TCP].dataofs
            if length and frame[TCP].seq == self.next:
                data += bytes(frame[TCP].payload)[:length]
                self.next += length
                self.segment('A')
        return data


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class TheUserNetwork(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(dir='.')
        self.addCleanup(shutil.rmtree, self.folder)

    def test_the_host_answers_arp_and_ping(self):
        with Bridge('user') as bridge:
            self.assertEqual(bridge.text, 'user-mode network 10.0.2.0/24')
            self.assertEqual(bridge.meet()[ARP].hwsrc, HOST_MAC)
            self.assertEqual(bytes(bridge.ping()[ICMP].payload)[:19], b'payload of the ping')

    def test_dhcp_tells_what_was_configured(self):
        with Bridge('user', 'hostname=ente', 'domain=example.org', 'bootfile=boot.img') as bridge:
            address, options = dhcp(bridge, 'discover')
            self.assertEqual(address, GUEST)
            self.assertEqual(options['name_server'], DNS)
            self.assertEqual(options['router'], HOST)
            self.assertEqual(options['hostname'], b'ente')
            self.assertEqual(options['domain'], b'example.org')

    def test_another_network_and_name_server_are_told_too(self):
        with Bridge('user', 'net=192.168.7.0/25', 'dns=192.168.7.9') as bridge:
            self.assertEqual(bridge.text, 'user-mode network 192.168.7.0/25')
            address, options = dhcp(bridge, 'discover')
            self.assertEqual(address, '192.168.7.15')
            self.assertEqual(options['name_server'], '192.168.7.9')
            self.assertEqual(options['subnet_mask'], '255.255.255.128')

    def test_the_host_answers_over_ipv6(self):
        with Bridge('user') as bridge:
            bridge.send(IPv6(src='fec0::15', dst='ff02::1:ff00:2') / ICMPv6ND_NS(tgt='fec0::2'),
                        to='33:33:ff:00:00:02')
            answer = bridge.wait_for(lambda f: IPv6 in f and f[IPv6].src == 'fec0::2')
            self.assertEqual(answer[IPv6].payload.type, 136)
            bridge.send(IPv6(src='fec0::15', dst='fec0::2') / ICMPv6EchoRequest(data=b'six'),
                        to=answer.src)
            while bridge.wait_for(lambda f: IPv6 in f)[IPv6].payload.type != 129:
                pass

    def test_a_connection_from_the_host_and_what_is_said_on_it(self):
        port = free_port()
        with Bridge('user', f'hostfwd=tcp:127.0.0.1:{port}-:80') as bridge:
            bridge.meet()
            with socket.create_connection(('127.0.0.1', port), 10) as host:
                guest = Guest(bridge)
                guest.accept(80)
                host.sendall(b'from the host')
                self.assertEqual(guest.receive(13), b'from the host')
                guest.segment('PA', b'from the guest')
                self.assertEqual(host.recv(100), b'from the guest')
                guest.segment('FA')
                self.assertEqual(host.recv(100), b'')

    def test_a_connection_to_the_host_carries_much(self):
        much = os.urandom(300000)
        with Bridge('user') as bridge, socket.create_server(('127.0.0.1', 0)) as server:
            bridge.meet()
            guest = Guest(bridge)
            guest.connect(HOST, server.getsockname()[1])
            host, _ = server.accept()
            with host:
                host.settimeout(10)
                host.setblocking(False)
                sent = 0
                got = b''
                while len(got) < len(much):
                    try:
                        sent += host.send(much[sent:sent + 65536])
                    except BlockingIOError:
                        pass
                    got += guest.receive(1)
                self.assertEqual(got, much)

    def test_datagrams_to_a_port_of_the_hosts(self):
        port = free_port(socket.SOCK_DGRAM)
        with Bridge('user', f'hostfwd=udp:127.0.0.1:{port}-{GUEST}:53') as bridge:
            bridge.meet()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
                host.settimeout(10)
                host.sendto(b'question', ('127.0.0.1', port))
                frame = bridge.wait_for(lambda f: UDP in f and f[UDP].dport == 53)
                self.assertEqual(bytes(frame[UDP].payload)[:8], b'question')
                bridge.send(IP(src=GUEST, dst=frame[IP].src) /
                            UDP(sport=53, dport=frame[UDP].sport) / b'answer')
                self.assertEqual(host.recv(100), b'answer')

    def test_files_are_read_by_tftp(self):
        with open(os.path.join(self.folder, 'boot.img'), 'wb') as file:
            file.write(b'the image')
        with Bridge('user', 'tftp=' + os.path.abspath(self.folder)) as bridge:
            bridge.meet()
            bridge.send(IP(src=GUEST, dst=HOST) / UDP(sport=2000, dport=69) / TFTP() /
                        TFTP_RRQ(filename=b'boot.img', mode=b'octet'))
            frame = bridge.wait_for(lambda f: UDP in f and f[UDP].dport == 2000)
            self.assertEqual(bytes(frame[UDP].payload)[:13], b'\0\3\0\1the image')

    def test_a_restricted_guest_reaches_nobody(self):
        with Bridge('user', 'restrict') as bridge, \
                socket.create_server(('127.0.0.1', 0)) as server:
            bridge.meet()
            guest = Guest(bridge)
            guest.port, guest.peer = 40000, (HOST, server.getsockname()[1])
            guest.segment('S')
            bridge.ping()
            server.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                server.accept()

    def refused(self, *words):
        bridge = Bridge('user', *words)
        bridge.close()
        self.assertEqual(bridge.process.returncode, 1)
        return bridge.error

    def test_what_makes_no_sense_is_refused_with_a_sentence(self):
        self.assertEqual(self.refused('net=10.0.2.0/30'), 'net=10.0.2.0/30: is no IPv4 network such '
                         'as 10.0.2.0/24, of 8 to 27 bits')
        self.assertIn('net=ten', self.refused('net=ten'))
        self.assertIn('ip6net=fec0::/48: is no IPv6 prefix', self.refused('net6=fec0::/48'))
        self.assertEqual(self.refused('dns=example.org'), 'dns=example.org: is no IPv4 address')
        self.assertIn('one of the two', self.refused('no-ipv4', 'no-ipv6'))
        self.assertIn('mtu=60', self.refused('mtu=60'))
        for wrong in ('tcp:1', 'sctp::1-:2', 'tcp:x:1-:2', 'tcp::70000-:2', 'tcp::1-:', 'tcp::1:2'):
            self.assertEqual(self.refused('hostfwd=' + wrong),
                             f'hostfwd={wrong}: is not of the form '
                             'tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT')
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            self.assertEqual(self.refused(f'hostfwd=tcp:127.0.0.1:{port}-:80'),
                             f"hostfwd=tcp:127.0.0.1:{port}-:80: the host's port cannot be had: "
                             'Address already in use')


class TheStream(unittest.TestCase):
    """Against those who speak it too."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir='.')
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.abspath(os.path.join(self.folder, 'stream'))

    def start(self, *command):
        if not shutil.which(command[0]):
            self.skipTest(command[0])
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)

    def arp_until_answered(self, bridge, address):
        """The peer may not be there yet."""
        bridge.socket.settimeout(0.2)
        for _ in range(50):
            bridge.send(ARP(op=1, hwsrc=MAC, psrc=GUEST, pdst=address), to='ff:ff:ff:ff:ff:ff')
            try:
                return bridge.wait_for(lambda f: ARP in f and f[ARP].op == 2)
            except TimeoutError:
                pass
        self.fail('no answer')

    def test_qemu_is_at_the_other_end(self):
        self.start('qemu-system-x86_64', '-M', 'none', '-nodefaults', '-display', 'none',
                   '-netdev', f'stream,id=s,server=on,addr.type=unix,addr.path={self.path}',
                   '-netdev', 'user,id=u', '-netdev', 'hubport,id=h0,hubid=0,netdev=s',
                   '-netdev', 'hubport,id=h1,hubid=0,netdev=u')
        with Bridge('stream', 'path=' + self.path, 'reconnect=50') as bridge:
            self.assertEqual(self.arp_until_answered(bridge, HOST).src, HOST_MAC)
            self.assertEqual(bytes(bridge.ping()[ICMP].payload)[:19], b'payload of the ping')

    def test_qemu_connects_to_us(self):
        with Bridge('stream', 'path=' + self.path, 'server') as bridge:
            self.start('qemu-system-x86_64', '-M', 'none', '-nodefaults', '-display', 'none',
                       '-netdev', f'stream,id=s,addr.type=unix,addr.path={self.path}',
                       '-netdev', 'user,id=u', '-netdev', 'hubport,id=h0,hubid=0,netdev=s',
                       '-netdev', 'hubport,id=h1,hubid=0,netdev=u')
            self.assertEqual(self.arp_until_answered(bridge, HOST).src, HOST_MAC)

    def test_passt_is_at_the_other_end(self):
        # Started by root it goes on as nobody.
        os.chmod(self.folder, 0o777)
        self.start('passt', '--foreground', '--quiet', '--socket', self.path, '--address', GUEST,
                   '--gateway', HOST, '--netmask', '24')
        with Bridge('stream', 'path=' + self.path, 'reconnect=50') as bridge:
            self.arp_until_answered(bridge, HOST)


class TheTrace(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(dir='.')
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, 'trace.pcap')

    def lines(self, *command):
        if not shutil.which(command[0]):
            self.skipTest(f'{command[0]} (package {command[0]})')
        done = subprocess.run([*command, self.path], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn('truncated', done.stderr)
        self.assertNotIn('cut short', done.stderr)
        return done.stdout.splitlines()

    def ping_twice(self, bridge):
        bridge.meet()
        bridge.ping()
        bridge.ping()

    def test_tcpdump_reads_both_directions(self):
        with Bridge('user', 'pcap=' + self.path) as bridge:
            self.ping_twice(bridge)
        text = '\n'.join(self.lines('tcpdump', '-nn', '-r'))
        self.assertEqual(text.count('10.0.2.15 > 10.0.2.2: ICMP echo request'), 2, text)
        self.assertEqual(text.count('10.0.2.2 > 10.0.2.15: ICMP echo reply'), 2, text)

    def test_tshark_reads_both_directions(self):
        with Bridge('user', 'pcap=' + self.path) as bridge:
            self.ping_twice(bridge)
        lines = self.lines('tshark', '-n', '-r')
        self.assertEqual(sum('Echo (ping) request' in line for line in lines), 2, lines)
        self.assertEqual(sum('Echo (ping) reply' in line for line in lines), 2, lines)

    def test_what_was_written_before_a_kill_is_whole(self):
        bridge = Bridge('echo', 'pcap=' + self.path)
        for count in range(10000):
            bridge.socket.send(b'\2' * (14 + count % 1400))
            bridge.socket.recv(70000)
        bridge.process.send_signal(signal.SIGKILL)
        bridge.close()
        self.assertGreater(len(self.lines('tcpdump', '-nn', '-r')), 15000)

    def test_a_path_that_is_no_file_is_refused(self):
        bridge = Bridge('echo', 'pcap=/dev/null')
        bridge.close()
        self.assertEqual(bridge.error, 'pcap=/dev/null: is no file; choose another path')


if __name__ == '__main__':
    unittest.main()
