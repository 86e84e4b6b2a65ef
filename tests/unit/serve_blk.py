#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a user sees of `paravane serve blk`: sentences, sockets, how it ends, what it gives up."""

import json
import os
import pathlib
import re
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
import unittest

from serve_case import IS_SANITIZED, PATIENCE_S, PROGRAM, Case


class Sentences(Case):
    def test_commands_that_are_none_get_their_nearest(self):
        self.assertEqual(self.refuse(), 'paravane: no command given; --help lists what there is')
        self.assertEqual(self.refuse('srve', 'blk'),
                         "paravane: unknown command 'srve blk'; did you mean 'serve blk'?")
        self.assertEqual(self.refuse(''), "paravane: unknown command ''; --help lists what there is")
        self.assertEqual(self.refuse('serve', 'blkk'),
                         "paravane: unknown command 'serve blkk'; did you mean 'serve blk'?")
        self.assertEqual(self.refuse('--verison'),
                         "paravane: unknown option '--verison'; did you mean '--version'?")
        self.assertEqual(self.refuse_serve('--blk-fil', 'x'),
                         "unknown option '--blk-fil'; did you mean '--blk-file'?")

    def test_half_a_command_names_its_other_halves(self):
        devices = {'serve': ['balloon', 'blk', 'net', 'rng', 'serial'],
                   'bench': ['blk', 'net', 'serial']}
        for word, halves in devices.items():
            sentence = f"paravane: '{word}' is followed by a device: {', '.join(halves[:-1])} or {halves[-1]}"
            self.assertEqual(self.refuse(word), sentence)
            self.assertEqual(self.refuse(word, '--qmp', 'x'), sentence)
            for option in ('--help', '-h'):
                done = subprocess.run([PROGRAM, word, option], check=True, capture_output=True, text=True)
                self.assertEqual(done.stderr, '')
                every = subprocess.run([PROGRAM, '--help'], check=True, capture_output=True, text=True).stdout
                self.assertEqual([line for line in done.stdout.splitlines() if line.startswith('  ')],
                                 [line for line in every.splitlines() if line.startswith(f'  {word} ')])
                self.assertEqual(re.findall(f'^  {word} ([a-z]+) ', done.stdout, re.MULTILINE), halves)

    def test_what_is_missing_or_too_much_is_named(self):
        disk = ('--blk-file', self.disk)
        place = ('--socket-path', self.socket)
        self.assertIn('--socket-path', self.refuse_serve(*disk))
        self.assertIn('--blk-file', self.refuse_serve(*place))
        self.assertIn('more than one disk', self.refuse_serve(*place, *disk, '--null', '1M'))
        self.assertIn('two sockets', self.refuse_serve(*place, *disk, '--fd', '0'))
        self.assertIn("'--direct'", self.refuse_serve(*place, '--null', '1M', '--direct'))
        self.assertIn("'--serial'", self.refuse_serve(*place, *disk, '--serial', 'x' * 21))
        self.assertIn("'--logical-block-size'",
                      self.refuse_serve(*place, *disk, '--logical-block-size', '1000'))
        self.assertIn("'--fd'", self.refuse_serve(*disk, '--fd', '0', stdin=subprocess.DEVNULL))
        self.assertIn("'--fd'", self.refuse_serve(*disk, '--fd', '77'))
        self.assertIn("'--qmp'", self.refuse_serve(*place, *disk, '--qmp', 'tcp:localhost:1'))
        self.assertIn("'--qmp'",
                      self.refuse_serve(*place, *disk, '--qmp', f'unix:{self.qmp},wait=on'))

    def test_a_disk_that_stops_must_have_somebody_to_go_on(self):
        where = ('--socket-path', self.socket, '--blk-file', self.disk)
        for option, word in (('rerror', 'stop'), ('werror', 'stop'), ('werror', 'enospc')):
            self.assertEqual(self.refuse_serve(*where, f'--{option}', word),
                             f"option '--{option} {word}' needs --qmp, whose command cont goes on")

    def test_a_file_that_will_not_do_is_named(self):
        place = ('--socket-path', self.socket)
        self.assertIn('--blk-file', self.refuse_serve(*place, '--blk-file', self.path / 'none'))
        self.assertIn('--blk-file', self.refuse_serve(*place, '--blk-file', self.path))
        self.disk.write_bytes(bytes(1000))
        self.assertIn('--blk-file', self.refuse_serve(*place, '--blk-file', self.disk))
        self.disk.write_bytes(b'')
        self.assertIn('--blk-file', self.refuse_serve(*place, '--blk-file', self.disk))

    def test_a_socket_that_cannot_be_made_is_named_and_nothing_is_left(self):
        disk = ('--blk-file', self.disk)
        self.assertIn("'--socket-path'", self.refuse_serve(*disk, '--socket-path', self.disk))
        self.assertIn("'--socket-path'",
                      self.refuse_serve(*disk, '--socket-path', self.path / 'no' / 's'))
        self.assertIn("'--socket-path'",
                      self.refuse_serve(*disk, '--socket-path', self.path / ('x' * 120)))
        self.assertIn("'--qmp'", self.refuse_serve(*disk, '--socket-path', self.socket, '--qmp',
                                                   f'unix:{self.path}/no/q'))
        self.assertIn("'--qmp'", self.refuse_serve(*disk, '--socket-path', self.socket, '--qmp',
                                                   f'unix:{self.socket}'))

    def test_help_version_and_capabilities_are_printed(self):
        def output_of(*words):
            return subprocess.run([PROGRAM, *words], check=True, capture_output=True,
                                  text=True).stdout
        self.assertIn('serve blk', output_of('--help'))
        self.assertRegex(output_of('--version'), r'^paravane \d+\.\d+\.\d+\n$')
        self.assertEqual(json.loads(output_of('serve', 'blk', '--print-capabilities')),
                         {'type': 'block', 'features': ['read-only', 'blk-file']})

    def test_a_link_that_is_named_after_a_device_serves_it(self):
        def run(name, *words):
            link = self.path / name
            link.symlink_to(PROGRAM)
            return subprocess.run([link, *map(str, words)], check=False, capture_output=True, text=True,
                                  timeout=PATIENCE_S)
        for device, kind in (('blk', 'block'), ('net', 'net')):
            done = run(f'paravane-{device}', '--print-capabilities')
            self.assertEqual((done.returncode, done.stderr), (0, ''))
            self.assertEqual(json.loads(done.stdout)['type'], kind)
            with tempfile.TemporaryFile() as file:
                done = subprocess.run([self.path / f'paravane-{device}', f'--fd={file.fileno()}'], check=False,
                                      capture_output=True, text=True, pass_fds=[file.fileno()])
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, f'^paravane serve {device}: ')
            self.assertNotIn('unknown', done.stderr)
        done = run('paravane-rng', f"--socket-path={self.path / 'no' / 's'}")
        self.assertRegex(done.stderr, "^paravane serve rng: .*'--socket-path'")
        # Other names are the program's own.
        for name in ('paravane-0.1.0', 'paravane-', 'paravane-serve', 'xparavane-blk'):
            self.assertRegex(run(name, '--version').stdout, r'^paravane \d')

    def test_what_cannot_be_printed_is_no_success(self):
        for words in (('--version',), ('serve', 'blk', '--print-capabilities')):
            with open('/dev/full', 'w', encoding='utf-8') as full:
                done = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE,
                                      text=True, check=False)
            self.assertEqual((done.returncode, done.stderr),
                             (1, 'paravane: cannot print: No space left on device\n'))


