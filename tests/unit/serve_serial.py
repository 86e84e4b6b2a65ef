#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a user sees of `paravane serve serial`: sentences, what it says of itself, and its control commands."""

import base64
import json
import os
import socket
import subprocess
import time
import unittest

from serve_case import IS_SANITIZED, PATIENCE_S, PROGRAM, Case


class Serial(Case):
    DEVICE = 'serial'

    def serve(self, *ports, more=(), **options):
        words = [word for port in ports for word in ('--port', port)]
        return self.start('--socket-path', self.socket, '--qmp', f'unix:{self.qmp}', *words, *more,
                          **options)

    def tell(self, name, /, **arguments):
        return self.ask({'execute': name, 'arguments': arguments})[0]

    def told(self, name, /, **arguments):
        answer = self.tell(name, **arguments)
        self.assertIn('return', answer)
        return answer['return']

    def refused(self, words, name, /, **arguments):
        answer = self.tell(name, **arguments)
        self.assertIn(words, answer.get('error', {}).get('desc', str(answer)))

    def files(self):
        return {entry['label']: entry['filename'] for entry in self.told('query-chardev')}

    def wait_for(self, words, label):
        """Until a port is called what it should be: connections are heard of a little later."""
        deadline = time.monotonic() + PATIENCE_S
        while self.files().get(label) != words:
            self.assertLess(time.monotonic(), deadline, self.files())
            time.sleep(0.01)

    def counters(self, path):
        (stats,) = [entry['stats'] for entry in self.told('query-stats')
                    if entry['qom-path'] == path]
        return {stat['name']: stat['value'] for stat in stats}

    # ---- how it ends ----

    def test_what_was_killed_can_be_started_again_at_once(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            port = taken.getsockname()[1]
        path = self.path / 'line'
        for signal in ('kill', 'terminate') * 4:
            server, _ = self.serve(f'name=a,tcp={port}', f'name=b,socket={path}')
            getattr(server, signal)()
            server.wait(PATIENCE_S)

    # ---- what it says ----

    def test_wishes_that_cannot_be_fulfilled_are_named(self):
        place = ('--socket-path', self.socket)
        self.assertIn('no port: give --port', self.refuse_serve(*place))
        self.assertIn('--socket-path', self.refuse_serve('--port', 'console,null'))
        for port, words in (
                ('null', "option '--port': a port has a use: say console, or name=NAME"),
                ('console', "option '--port': a port has a line: say pty,"),
                ('console,null,echo', "a port has one line, not 'null' and 'echo'"),
                ('console,nul', "unknown key 'nul'; did you mean 'null'?"),
                ('name=a b,null', "'name' takes up to 63 characters without blanks"),
                ('name=a/b,null', "'name' takes up to 63 characters without blanks"),
                (f'name={"x" * 64},null', "'name' takes up to 63 characters"),
                (os.fsdecode(b'name=a\xff,null'), "'name' takes UTF-8 without control characters"),
                (os.fsdecode(b'name=\xc0\xaf,null'), "'name' takes UTF-8 without control characters"),
                (os.fsdecode(b'name=\xe2\x82,null'), "'name' takes UTF-8 without control characters"),
                ('name=a\x85,null', "'name' takes UTF-8 without control characters"),
                ('console,id=a/b,null', "'id' takes letters, digits,"),
                ('console,null,columns=80', "'columns' and 'rows' go together"),
                ('console,null,resize-order=old', "'resize-order' takes spec or legacy"),
                ('console,null,on-closed=keep', "'on-closed' takes wait, drop or buffer=SIZE"),
                ('console,null,on-closed=buffer=1G', "'on-closed' takes wait, drop or buffer=SIZE"),
                ('console,tcp=x', "'tcp' takes a port or HOST:PORT, not 'x'"),
                ('console,tcp=:5', "'tcp' takes a port or HOST:PORT"),
                ('console,tcp=65536', "'tcp' takes a port or HOST:PORT"),
                ('console,ringbuf=x', "'ringbuf' takes a size up to 16M"),
                ('console,socket', "'socket' needs a value: socket=PATH"),
                ('console,null,server=off', "'server' goes with socket and tcp"),
                ('console,socket=x,reconnect-ms=5', "'reconnect-ms' goes with server=off"),
                ('console,null,append', "'append' goes with file"),
                ('console,fd=999', "'fd': descriptor 999 is not open"),
                ('console,socket=/nowhere/x', "option '--port': socket=/nowhere/x: "),
                ('console,file=/nowhere/x', "option '--port': file=/nowhere/x: "),
                ('console,pipe=/nowhere/x', "option '--port': pipe=/nowhere/x: ")):
            with self.subTest(port=port):
                self.assertIn(words, self.refuse_serve(*place, '--port', port))

    def test_ports_that_do_not_go_together_are_named(self):
        place = ('--socket-path', self.socket)
        for ports, words in (
                (('console,stdio', 'name=a,stdio'), 'there is one terminal, for one stdio'),
                (('name=a,null', 'name=a,id=b,null'), "another port has the name 'a' already"),
                (('name=a,null', 'console,id=a,null'), "another port is called 'a' already"),
                (('name=a,null', 'name=b,null', 'name=c,null'), 'there are 3 ports, and room for 2')):
            with self.subTest(ports=ports):
                words_of = [word for port in ports for word in ('--port', port)]
                self.assertIn(words, self.refuse_serve(*place, '--ports-max', 2, *words_of))
        self.assertIn("'queue-size' takes a power of two",
                      self.refuse_serve(*place, '--queue-size', 100, '--port', 'console,null'))
        self.assertIn('leave the others out', self.refuse_serve(
            *place, '--no-multiport', '--port', 'console,null', '--port', 'name=a,null'))

    def test_a_link_to_a_terminal_belongs_to_one_port(self):
        link = self.path / 'tty'
        words = f"pty={link}: it is the link of port 'a' already; choose another path"
        self.assertIn(words, self.refuse_serve('--socket-path', self.socket, '--port', f'name=a,pty={link}',
                                               '--port', f'name=b,pty={link}'))
        process, _ = self.serve(f'name=a,pty={link}', more=('--hot-plug',))
        target = os.readlink(link)
        for path in (str(link), f'{self.path}/./tty'):
            self.refused("it is the link of port 'a' already", 'chardev-add', id='b',
                         backend={'type': 'pty', 'data': {'path': path}})
        self.assertEqual(os.readlink(link), target)
        # Left behind by a program that died: it may lead to what is another port's terminal now.
        left = self.path / 'left'
        left.symlink_to(target)
        self.told('chardev-add', id='b', backend={'type': 'pty', 'data': {'path': str(left)}})
        self.assertEqual(self.files()['b'], f'pty:{os.readlink(left)}')
        self.assertNotEqual(os.readlink(left), target)
        self.told('chardev-remove', id='a')
        self.told('chardev-add', id='a', backend={'type': 'pty', 'data': {'path': str(link)}})
        process.terminate()
        self.assert_ends_well(process)

    def test_it_says_what_it_can_do(self):
        done = subprocess.run([PROGRAM, 'serve', 'serial', '--print-capabilities'], check=True,
                              capture_output=True, text=True)
        self.assertEqual(json.loads(done.stdout), {'type': 'console'})

    def test_what_is_served_is_said_and_gone_in_the_end(self):
        process, line = self.serve(f'console,pty={self.path / "tty"}',
                                   f'name=a,socket={self.path / "a"}', 'name=b,null')
        self.assertRegex(line, r'serial0: serving console0 \(pty:/dev/pts/\d+\), '
                               r'a \(unix:.*/a,server=on\), b \(null\) on ')
        self.assertTrue(os.readlink(self.path / 'tty').startswith('/dev/pts/'))
        process.terminate()
        self.assert_ends_well(process)

    def test_127_ports_are_as_many_as_queues_have_numbers_for(self):
        self.serve(*[f'name=p{number},null' for number in range(127)], more=('--ports-max', 127))
        self.assertEqual(len(self.files()), 127)
        self.refused('there is room for 127 ports', 'chardev-add', id='more',
                     backend={'type': 'null'})
        front_end = self.connect(self.socket)
        front_end.send(front_end.SET_FEATURES, (1 << 32 | 1 << 30).to_bytes(8, 'little'))
        front_end.send(17)
        self.assertEqual(int.from_bytes(front_end.socket.recv(20)[12:], 'little'), 256)

    # ---- control commands ----

    def test_ports_are_told_as_qemu_tells_them(self):
        self.serve(f'console,socket={self.path / "a"}', 'name=org.some.0,null',
                   'console,id=third,echo')
        self.assertEqual(self.told('query-chardev'), [
            {'label': 'console0', 'filename': f'disconnected:unix:{self.path}/a,server=on',
             'frontend-open': False},
            {'label': 'org.some.0', 'filename': 'null', 'frontend-open': False},
            {'label': 'third', 'filename': 'echo', 'frontend-open': False}])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.path / 'a'))
            self.wait_for(f'unix:{self.path}/a,server=on', 'console0')
        self.wait_for(f'disconnected:unix:{self.path}/a,server=on', 'console0')
        self.assertEqual(self.counters('/serial0/port0')['connections'], 1)

    def test_a_name_of_other_letters_is_told_as_it_is(self):
        self.serve('name=häfen,null', 'name=a,null')
        self.assertEqual(self.files(), {'häfen': 'null', 'a': 'null'})
        self.assertEqual(self.told('chardev-remove', id='häfen'), {})

    def test_what_is_no_utf8_is_told_as_what_can_be_told(self):
        path = self.path / os.fsdecode(b'a\xffb')
        self.serve(f'name=a,socket={path}', 'name=b,null', errors='replace')
        self.assertEqual(self.files()['a'], f'disconnected:unix:{self.path}/a\ufffdb,server=on')
        # Sentences have at most 64 bytes of it: half a character, in the end.
        self.refused("not 'a" + 31 * 'é' + '\ufffd', 'chardev-add', id='c', name='a' + 60 * 'é',
                     backend={'type': 'null'})

    def test_a_port_comes_and_goes_and_its_number_is_free_again(self):
        self.serve('name=a,null', more=('--ports-max', 2))
        for _ in range(3):
            self.assertEqual(self.told('chardev-add', id='b', backend={'type': 'echo', 'data': {}}), {})
            self.refused("'b' already", 'chardev-add', id='b', backend={'type': 'null'})
            self.assertEqual(self.files(), {'a': 'null', 'b': 'echo'})
            self.assertEqual(self.told('chardev-remove', id='b'), {})
            self.assertEqual(self.files(), {'a': 'null'})
        self.assertEqual(self.told('chardev-remove', id='a'), {})
        self.refused("there is no port 'a'", 'chardev-remove', id='a')

    def test_what_opens_something_needs_leave(self):
        self.serve('name=a,null')
        address = {'type': 'unix', 'data': {'path': str(self.path / 'x')}}
        for backend in ({'type': 'pty'}, {'type': 'socket', 'data': {'addr': address}},
                        {'type': 'file', 'data': {'out': str(self.path / 'x')}}):
            self.refused('start the program with hot-plug', 'chardev-add', id='b', backend=backend)
        self.assertFalse((self.path / 'x').exists())

    def test_every_kind_of_line_is_added_inside_the_sandbox(self):
        process, _ = self.serve(more=('--hot-plug',))
        status = (self.path / f'/proc/{process.pid}/status').read_text(encoding='utf-8')
        if not IS_SANITIZED:
            self.assertRegex(status, r'(?m)^Seccomp:\t2$')
        os.mkfifo(self.path / 'pipe')
        listening = str(self.path / 'x')
        unix = {'type': 'unix', 'data': {'path': listening}}
        pty = self.told('chardev-add', id='pty', backend={'type': 'pty',
                                                          'data': {'path': str(self.path / 'tty')}})
        self.assertEqual(os.readlink(self.path / 'tty'), pty['pty'])
        for name, backend in (
                ('server', {'type': 'socket', 'data': {'addr': unix}}),
                ('client', {'type': 'socket', 'data': {'addr': unix, 'server': False,
                                                       'reconnect-ms': 20}}),
                ('file', {'type': 'file', 'data': {'out': str(self.path / 'out'), 'append': True}}),
                ('pipe', {'type': 'pipe', 'data': {'device': str(self.path / 'pipe')}}),
                ('ring', {'type': 'ringbuf', 'data': {'size': 4096}}),
                ('null', {'type': 'null'}), ('echo', {'type': 'echo'})):
            with self.subTest(name=name):
                self.assertEqual(self.told('chardev-add', id=name, backend=backend), {})
        self.wait_for(f'unix:{listening},server=on', 'server')
        for name in list(self.files()):
            self.assertEqual(self.told('chardev-remove', id=name), {})
        self.assertFalse((self.path / 'tty').is_symlink())
        self.assertFalse((self.path / 'x').exists())

    def test_objects_that_make_no_sense_are_refused(self):
        self.serve('name=a,null', more=('--hot-plug',))
        for backend, words in (
                ({}, "member 'type' is missing"),
                ({'type': 'nul'}, "is pty, socket, file,"),
                ({'type': 5}, "member 'type' must be of the type string"),
                ({'type': 'null', 'more': 1}, "member 'more' is not known here"),
                ({'type': 'null', 'data': {'x': 1}}, "member 'x' is not known here"),
                ({'type': 'null', 'data': []}, "member 'data' must be of the type object"),
                ({'type': 'socket'}, "member 'addr' is missing"),
                ({'type': 'socket', 'data': {'addr': {'type': 'vsock'}}}, 'is unix, inet or fd'),
                ({'type': 'socket', 'data': {'addr': {'type': 'inet', 'data': {'port': 'x'}}}},
                 "member 'port' must be a number"),
                ({'type': 'socket', 'data': {'addr': {'type': 'unix', 'data': {'path': 'x'}},
                                             'wait': True}}, "leave 'wait' out"),
                ({'type': 'ringbuf', 'data': {'size': -5}}, "'ringbuf' takes a size")):
            with self.subTest(backend=backend):
                self.refused(words, 'chardev-add', id='b', backend=backend)
        unix = {'addr': {'type': 'unix', 'data': {'path': str(self.path / 'x')}}, 'server': False}
        for times, words in (
                ({'reconnect': 4294968}, "member 'reconnect' must be from 0 to 3600"),
                ({'reconnect': -1}, "member 'reconnect' must be from 0 to 3600"),
                ({'reconnect-ms': 3600001}, "member 'reconnect-ms' must be from 0 to 3600000"),
                ({'reconnect': 1, 'reconnect-ms': 1}, "'reconnect' and 'reconnect-ms' say the same")):
            with self.subTest(times=times):
                self.refused(words, 'chardev-add', id='b', backend={'type': 'socket', 'data': {**unix, **times}})
        for size, words in (
                ({'columns': 70000, 'rows': 1}, "member 'columns' must be from 1 to 65535"),
                ({'columns': 0, 'rows': 1}, "member 'columns' must be from 1 to 65535"),
                ({'columns': 2**63 - 1, 'rows': 1}, "member 'columns' must be from 1 to 65535"),
                ({'columns': 1, 'rows': -1}, "member 'rows' must be from 1 to 65535")):
            with self.subTest(size=size):
                self.refused(words, 'chardev-add', id='b', backend={'type': 'null'}, **size)
        self.refused("'id' takes letters", 'chardev-add', id='a/b', name='x', backend={'type': 'null'})
        self.refused("'resize-order' takes", 'chardev-add', id='b', backend={'type': 'null'},
                     **{'resize-order': 'old'})
        self.assertEqual(self.files(), {'a': 'null'})

    def test_what_might_make_all_others_wait_is_refused(self):
        self.serve('name=a,null', more=('--hot-plug',))
        listener = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(listener.close)
        port = str(listener.getsockname()[1])

        def backend(host=None, **more):
            data = {'port': port} if host is None else {'port': port, 'host': host}
            return {'type': 'socket', 'data': {'addr': {'type': 'inet', 'data': data}, **more}}

        for host in (None, '127.0.0.1', 'localhost'):
            self.refused("give 'reconnect' too: nobody is waited for while the program runs", 'chardev-add', id='b',
                         backend=backend(host, server=False))
        for host in ('some.host.invalid', '', '127.0.0.1x'):
            for more in ({'server': False, 'reconnect': 1}, {'server': True}):
                self.refused(f"member 'host' must be an address or localhost, not '{host}'", 'chardev-add', id='b',
                             backend=backend(host, **more))
        self.assertEqual(self.files(), {'a': 'null'})
        for host in ('127.0.0.1', 'localhost'):
            self.told('chardev-add', id='b', backend=backend(host, server=False, **{'reconnect-ms': 20}))
            self.wait_for(f'tcp:127.0.0.1:{port}', 'b')
            self.told('chardev-remove', id='b')

    def test_a_ring_buffer_is_read_and_written(self):
        self.serve('name=r,ringbuf=8', 'name=n,null')
        self.assertEqual(self.told('ringbuf-read', device='r', size=10), '')
        self.assertEqual(self.told('ringbuf-write', device='r', data='four'), {})
        self.assertEqual(self.told('ringbuf-write', device='r', format='base64',
                                   data=base64.b64encode(b'\0\xff').decode()), {})
        self.refused('had room for 2 bytes of 9', 'ringbuf-write', device='r', data='much more')
        self.refused('must be base64', 'ringbuf-write', device='r', data='abc', format='base64')
        self.refused("'format' must be", 'ringbuf-read', device='r', size=1, format='hex')
        self.refused("'size' must be", 'ringbuf-read', device='r', size=0)
        self.refused("has no ringbuf, but null", 'ringbuf-read', device='n', size=1)
        self.refused("there is no port 'x'", 'ringbuf-write', device='x', data='')

    def test_a_window_gets_a_size(self):
        self.serve('console,null')
        self.assertEqual(self.told('chardev-window-size-changed', id='console0', cols=120, rows=40), {})
        self.refused('must be from 0 to 65535', 'chardev-window-size-changed', id='console0',
                     cols=65536, rows=1)
        front_end = self.connect(self.socket)
        front_end.start_queue(features=front_end.F_PROTOCOL | 1)
        front_end.send(front_end.SET_PROTOCOL_FEATURES, front_end.CONFIG.to_bytes(8, 'little'))
        front_end.send(18, bytes([0, 0, 0, 0, 1, 0, 0, 0]))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            front_end.send(24, bytes([0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]) + bytes(4))
            size = front_end.socket.recv(28)[24:]
            if size == bytes([120, 0, 40, 0]) or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        self.assertEqual(size, bytes([120, 0, 40, 0]))

    def test_a_descriptor_that_was_passed_is_used(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(ours.close)
        self.serve(f'name=a,fd={theirs.fileno()}', pass_fds=[theirs.fileno()])
        theirs.close()
        self.assertNotIn('disconnected', self.files()['a'])

    def test_the_escape_key_ends_it_and_the_terminal_is_as_before(self):
        import pty  # pylint: disable=import-outside-toplevel
        import termios  # pylint: disable=import-outside-toplevel
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        before = termios.tcgetattr(theirs)
        process, _ = self.serve('console,stdio', stdin=theirs, stdout=theirs)
        self.assertNotEqual(termios.tcgetattr(theirs)[3] & termios.ICANON,
                            before[3] & termios.ICANON)
        os.write(ours, b'\x01x')
        self.assert_ends_well(process)
        self.assertEqual(termios.tcgetattr(theirs), before)
        os.close(theirs)


if __name__ == '__main__':
    unittest.main(verbosity=2)
