#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Several disks in one process: their file, their loops, what they cost, how they begin and end."""

import json
import os
import pathlib
import re
import resource
import signal
import socket
import stat
import subprocess
import time
import unittest

from serve_case import IS_SANITIZED, PATIENCE_S, PROGRAM, Case


class Disks(Case):
    def setUp(self):
        super().setUp()
        self.config = self.path / 'config'
        self.addCleanup(lambda: self.config.unlink(missing_ok=True))

    def write(self, content):
        self.config.write_text(content if isinstance(content, str) else json.dumps(content),
                               encoding='utf-8')

    def null(self, name, **more):
        """A disk of a file."""
        return {'name': name, 'socket-path': str(self.path / name), 'null': '1M', **more}

    def serve(self, disks, *words, service=None, **more):
        self.write({'qmp': f'unix:{self.qmp}', 'disks': disks, **(service or {})})
        process, line = self.start('--config', self.config, *words, **more)
        lines = [line] + [process.stderr.readline() for _ in disks[1:]]
        self.config.unlink()
        return process, lines

    def refuse_config(self, content, *words):
        self.write(content)
        sentence = self.refuse_serve('--config', self.config, *words)
        self.assertTrue(sentence.count(str(self.config)) == 1 or words, sentence)
        return sentence.replace(str(self.config), 'FILE')

    def counters(self, name):
        """A counter of all queues and loops that have it, by path."""
        answer, = self.ask({'execute': 'query-stats', 'arguments': {'providers': [
            {'provider': 'paravane', 'names': [name]}]}})
        return {entry['qom-path']: entry['stats'][0]['value'] for entry in answer['return']
                if entry['stats']}

    def loops(self):
        """How often each data loop has gone round."""
        return {path.removeprefix('/loop/'): value
                for path, value in self.counters('iterations').items()
                if path.startswith('/loop/data')}