class Sockets(Case):
    def test_closed_standard_streams_do_not_give_their_numbers_to_anything_else(self):
        for closed in ((0,), (2,), (0, 1, 2)):
            process = subprocess.Popen(
                ['/bin/sh', '-c', 'exec "$@" ' + ' '.join(f'{fd}>&-' for fd in closed), 'sh',
                 PROGRAM, 'serve', 'blk', '--socket-path', str(self.socket), '--null', '1M'],
                stderr=subprocess.PIPE, text=True)
            self.addCleanup(self.reap, process)
            deadline = time.monotonic() + PATIENCE_S
            while not self.socket.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            try:
                for fd in closed:
                    self.assertEqual(os.readlink(f'/proc/{process.pid}/fd/{fd}'), '/dev/null')
            except PermissionError:
                self.skipTest('only root looks at the descriptors of what cannot be dumped')
            process.terminate()
            self.assert_ends_well(process)

    def test_sockets_are_private_and_go_with_the_program(self):
        for end in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process, line = self.start('--blk-file', self.disk, '--socket-path', self.socket,
                                       '--qmp', f'unix:{self.qmp},server=on,wait=off')
            self.assertEqual(line, f'paravane: blk0: serving {self.disk} (1 MiB) on '
                                   f'{self.socket}, QMP on {self.qmp}\n')
            for path in (self.socket, self.qmp):
                mode = path.lstat().st_mode
                self.assertTrue(stat.S_ISSOCK(mode))
                self.assertEqual(stat.S_IMODE(mode), 0o600)
            process.send_signal(end)
            self.assert_ends_well(process)

    def test_a_socket_in_use_is_refused_and_a_stale_one_replaced(self):
        words = ('--null', '1M', '--socket-path', self.socket, '--qmp', f'unix:{self.qmp}')
        process, _ = self.start(*words)
        self.assertIn("'--socket-path': another process listens", self.refuse_serve(*words))
        self.assertIn("'--qmp': another process listens",
                      self.refuse_serve('--null', '1M', '--socket-path', self.path / 'other',
                                        '--qmp', f'unix:{self.qmp}'))
        self.assertEqual(self.ask({'execute': 'cont'}), [{'return': {}}])
        process.kill()
        process.wait()
        self.assertTrue(self.socket.exists())
        process, _ = self.start(*words)
        self.assertEqual(self.ask({'execute': 'quit'}), [{'return': {}}])
        self.assert_ends_well(process)

    def test_a_path_that_is_somebody_elses_by_now_is_left_alone(self):
        process, _ = self.start('--null', '1M', '--socket-path', self.socket)
        self.socket.unlink()
        self.socket.write_text('mine')
        process.terminate()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        self.assertEqual(self.socket.read_text(), 'mine')

    def test_a_passed_socket_is_served(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process, line = self.start('--blk-file', self.disk, '--fd', theirs.fileno(),
                                       pass_fds=[theirs.fileno()])
            self.assertIn('on descriptor', line)
            theirs.close()
            ours.settimeout(PATIENCE_S)
            # GET_FEATURES: version 1, no payload; the answer has a payload of 8 bytes.
            ours.sendall(bytes([1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]))
            self.assertEqual(ours.recv(20)[:12], bytes([1, 0, 0, 0, 5, 0, 0, 0, 8, 0, 0, 0]))
            ours.close()
            self.assert_ends_well(process)

    def test_a_passed_listening_socket_is_listened_on(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
            listener.listen()
            process, _ = self.start('--blk-file', self.disk, '--fd', listener.fileno(),
                                    pass_fds=[listener.fileno()])
            for _ in range(2):
                with socket.socket(socket.AF_UNIX) as front_end:
                    front_end.settimeout(PATIENCE_S)
                    front_end.connect(str(self.socket))
                    front_end.sendall(bytes([1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]))
                    self.assertEqual(len(front_end.recv(20)), 20)
            process.terminate()
            self.assertEqual(process.wait(PATIENCE_S), 0)
            # Whoever made the path removes it.
            self.assertTrue(self.socket.exists())


class Pidfile(Case):
    def test_it_is_there_when_all_is_and_goes_with_the_program(self):
        file, disk = self.path / 'pid', ('--blk-file', self.disk)
        file.write_text('1234567 of one that crashed')
        process, _ = self.start(*disk, '--socket-path', self.socket, '--pidfile', file)
        self.assertEqual(file.read_text(), f'{process.pid}\n')
        self.assertIn(f"option '--pidfile': {file} is that of a program that runs",
                      self.refuse_serve('--null', '1M', '--socket-path', self.path / 's2',
                                        '--pidfile', file))
        self.assertEqual(file.read_text(), f'{process.pid}\n')
        process.terminate()
        self.assert_ends_well(process)

    def test_one_that_cannot_be_written_is_named(self):
        self.assertIn("'--pidfile'",
                      self.refuse_serve('--blk-file', self.disk, '--socket-path', self.socket,
                                        '--pidfile', self.path / 'no' / 'pid'))


class Control(Case):
    def serve(self, *words):
        process, _ = self.start('--socket-path', self.socket, '--qmp', f'unix:{self.qmp}', *words)
        return process

    def test_the_disk_is_described(self):
        self.serve('--blk-file', self.disk, '--read-only', '--write-cache', 'off')
        answer, = self.ask({'execute': 'query-block'})
        block, = answer['return']
        self.assertEqual(block['device'], 'blk0')
        self.assertTrue(block['inserted']['ro'])
        self.assertEqual(block['inserted']['file'], str(self.disk))
        self.assertEqual(block['inserted']['image']['virtual-size'], 1 << 20)
        self.assertEqual(block['inserted']['cache'],
                         {'writeback': False, 'direct': False, 'no-flush': False})

    def test_the_disk_is_resized_by_any_of_its_names(self):
        self.serve('--blk-file', self.disk)
        for size, name in ((2 << 20, {'device': 'blk0'}), (3 << 20, {'node-name': 'blk0'}),
                           (1 << 20, {})):
            answers = self.ask({'execute': 'block_resize', 'arguments': {'size': size, **name}},
                               {'execute': 'query-block'})
            self.assertEqual(answers[0], {'return': {}})
            self.assertEqual(answers[1]['return'][0]['inserted']['image']['virtual-size'], size)
            self.assertEqual(self.disk.stat().st_size, size)

    def test_a_size_that_cannot_be_is_refused(self):
        self.serve('--blk-file', self.disk)
        largest, scratch = (1 << 63) - 512, self.path / 'scratch'
        scratch.touch()
        try:
            os.truncate(scratch, largest)
            beyond = ()  # tmpfs has such files
        except OSError:
            beyond = ({'size': largest},)
        for arguments in ({'size': 0}, {'size': -512}, {'size': 1000}, {'size': '1M'}, {},
                          {'size': 1 << 20, 'device': 'vda'}, {'size': 1 << 63}, *beyond,
                          {'size': 1 << 20, 'device': 'blk0', 'node-name': 'blk0'}):
            answer, = self.ask({'execute': 'block_resize', 'arguments': arguments})
            self.assertEqual(answer['error']['class'], 'GenericError', arguments)
        self.assertEqual(self.disk.stat().st_size, 1 << 20)

    def test_a_disk_that_is_read_only_keeps_its_size(self):
        self.serve('--blk-file', self.disk, '--read-only')
        answer, = self.ask({'execute': 'block_resize', 'arguments': {'size': 2 << 20}})
        self.assertEqual(answer['error']['class'], 'GenericError')
        self.assertEqual(self.disk.stat().st_size, 1 << 20)

    def test_all_counters_are_told_and_can_be_selected(self):
        self.serve('--null', '1M', '--num-queues', '3', '--loops', '2')
        everything, other, some, nothing, wrong, unknown, untargeted = self.ask(
            {'execute': 'query-stats'},
            {'execute': 'query-stats', 'arguments': {'target': 'vcpu'}},
            {'execute': 'query-stats', 'arguments': {'target': 'vm', 'providers': [
                {'provider': 'paravane', 'names': ['requests', 'sleeps']}]}},
            {'execute': 'query-stats', 'arguments': {'target': 'vm', 'providers': [
                {'provider': 'kvm'}]}},
            {'execute': 'query-stats', 'arguments': {'providers': [1]}},
            {'execute': 'query-stats', 'arguments': {'target': 'host'}},
            {'execute': 'query-stats', 'arguments': {'target': 'vm', 'vcpus': ['/cpu0']}})
        paths = [entry['qom-path'] for entry in everything['return']]
        self.assertEqual(paths, ['/blk0/queue0', '/blk0/queue1', '/blk0/queue2', '/loop/control',
                                 '/loop/data0', '/loop/data1'])
        names = {stat['name'] for entry in everything['return'] for stat in entry['stats']}
        self.assertLessEqual({'requests', 'kicks', 'interrupts', 'reads', 'sleeps'}, names)
        self.assertEqual(other, {'return': []})
        names = {stat['name'] for entry in some['return'] for stat in entry['stats']}
        self.assertEqual(names, {'requests', 'sleeps'})
        self.assertEqual(nothing, {'return': []})
        self.assertIn('error', wrong)
        self.assertIn('error', unknown)
        self.assertIn('error', untargeted)

    def test_quit_says_why_to_all_and_ends(self):
        process = self.serve('--blk-file', self.disk)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self.qmp))
            client.sendall(b'{"execute":"qmp_capabilities"}{"execute":"quit"}')
            received = b''
            while data := client.recv(65536):
                received += data
        messages = [json.loads(line) for line in received.splitlines()]
        self.assertEqual(messages[1:3], [{'return': {}}, {'return': {}}])
        self.assertEqual(messages[3]['event'], 'SHUTDOWN')
        self.assertEqual(messages[3]['data'], {'guest': False, 'reason': 'host-qmp-quit'})
        self.assert_ends_well(process)


