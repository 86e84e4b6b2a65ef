#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`paravane balance`: whom it asks, what it tells them, and what its log says of it. It is tried with servers that say
what a test wants, and with balloons of our own."""

import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'support'))
# pylint: disable=wrong-import-position
from fake_qmp import FakeQmp
from balloon_case import STATS_QUEUE, STATS_VQ, Guest
from serve_case import PATIENCE_S, PROGRAM, Case
import serving

MIB = 1 << 20
# Whatever this host has: it is short with the one, and not with the other.
POOR = ('--reserve', '60T', '--pressure', '100')
RICH = ('--reserve', '0', '--pressure', '100')


class FakeBalloon(FakeQmp):
    """A machine of 1 GiB, whose balloon follows at once. `size` and `stats` are what it says."""

    def __init__(self, folder, name='vm', available=900, **stats):
        self.size = {'memory': 1024 * MIB, 'actual': 1024 * MIB, 'target': 1024 * MIB, 'id': name}
        self.stats = {'supported': True, 'interval': 5, 'updates': 7, 'age': 1,
                      'available-memory': available * MIB, 'swap-in': None, **stats}
        self.refusal = None
        super().__init__(folder, FakeBalloon.talk, name, has_many=True)

    def talk(self):
        self.be_greeted()
        while command := self.hear():
            self.send({**self.answer_to(command['execute'], command.get('arguments')),
                       'id': command['id']})

    def answer_to(self, name, arguments):
        if name == 'query-balloon':
            return {'return': self.size}
        if name == 'query-balloon-stats':
            return {'return': self.stats}
        if self.refusal:
            return {'error': {'class': 'GenericError', 'desc': self.refusal}}
        if name == 'balloon':
            self.size['actual'] = self.size['target'] = arguments['value']
        return {'return': {}}

    def told(self, name):
        return [command['arguments'] for command in self.commands if command['execute'] == name]


class Balance(Case):
    def balance(self, *words, status=0):
        run = subprocess.run([PROGRAM, 'balance', *map(str, words)], capture_output=True, text=True,
                             timeout=PATIENCE_S, check=False)
        self.assertEqual(run.returncode, status, run)
        self.assertEqual(run.stdout, '')
        return run.stderr

    def once(self, *words, status=0):
        """The lines of a log, without when they were written."""
        lines = self.balance(*words, '--once', status=status).splitlines()
        for line in lines:
            if not line.startswith('paravane balance: '):
                self.assertRegex(line, r'\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+: .')
        return [line[20:] for line in lines]

    def fake(self, *words, **more):
        server = FakeBalloon(self.path, *words, **more)
        self.addCleanup(server.close)
        return server

    def config(self, **what):
        path = self.path / 'config'
        path.write_text(json.dumps(what), encoding='utf-8')
        return path

    def follow(self, *words):
        """A running one, every tenth of a second."""
        process = subprocess.Popen([PROGRAM, 'balance', *map(str, words), '--interval', '0.1'],
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.reap, process)
        # What never comes is not waited for for ever.
        timer = threading.Timer(2 * PATIENCE_S, process.kill)
        timer.start()
        self.addCleanup(timer.cancel)
        return process

    def read_until(self, process, words):
        while words not in (line := process.stderr.readline()):
            self.assertTrue(line, f'it ended, and never said {words}')
        return line

    def end(self, process, how=signal.SIGTERM):
        process.send_signal(how)
        rest = process.stderr.read()
        self.assertEqual(process.wait(PATIENCE_S), 0)
        return rest


class Words(Balance):
    def test_what_cannot_be_is_named(self):
        def says(words, *line):
            self.assertIn(words, self.balance(*line, status=1))
        file = self.config(machines=[{'socket': 'a'}])
        says('no machine given')
        says('socket a is there twice', 'a', 'unix:a')
        says("'--interval'", 'a', '--interval', '0')
        says("'--reserve'", 'a', '--reserve', 'much')
        says("'--pressure'", 'a', '--pressure', '101')
        says("'--log': cannot write to /nonsense/log", 'a', '--log', '/nonsense/log')
        says('a file of machines stands alone', file, 'a')
        for words, what in (
                ("a key 'machines' with a list", {}),
                ('is an empty list', {'machines': []}),
                ("did you mean 'reserve'", {'reserv': 1, 'machines': [{'socket': 'a'}]}),
                ("machines[0] (x): there must be a key 'socket'", {'machines': [{'name': 'x'}]}),
                ('machines[0]: it must be an object', {'machines': ['a']}),
                ("machines[1] (x): unknown key 'flor'; did you mean 'floor'",
                 {'machines': [{'socket': 'a'}, {'socket': 'b', 'name': 'x', 'flor': 1}]}),
                ('machines[1]: socket a is there twice',
                 {'machines': [{'socket': 'a'}, {'socket': 'unix:a'}]}),
                ("'weight'", {'machines': [{'socket': 'a', 'weight': 0}]}),
                ('its floor is above its ceiling',
                 {'machines': [{'socket': 'a', 'floor': '2G', 'ceiling': '1G'}]}),
                ('more than 128 machines',
                 {'machines': [{'socket': f's{i}'} for i in range(129)]})):
            says(words, self.config(**what))


class Once(Balance):
    def test_a_short_host_takes_and_a_short_guest_is_given(self):
        idle = self.fake('idle')
        found, taken = self.once(idle.path, *POOR)
        self.assertIn('found: memory 1024 MiB', found)
        self.assertRegex(taken, r'idle: 1024 MiB -> 896 MiB: 695 MiB unused, and the host has \d+ MiB left, '
                                r'its reserve is 62914560 MiB\Z')
        self.assertEqual(idle.told('balloon'), [{'value': 896 * MIB}])
        busy = self.fake('busy', available=30)
        busy.size['actual'] = busy.size['target'] = 512 * MIB
        self.assertEqual(self.once('unix:' + busy.path, *RICH),
                         [f'{busy.path}: found: memory 1024 MiB, has 512 MiB, is to have 512 MiB',
                          f'{busy.path}: 512 MiB -> 635 MiB: short: 30 MiB available, head-room 102 MiB'])
        self.assertEqual(busy.told('balloon'), [{'value': (512 - 30) * MIB + 1024 * MIB // 10 * 3 // 2}])

    def test_a_dry_run_changes_nothing(self):
        server = self.fake(interval=0)
        lines = self.once(server.path, *POOR, '--dry-run')
        self.assertRegex(lines[1], r'1024 MiB -> 896 MiB: .* \(dry run\)\Z')
        self.assertEqual({command['execute'] for command in server.commands},
                         {'qmp_capabilities', 'query-balloon', 'query-balloon-stats'})

    def test_a_guest_that_nobody_asks_is_asked_from_here_on(self):
        silent, asked = self.fake('silent', interval=0, age=None, updates=0), self.fake('asked')
        lines = self.once(silent.path, asked.path, *POOR, '--interval', '2.5', '--verbose')
        self.assertEqual(silent.told('balloon-stats-interval'), [{'seconds': 3}])
        self.assertEqual(asked.told('balloon-stats-interval'), [])
        self.assertIn(f'{silent.path}: 1024 MiB: left alone: its guest has not said lately how it '
                      'uses its memory', lines)
        self.assertRegex(lines[2], r'\Ahost: \d+ MiB available, reserve 62914560 MiB, tasks wait')

    def test_statistics_grow_old(self):
        for age, takes in ((16, True), (17, False)):
            server = self.fake(f'vm{age}', age=age)
            self.once(server.path, *POOR)
            self.assertEqual(bool(server.told('balloon')), takes)

    def test_a_refusal_is_in_the_log(self):
        server = self.fake()
        server.refusal = 'not \x1b[2Jtoday.'
        self.assertTrue(self.once(server.path, *POOR)[1].endswith('; it failed: balloon: not  [2Jtoday'))

    def test_who_is_not_there_is_named_and_the_others_are_told(self):
        server = self.fake()
        lines = self.once(self.path / 'none', server.path, *POOR, status=1)
        self.assertIn(f'{self.path}/none: not there, and looked for again: there is no socket', lines[0])
        self.assertIn('1024 MiB -> 896 MiB', lines[2])
        self.assertEqual(len(lines), 4)

    def test_who_does_not_answer_holds_nobody_up_for_long(self):
        mute = FakeQmp(self.path, FakeQmp.wait_until_left, 'mute')
        self.addCleanup(mute.close)
        server = self.fake()
        lines = self.once(mute.path, server.path, *POOR, status=1)
        self.assertIn('no greeting within 2 s', lines[0])
        self.assertEqual(server.told('balloon'), [{'value': 896 * MIB}])

    def test_answers_that_are_none_are_called_so(self):
        for size, stats in (({'memory': 'much'}, {}), ({'memory': -1}, {}), ({'memory': 1 << 63}, {}),
                            ({'actual': 1025 * MIB}, {}), ({'target': None}, {}),
                            ({}, {'interval': None}), ({}, {'updates': -5})):
            server = FakeBalloon(self.path)
            server.size.update(size)
            server.stats.update(stats)
            self.assertIn('the answer is not one of a Paravane balloon',
                          self.once(server.path, *POOR, status=1)[0])
            self.assertEqual(server.told('balloon'), [])
            server.close()
        for absurd in ((1 << 64) - 1, 1 << 64, 'much', -1, None, [], 1.5):
            server = FakeBalloon(self.path)
            server.stats.update({'available-memory': absurd, 'swap-in': absurd, 'age': 1})
            self.once(server.path, *POOR)
            server.close()

    def test_a_file_has_names_and_bounds(self):
        first, second, third = self.fake('first'), self.fake('second'), self.fake('third')
        lines = self.once(self.config(reserve='60T', pressure=100, interval=1, machines=[
            {'socket': first.path, 'name': 'one', 'ceiling': '800M'},
            {'socket': second.path, 'floor': 1000 * MIB},
            {'socket': third.path, 'name': 'three', 'weight': 7}]))
        self.assertIn('one: 1024 MiB -> 800 MiB: above its ceiling of 800 MiB', lines)
        self.assertIn('three: 1024 MiB -> 896 MiB: 695 MiB unused', '\n'.join(lines))
        self.assertEqual(second.told('balloon'), [{'value': 1000 * MIB}])
        # What the command line says goes before.
        self.once(self.config(reserve='60T', machines=[{'socket': third.path}]), *RICH)
        self.assertEqual(len(third.told('balloon')), 1)


class Running(Balance):
    def test_where_nothing_changes_nothing_is_said(self):
        server = self.fake(available=300)
        process = self.follow(server.path, *RICH)
        self.read_until(process, 'found: memory 1024 MiB')
        deadline = time.monotonic() + PATIENCE_S
        while len(server.commands) < 3 * 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(self.end(process), '')
        talkative = self.follow(server.path, *RICH, '--verbose')
        for _ in range(3):
            self.read_until(talkative, 'enough: 300 MiB available')
        self.end(talkative, signal.SIGINT)

    @staticmethod
    def somewhat_poor():
        """Two thirds of the reserve are there."""
        for line in pathlib.Path('/proc/meminfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('MemAvailable:'):
                return ('--reserve', f'{int(line.split()[1]) * 3 // 2}k', '--pressure', '100')
        raise RuntimeError('no MemAvailable')

    def test_a_guest_shrinks_when_it_has_been_calm(self):
        server = self.fake()
        process = self.follow(server.path, *self.somewhat_poor(), '--verbose')
        for _ in range(2):
            self.read_until(process, 'enough: 900 MiB')
        self.read_until(process, '1024 MiB -> 896 MiB')
        # What it said before it shrank is too old.
        self.read_until(process, 'its balloon has just moved')
        server.stats.update({'updates': 8, 'available-memory': 772 * MIB})
        self.read_until(process, '896 MiB -> 768 MiB')
        self.end(process)
        # Its target stays.
        self.assertEqual(server.size['target'], 768 * MIB)

    def test_who_goes_is_looked_for_again(self):
        server, other = FakeBalloon(self.path, 'gone'), self.fake('other')
        process = self.follow(server.path, other.path, *RICH, '--verbose')
        self.read_until(process, 'gone: found: ')
        server.close()
        line = self.read_until(process, 'gone: lost')
        self.assertIn('looked for again', line)
        # That is said once, and the other goes on.
        for _ in range(6):
            self.assertNotIn('/gone:', process.stderr.readline())
        again = self.fake('gone')
        self.read_until(process, 'gone: found again: ')
        self.read_until(process, f'{again.path}: 1024 MiB: enough')
        self.end(process)

    def test_the_deaf_are_tried_more_and_more_rarely(self):
        mute = FakeQmp(self.path, FakeQmp.wait_until_left, 'mute', has_many=True)
        self.addCleanup(mute.close)
        server = self.fake(available=300)
        process = self.follow(mute.path, server.path, *RICH, '--verbose')
        self.read_until(process, 'mute: not there')
        for _ in range(8):
            self.read_until(process, 'enough: 300 MiB')
        # In the first turn, the fourth, and perhaps the ninth by now.
        self.assertIn(mute.clients, (2, 3))
        self.end(process)

    def test_the_log_goes_to_a_file_behind_what_it_has(self):
        log = self.path / 'log'
        log.write_text('before\n', encoding='utf-8')
        server = self.fake()
        self.assertEqual(self.balance(server.path, *POOR, '--once', '--log', log), '')
        lines = log.read_text(encoding='utf-8').splitlines()
        self.assertEqual(lines[0], 'before')
        self.assertIn('1024 MiB -> 896 MiB', lines[2])


class LargeGuest(Guest):
    SIZE = 512 * MIB


class Ours(Balance):
    DEVICE = 'balloon'

    @staticmethod
    def say(guest, available):
        guest.give(b''.join(struct.pack('<HQ', *stat) for stat in
                            ((5, 512 * MIB), (6, available * MIB))))

    def wait_for_updates(self, monitor, count):
        deadline = time.monotonic() + PATIENCE_S
        while monitor.command('query-balloon-stats')['updates'] < count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_a_balloon_of_ours_takes_and_gives(self):
        process, _ = self.start('--socket-path', self.socket, '--qmp', f'unix:{self.qmp}',
                                '--stats-interval', '1')
        monitor = serving.Qmp(str(self.qmp))
        self.addCleanup(monitor.close)
        # Without a guest.
        self.assertEqual(self.once(self.qmp, *POOR, '--verbose')[2],
                         f'{self.qmp}: 0 MiB: left alone: there is no guest')
        guest = LargeGuest(self.socket, index=STATS_QUEUE, features=STATS_VQ)
        self.addCleanup(guest.close)
        self.say(guest, 400)
        self.wait_for_updates(monitor, 1)
        self.assertIn('512 MiB -> 448 MiB: 297 MiB unused', '\n'.join(self.once(self.qmp, *POOR)))
        self.assertEqual(guest.wanted_pages(), 64 * MIB // 4096)
        guest.say_actual(64 * MIB // 4096)
        self.assertIsNotNone(guest.take())
        self.say(guest, 10)
        self.wait_for_updates(monitor, 2)
        self.assertIn('448 MiB -> 512 MiB: short: 10 MiB available, head-room 51 MiB',
                      '\n'.join(self.once(self.qmp, *RICH)))
        self.assertEqual(guest.wanted_pages(), 0)
        monitor.close()
        process.terminate()
        self.assert_ends_well(process)


if __name__ == '__main__':
    unittest.main(verbosity=2)