class File(Disks):
    def test_all_disks_are_served_under_their_names_until_the_end(self):
        process, lines = self.serve([
            {'name': 'vda', 'socket-path': str(self.path / 'a'), 'blk-file': str(self.disk),
             'num-queues': 2, 'write-cache': 'off', 'read-only': True},
            {'socket-path': str(self.path / 'b'), 'memory': '2M', 'num-queues': '1'}])
        self.assertEqual(lines, [
            f'paravane: vda: serving {self.disk} (1 MiB, read-only) on {self.path}/a, '
            f'QMP on {self.qmp}\n',
            f'paravane: blk1: serving memory (2 MiB) on {self.path}/b, QMP on {self.qmp}\n'])
        for name in 'ab':
            self.assertEqual(stat.S_IMODE((self.path / name).lstat().st_mode), 0o600)
            self.assertTrue(self.connect(self.path / name).is_served())
        answer, = self.ask({'execute': 'query-block'})
        self.assertEqual([(block['device'], block['inserted']['ro'],
                           block['inserted']['cache']['writeback'],
                           block['inserted']['image']['virtual-size'])
                          for block in answer['return']],
                         [('vda', True, False, 1 << 20), ('blk1', False, True, 2 << 20)])
        self.assertEqual(list(self.counters('requests')),
                         ['/vda/queue0', '/vda/queue1', '/blk1/queue0'])
        process.send_signal(signal.SIGTERM)
        self.assert_ends_well(process)

    def test_a_disk_of_several_is_resized_by_its_name_only(self):
        self.serve([self.null('a'), {'name': 'b', 'socket-path': str(self.path / 'b'),
                                     'blk-file': str(self.disk)}])
        nameless, named = self.ask(
            {'execute': 'block_resize', 'arguments': {'size': 2 << 20}},
            {'execute': 'block_resize', 'arguments': {'size': 2 << 20, 'device': 'b'}})
        self.assertEqual(nameless['error'], {'class': 'GenericError', 'desc': "there are several disks: give "
                                             "'device', which query-block lists"})
        self.assertEqual(named, {'return': {}})
        self.assertEqual(self.disk.stat().st_size, 2 << 20)

    def test_the_only_disk_of_a_command_line_can_have_a_name_too(self):
        process, line = self.start('--null', '1M', '--socket-path', self.socket, '--name', 'sda.1')
        self.assertTrue(line.startswith('paravane: sda.1: serving null'), line)
        process.terminate()
        self.assert_ends_well(process)
        for name in ('1a', 'a b', 'a/b', '-a', 'x' * 32, 'ä'):
            self.assertIn("'--name'", self.refuse_serve('--null', '1M', '--socket-path',
                                                        self.socket, f'--name={name}'))

    def test_the_command_line_counts_in_place_of_the_file(self):
        process, _ = self.serve([self.null('a')], '--loops', '3', service={'loops': 2})
        self.assertEqual(list(self.loops()), ['data0', 'data1', 'data2'])
        process.terminate()
        process.wait(PATIENCE_S)
        self.serve([self.null('a')], service={'loops': 2})
        self.assertEqual(list(self.loops()), ['data0', 'data1'])

    def test_passed_sockets_are_served_until_the_last_front_end_has_left(self):
        pairs = [socket.socketpair() for _ in range(2)]
        ours, theirs = zip(*pairs)
        disks = [{'null': '1M', 'fd': end.fileno()} for end in theirs]
        process, _ = self.serve(disks, pass_fds=[end.fileno() for end in theirs])
        for end in theirs:
            end.close()
        get_features = bytes([1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        for end in ours:
            end.settimeout(PATIENCE_S)
            end.sendall(get_features)
            self.assertEqual(len(end.recv(20)), 20)
        ours[0].close()
        while 'has left' not in (line := process.stderr.readline()):
            self.assertTrue(line)
        ours[1].sendall(get_features)
        self.assertEqual(len(ours[1].recv(20)), 20)
        ours[1].close()
        self.assertEqual(process.wait(PATIENCE_S), 0)


class Wrong(Disks):
    def test_a_file_that_is_wrong_is_refused_with_the_key(self):
        good = {'null': '1M', 'socket-path': str(self.path / 'a')}
        for content, sentence in (
                ('{"disks": [', "option '--config': FILE is no JSON at line 1, column 12: it ends "
                                "too early"),
                ('[]', "option '--config': FILE holds no object; put { before it and } behind it"),
                ('{"disks": [], "disks": []}',
                 "option '--config': FILE has a key again at line 1, column 15: leave one of them "
                 "out"),
                ({}, "FILE: there must be a key 'disks' with a list, such as \"disks\": [{ ... }]"),
                ({'disks': {}}, "FILE: there must be a key 'disks' with a list, such as "
                                "\"disks\": [{ ... }]"),
                ({'disks': []}, "FILE: key 'disks' is an empty list; put one in"),
                ({'disks': [good] * 257}, "FILE: key 'disks' lists 257, and a process serves at "
                                          "most 256; start another"),
                ({'disk': [good]}, "FILE: unknown key 'disk'; did you mean 'disks'?"),
                ({'config': 'x', 'disks': [good]}, "FILE: unknown key 'config'; keys are the "
                                                   "options of --help without dashes"),
                ({'loops': 0, 'disks': [good]},
                 "FILE: key 'loops' takes a number from 1 to 256, not '0'"),
                ({'qmp': 'x', 'disks': [good]}, "option '--qmp' takes unix:PATH, not 'x'"),
                ({'disks': ['vda']},
                 'FILE: disks[0]: it must be an object, such as { "name": "a", ... }'),
                ({'disks': [{**good, 'name': 'a', 'num-queue': 2}]},
                 "FILE: disks[0] (a): unknown key 'num-queue'; did you mean 'num-queues'?"),
                ({'disks': [{**good, 'num-queues': '4k'}]},
                 "FILE: disks[0]: key 'num-queues' takes a number from 1 to 256, not '4k'"),
                ({'disks': [{**good, 'read-only': 'yes'}]},
                 "FILE: disks[0]: key 'read-only' takes true or false, not \"yes\""),
                ({'disks': [{**good, 'serial': 7}]},
                 "FILE: disks[0]: key 'serial' takes a text in quotes, not 7"),
                ({'disks': [{**good, 'serial': 'x' * 21}]},
                 "FILE: disks[0]: option '--serial': a serial number has at most 20 bytes, this "
                 "one has 21"),
                ({'disks': [{'null': '1M'}]},
                 "FILE: disks[0]: no socket: give --socket-path PATH or --fd N"),
                ({'disks': [{**good, 'name': 'a'}, {'socket-path': 'b', 'name': 'b'}]},
                 "FILE: disks[1] (b): no disk: give --blk-file PATH, --memory SIZE or --null "
                 "SIZE"),
                ({'loops': 2, 'disks': [{**good, 'queue-loops': [0, 2]}]},
                 "FILE: disks[0]: option '--queue-loops' names loop 2, and there are 2, counted "
                 "from 0; choose a smaller number or give --loops 3"),
        ):
            with self.subTest(content=content):
                self.write(content)
                answer = self.refuse_serve('--config', self.config)
                self.assertEqual(answer.replace(str(self.config), 'FILE'), sentence)

    def test_a_file_that_cannot_be_read_or_is_too_large_is_named(self):
        self.assertEqual(self.refuse_serve('--config', self.config),
                         f"option '--config': cannot read {self.config}: No such file or directory")
        self.write('{}' + ' ' * (1 << 20))
        self.assertEqual(self.refuse_serve('--config', self.config),
                         f"option '--config': {self.config} is larger than 1048576 bytes; split it")

    def test_what_two_disks_cannot_both_have_is_refused(self):
        link = self.path / 'link'
        link.symlink_to(self.disk)
        first = self.null('a')
        on_file = {'name': 'a', 'socket-path': first['socket-path'], 'blk-file': str(self.disk)}
        second = {'name': 'b', 'socket-path': str(self.path / 'b'), 'blk-file': str(link)}
        end, other = socket.socketpair()
        with end, other, socket.socket() as internet:
            self.assertEqual(
                self.refuse_config({'disks': [first, {**first, 'socket-path': 'x'}]}),
                "FILE: disks[1] (a): option '--name': another device is called 'a' already; "
                "choose another name")
            self.assertIn("b: option '--socket-path': ", self.refuse_serve_of(
                [first, {**self.null('b'), 'socket-path': f'{self.path}/../{self.path.name}/a'}]))
            self.assertIn(f"option '--blk-file': {link} is the disk of 'a' too",
                          self.refuse_config({'disks': [on_file, second]}))
            self.assertIn(f"option '--blk-file': {link} is the disk of 'a' too",
                          self.refuse_config({'disks': [{**on_file, 'read-only': True}, second]}))
            for fd, sentence in ((end.fileno(), "'blk0' has descriptor"),
                                 (internet.fileno(), 'is no unix stream socket')):
                self.write({'disks': [{'null': '1M', 'fd': end.fileno()},
                                      {'null': '1M', 'fd': fd}]})
                answer = self.refuse_serve('--config', self.config, pass_fds=[end.fileno(), fd])
                self.assertIn("disks[1]: option '--fd': ", answer)
                self.assertIn(sentence, answer)
        self.serve([{**on_file, 'read-only': True}, {**second, 'read-only': True}])

    def refuse_serve_of(self, disks):
        self.write({'disks': disks})
        return self.refuse_serve('--config', self.config)

    def test_one_disk_that_cannot_be_served_leaves_nothing_of_the_others(self):
        missing = {'name': 'c', 'socket-path': str(self.path / 'c'), 'blk-file': '/none'}
        for last, sentence in (
                (missing, 'disks[2] (c): --blk-file /none: No such file'),
                (self.null('c', **{'socket-path': str(self.path / 'no' / 'c')}),
                 "c: option '--socket-path': "),
                (self.null('c', **{'socket-path': str(self.disk)}),
                 "c: option '--socket-path': ")):
            self.assertIn(sentence, self.refuse_serve_of([self.null('a'), self.null('b'), last]))
        self.write({'qmp': f'unix:{self.path}/a', 'disks': [self.null('a'), self.null('b')]})
        self.assertEqual(self.refuse_serve('--config', self.config),
                         f"option '--qmp': {self.path}/a is the socket of 'a' already; choose "
                         "another path")

    def test_options_of_a_disk_belong_into_the_file(self):
        self.write({'disks': [self.null('a')]})
        for words in (['--null', '1M'], ['--socket-path', 'x'], ['--fd=0'], ['--name', 'a'],
                      ['--poll-us', '0', '--read-only'], ['--qmp', 'unix:x', '--no-inband']):
            sentence = self.refuse_serve('--config', self.config, *words)
            name = [word for word in words if word.startswith('--')][-1].split('=')[0]
            self.assertEqual(sentence, f"options '--config' and '{name}' exclude each other; write "
                                       f"'{name[2:]}' into the file, for each disk")


class Loops(Disks):
    def load(self, name, *words):
        subprocess.run([PROGRAM, 'bench', 'blk', '--socket-path', self.path / name, '--seconds',
                        '1', *words], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)

    def loops_used_by(self, name, *words):
        """Loops that went round while one disk was under load; others must not have."""
        before = self.loops()
        self.load(name, *words)
        grown = {loop: count - before[loop] for loop, count in self.loops().items()}
        busy = {loop for loop, count in grown.items() if count > 1000}
        # A queue that starts and stops is a message or two, and a descriptor of its kicks.
        self.assertLess(max([count for loop, count in grown.items() if loop not in busy] + [0]),
                        100, grown)
        return busy

    def test_queues_run_where_the_user_says(self):
        process, _ = self.serve([self.null('a', **{'num-queues': 3, 'queue-loops': [2, 0]}),
                                 self.null('b', **{'num-queues': 1, 'queue-loops': '1'})],
                                '--loops', '4')
        names = {(task / 'comm').read_text().strip()
                 for task in pathlib.Path(f'/proc/{process.pid}/task').iterdir()}
        self.assertLessEqual({'data0', 'data1', 'data2', 'data3'}, names)
        self.assertEqual(self.loops_used_by('a'), {'data2'})
        self.assertEqual(self.loops_used_by('a', '--queues', '2'), {'data0', 'data2'})
        self.assertEqual(self.loops_used_by('b'), {'data1'})

    def test_disks_with_one_queue_are_spread_and_so_are_the_queues_of_one(self):
        self.serve([self.null(name, **{'num-queues': queues}) for name, queues in
                    (('a', 1), ('b', 1), ('c', 2))], '--loops', '3')
        self.assertEqual(self.loops_used_by('a'), {'data0'})
        self.assertEqual(self.loops_used_by('b'), {'data1'})
        self.assertEqual(self.loops_used_by('c'), {'data2'})
        self.assertEqual(self.loops_used_by('c', '--queues', '2'), {'data0', 'data2'})

    def test_there_are_no_more_loops_than_processors_and_queues(self):
        first = min(os.sched_getaffinity(0))
        processors = len(os.sched_getaffinity(0))
        for queues, allowed, loops in ((16, None, min(processors, 16)), (1, None, 1),
                                       (16, {first}, 1)):
            process, _ = self.serve(
                [self.null('a', **{'num-queues': queues})],
                preexec_fn=lambda cpus=allowed: cpus and os.sched_setaffinity(0, cpus))
            self.assertEqual(len(self.loops()), loops)
            process.terminate()
            process.wait(PATIENCE_S)


class Many(Disks):
    COUNT = 64

    def serve_many(self, **more):
        return self.serve([self.null(f'd{i}') for i in range(self.COUNT)], **more)[0]

    def assert_stands_still(self, process):
        time.sleep(0.3)
        before = self.switches(process)
        time.sleep(1)
        self.assertEqual(self.switches(process), before)

    def test_idle_disks_use_no_cpu_with_and_without_front_ends(self):
        process = self.serve_many()
        self.assert_stands_still(process)
        front_ends = [self.connect(self.path / f'd{i}') for i in range(self.COUNT)]
        for front_end in front_ends:
            self.assertTrue(front_end.start_queue())
        self.assert_stands_still(process)
        for front_end in front_ends[::2]:
            front_end.socket.close()
        self.assert_stands_still(process)
        for front_end in front_ends[1::2]:
            self.assertTrue(front_end.is_served())

    def test_the_counters_of_as_many_as_there_can_be_arrive_whole(self):
        self.serve([self.null(f'd{i}') for i in range(256)])
        answer, = self.ask({'execute': 'query-stats'})
        self.assertEqual(len([entry for entry in answer['return']
                              if entry['qom-path'].startswith('/d')]), 256 * 16)

    @unittest.skipIf(IS_SANITIZED, 'sanitizers take memory of their own')
    def test_a_process_and_each_further_disk_are_small(self):
        def resident_kib(process):
            text = pathlib.Path(f'/proc/{process.pid}/status').read_text()
            return int(re.search(r'VmRSS:\s+(\d+)', text).group(1))
        process, _ = self.serve([self.null('a')])
        one = resident_kib(process)
        process.terminate()
        process.wait(PATIENCE_S)
        process = self.serve_many()
        many = resident_kib(process)
        self.assertLess(one, 8192)
        self.assertLess(many - one, 100 * (self.COUNT - 1))
        front_ends = [self.connect(self.path / f'd{i}') for i in range(self.COUNT)]
        for front_end in front_ends:
            self.assertTrue(front_end.start_queue(256))
        print(f'\n{one} KiB with a disk, {many} KiB with {self.COUNT}, '
              f'{resident_kib(process)} KiB with a front-end on each')

    def test_few_descriptors_are_made_more_or_complained_about(self):
        def limit(soft, hard):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        process = self.serve_many(preexec_fn=limit(64, 8192))
        self.assertTrue(self.connect(self.path / 'd63').is_served())
        limits = pathlib.Path(f'/proc/{process.pid}/limits').read_text()
        self.assertRegex(limits, r'Max open files\s+8192\s+8192')
        process.terminate()
        process.wait(PATIENCE_S)
        self.write({'disks': [self.null(f'd{i}') for i in range(self.COUNT)]})
        done = subprocess.run([PROGRAM, 'serve', 'blk', '--config', self.config],
                              capture_output=True, text=True, preexec_fn=limit(64, 64), check=False,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn('raise the limit (ulimit -Hn)', done.stderr)
        self.assertEqual({path.name for path in self.path.iterdir()}, {'config', 'disk.img'})


unittest.main(verbosity=2)