class Channel(Case):
    def test_a_change_is_told_when_a_channel_that_was_full_has_room(self):
        self.start('--blk-file', self.disk, '--socket-path', self.socket, '--qmp',
                   f'unix:{self.qmp}')
        front_end = self.connect(self.socket)
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        filled = 0
        with theirs:
            for chunk in (4096, 64, 8, 1):
                try:
                    while True:
                        filled += theirs.send(bytes(chunk), socket.MSG_DONTWAIT)
                except BlockingIOError:
                    pass
            self.assertTrue(front_end.give_channel(theirs.fileno()))
        resize = {'execute': 'block_resize', 'arguments': {'size': 2 << 20}}
        self.assertIn('return', self.ask(resize)[0])
        ours.settimeout(PATIENCE_S)
        while filled > 0:
            filled -= len(ours.recv(min(filled, 65536)))
        self.assertEqual(ours.recv(100), struct.pack('<III', front_end.CONFIG_CHANGE_MSG, 1, 0))


class Memory(Case):
    """A front-end that takes back memory it has shared."""

    def test_memory_that_shrinks_ends_the_connection_and_nothing_else(self):
        process, _ = self.start('--null', '1M', '--socket-path', self.socket)
        for _ in range(3):
            front_end = self.connect(self.socket)
            front_end.start_queue()
            front_end.shrink()
            front_end.kick()
            self.assertTrue(front_end.is_dropped())
            while 'shorter' not in (line := process.stderr.readline()):
                self.assertTrue(line)
        self.assertTrue(self.connect(self.socket).is_served())
        process.terminate()
        self.assert_ends_well(process)


@unittest.skipIf(IS_SANITIZED, 'a build with sanitizers does not enter the sandbox')
class Privileges(Case):
    def start_on_each_engine(self):
        """The threads are those of the two loops, and on epoll those that do the file I/O."""
        for engine, threads in (('auto', 2), ('epoll', 14)):
            with self.subTest(engine):
                process, _ = self.start('--null', '1M', '--socket-path', self.socket,
                                        '--engine', engine)
                tasks = list(pathlib.Path(f'/proc/{process.pid}/task').iterdir())
                self.assertGreaterEqual(len(tasks), threads)
                yield [lambda task=task: dict(line.split(':\t', 1) for line in
                                              (task / 'status').read_text().splitlines())
                       for task in tasks]
                process.terminate()
                self.assert_ends_well(process)

    def test_every_thread_is_inside_the_filter(self):
        for threads in self.start_on_each_engine():
            for status in threads:
                self.assertEqual(status()['NoNewPrivs'], '1')
                self.assertEqual(status()['Seccomp'], '2')

    def test_an_idle_server_uses_no_cpu(self):
        for threads in self.start_on_each_engine():
            def switches():
                return sum(int(status()['voluntary_ctxt_switches']) for status in threads)
            time.sleep(0.2)
            before = switches()
            time.sleep(0.5)
            self.assertEqual(switches(), before)


unittest.main(verbosity=2)
