#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`paravane ctl`: what it sends, what it prints, and what it says of servers that are not as they should
be. It is tried with our own server, with QEMU's, and with one that lies."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
# pylint: disable=wrong-import-position
from fake_qmp import FakeQmp
from serve_case import PATIENCE_S, PROGRAM, Case

EVENT = {"timestamp": {"seconds": 1, "microseconds": 2}, "event": "NEWS", "data": {"what": "rain"}}
OTHER = {**EVENT, "event": "OTHER"}


class Ctl(Case):
    def ctl(self, *words, status=0, limit_s=PATIENCE_S):
        run = subprocess.run([PROGRAM, "ctl", *map(str, words)], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=limit_s, check=False)
        self.assertEqual(run.returncode, status, run)
        return run

    def printed(self, *words, **more):
        run = self.ctl(*words, **more)
        self.assertEqual(run.stderr, "")
        return run.stdout

    def refused(self, sentence, *words, **more):
        run = self.ctl(*words, status=1, **more)
        self.assertRegex(run.stderr, r"\Aparavane ctl: [^\n]*\n\Z")
        self.assertIn(sentence, run.stderr)
        self.assertTrue(run.stderr[:-1].isprintable(), run.stderr)
        return run.stdout

    def fake(self, play):
        server = FakeQmp(self.path, play)
        self.addCleanup(server.close)
        return server


class Words(Ctl):
    """What becomes of a command line."""

    def sent(self, *words):
        def play(server):
            server.be_greeted()
            server.answer(**{"return": {}})
        server = FakeQmp(self.path, play)
        try:
            self.assertEqual(self.printed(server.path, "do-it", *words), "")
        finally:
            server.close()
        self.assertEqual(server.commands[0], {"execute": "qmp_capabilities", "id": 1})
        self.assertEqual(server.commands[1]["execute"], "do-it")
        return server.commands[1]["arguments"]

    def test_a_value_is_what_it_looks_like(self):
        values = (
                ("20G", 20 << 30), ("4k", 4096), ("1MiB", 1 << 20), ("0", 0), ("-5", -5),
                ("18446744073709551615", (1 << 64) - 1), ("1.5", 1.5), ("2e3", 2000.0),
                ("true", True), ("false", False), ("null", None), ("[1, \"a\"]", [1, "a"]),
                ("{\"a\": {\"b\": true}}", {"a": {"b": True}}), ("\"17\"", "17"), ("@17", "17"),
                ("@@17", "@17"), ("@", ""), ("", ""), ("disk0", "disk0"), ("a=b", "a=b"),
                ("007", "007"), ("7.2.0", "7.2.0"), ("1.", "1."), ("-", "-"), ("-5k", "-5k"),
                ("True", "True"), ("18446744073709551616", "18446744073709551616"),
                ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("@{", "{"))
        sent = self.sent(*[f"key{i}={text}" for i, (text, _) in enumerate(values)])
        for i, (text, value) in enumerate(values):
            got = sent[f"key{i}"]
            self.assertEqual((type(got), got), (type(value), value), text)

    def test_dots_lead_into_objects(self):
        self.assertEqual(self.sent("a.b.c=1", "a.b.d=2", "a.e=x", "f=y"),
                         {"a": {"b": {"c": 1, "d": 2}, "e": "x"}, "f": "y"})
        self.assertEqual(self.sent('{"a.b": 1, "c": {"d": 2}}', "c.e=3"),
                         {"a.b": 1, "c": {"d": 2, "e": 3}})
        self.assertEqual(self.sent(), {})

    def test_words_that_say_nothing_are_refused(self):
        for words, sentence in (
                ((), "no socket given"), (("s",), "no command given"),
                (("s", "c", "size"), "argument 'size' has no value: write KEY=VALUE"),
                (("s", "c", "=1"), "an argument has no name"),
                (("s", "c", "a..b=1"), "an argument has no name"),
                (("s", "c", "a=1", "a=2"), "argument 'a' is given twice"),
                (("s", "c", "a=1", "a.b=2"), "argument 'a' is given a value, and keys within it"),
                (("s", "c", "a.b=1", "a=2"), "argument 'a' is given twice"),
                (("s", "c", "a={1}"), "argument 'a' is no JSON"),
                (("s", "c", "a=[1"), "argument 'a' is no JSON: unexpected end of data"),
                (("s", "c", "a=[1]2"), "argument 'a' is no JSON: unexpected character"),
                (("s", "c", "{1}"), "is no JSON"),
                (("s", "c", *["a"] * 140), "may be given 128 times at most"),
                (("s", "c", "--timeout", "0"), "option '--timeout'"),
                (("s", "c", "--evnts"), "unknown option '--evnts'; did you mean '--events'?")):
            self.refused(sentence, *words)

    def test_a_socket_without_a_server_has_a_remedy(self):
        self.refused("there is no socket /nowhere; start the server with --qmp unix:/nowhere",
                     "unix:/nowhere", "cont")
        self.refused("nobody listens on", self.disk, "cont")
        self.refused("a socket's path has at most 107 bytes", "x" * 300, "cont")


class OurServer(Ctl):
    def setUp(self):
        super().setUp()
        self.process, _ = self.start("--socket-path", self.socket, "--blk-file", self.disk,
                                     "--qmp", f"unix:{self.qmp}")

    def test_commands_return_and_do_what_they_say(self):
        status = self.printed(self.qmp, "query-status")
        self.assertEqual(json.loads(status)["status"], "running")
        self.assertGreater(len(status.splitlines()), 3)
        self.assertEqual(self.printed(self.qmp, "query-status", "--json"),
                         '{"status":"running","singlestep":false,"running":true}\n')
        self.assertEqual(self.printed(f"unix:{self.qmp}", "block_resize", "size=2M"), "")
        self.assertEqual(self.disk.stat().st_size, 2 << 20)
        self.assertEqual(self.printed(self.qmp, "block_resize", "size=1M", "--json"), "{}\n")

    def test_refusals_are_sentences(self):
        self.refused("blok_resize: there is no command 'blok_resize'; did you mean 'block_resize'?",
                     self.qmp, "blok_resize")
        self.refused("query-commands lists what there is", self.qmp, "frobnicate")
        self.refused("Parameter 'device' must be a string; write device=@TEXT",
                     self.qmp, "block_resize", "device=0", "size=1M")
        self.refused("Parameter 'size' must be an integer",
                     self.qmp, "block_resize", "size=much")

    def test_an_event_is_waited_for(self):
        text = self.printed(self.qmp, "quit", "--wait", "SHUTDOWN", "--json")
        answer, event = map(json.loads, text.splitlines())
        self.assertEqual((answer, event["event"]), ({}, "SHUTDOWN"))
        self.assert_ends_well(self.process)

    def test_events_are_printed_until_the_server_ends(self):
        with subprocess.Popen([PROGRAM, "ctl", self.qmp, "query-version", "--json", "--events"],
                              stdout=subprocess.PIPE, text=True) as watcher:
            self.assertIn("qemu", watcher.stdout.readline())
            self.printed(self.qmp, "quit")
            self.assertEqual(json.loads(watcher.stdout.readline())["event"], "SHUTDOWN")
            self.assertEqual(watcher.stdout.read(), "")
            self.assertEqual(watcher.wait(PATIENCE_S), 0)


class QemuServer(Ctl):
    def setUp(self):
        super().setUp()
        qemu = shutil.which("qemu-system-x86_64")
        if not qemu:
            self.skipTest("no qemu-system-x86_64")
        process = subprocess.Popen([qemu, "-M", "none", "-nodefaults", "-display", "none",
                                    "-qmp", f"unix:{self.qmp},server=on,wait=off"],
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.reap, process)
        deadline = time.monotonic() + PATIENCE_S
        while not self.qmp.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def test_it_is_understood(self):
        self.assertEqual(json.loads(self.printed(self.qmp, "query-status"))["status"], "running")
        self.assertEqual(self.printed(self.qmp, "human-monitor-command",
                                      "command-line=info status"), "VM status: running\n")
        # Several hundred KiB in one message.
        schema = json.loads(self.printed(self.qmp, "query-qmp-schema", "--json"))
        self.assertGreater(len(schema), 500)
        self.assertEqual(self.printed(self.qmp, "object-add", "qom-type=iothread", "id=i0",
                                      "poll-max-ns=4k"), "")
        self.assertEqual(self.printed(self.qmp, "qom-get", "path=/objects/i0",
                                      "property=poll-max-ns"), "4096\n")
        self.refused("Invalid parameter type for 'id', expected: string; write id=@TEXT",
                     self.qmp, "object-add", "qom-type=iothread", "id=7")
        self.refused("qury-status: The command qury-status has not been found; did you mean "
                     "'query-status'?", self.qmp, "qury-status")
        self.assertEqual(json.loads(self.printed(self.qmp, "quit", "--wait", "SHUTDOWN"))["event"],
                         "SHUTDOWN")


class BadServer(Ctl):
    def says(self, sentence, play, *words, limit_s=PATIENCE_S):
        server = FakeQmp(self.path, play)
        try:
            return self.refused(sentence, server.path, *(words or ("ask-it",)), limit_s=limit_s)
        finally:
            server.close()

    def test_events_and_answers_to_others_are_no_answer(self):
        def play(server):
            server.send({"QMP": {}})
            server.send(EVENT, {"return": "not yours", "id": 77}, {"return": "nobody's"})
            server.answer(**{"return": {}})
            command = server.hear()
            server.send(EVENT, {"return": 1, "id": str(command["id"])}, {"return": 2, "id": 1},
                        {"id": command["id"]}, OTHER, {"return": 3, "id": command["id"]}, EVENT)
        server = self.fake(play)
        self.assertEqual(self.printed(server.path, "ask-it", "--json"), "3\n")

    def test_an_event_counts_from_the_command_on(self):
        def play(server):
            server.be_greeted()
            command = server.hear()
            server.send(OTHER, EVENT, {"return": {}, "id": command["id"]}, EVENT)
            server.wait_until_left()
        server = self.fake(play)
        text = self.printed(server.path, "ask-it", "--json", "--wait", "NEWS")
        self.assertEqual([json.loads(line) for line in text.splitlines()], [EVENT, {}])

    def test_silence_ends_at_the_deadline(self):
        def mute(server):
            server.wait_until_left()

        def mute_after_greeting(server):
            server.be_greeted()
            server.wait_until_left()

        def mute_after_answer(server):
            server.be_greeted()
            server.answer(**{"return": {}})
            server.wait_until_left()
        self.says("no greeting within 1 s; --timeout", mute, "ask-it", "--timeout", "1")
        self.says("no answer to 'ask-it' within 1 s", mute_after_greeting, "ask-it", "--timeout",
                  "1")
        self.says("no event NEWS within 1 s", mute_after_answer, "ask-it", "--wait", "NEWS",
                  "--timeout", "1")
        self.says("no event NEWS within 1 s", mute_after_greeting, "--wait", "NEWS", "--timeout",
                  "1")

    def test_talk_without_end_ends_at_the_deadline(self):
        def chatter(server):
            server.be_greeted()
            while True:
                server.send(EVENT)

        def spaces(server):
            while True:
                server.send(b" " * 65536)
        self.says("no answer to 'ask-it' within 1 s", chatter, "ask-it", "--timeout", "1")
        self.says("no greeting within 1 s", spaces, "ask-it", "--timeout", "1")

    def test_a_server_that_does_not_read_ends_at_the_deadline(self):
        def deaf(server):
            server.be_greeted()
            time.sleep(1.5)
        words = [f"key{i}={'x' * 100000}" for i in range(15)]
        self.says("no answer to 'ask-it' within 1 s", deaf, "ask-it", "--timeout", "1", *words)

    def test_who_hangs_up_is_told(self):
        def close(server):
            server.client.shutdown(2)

        def close_after_greeting(server):
            server.be_greeted()

        def close_within_answer(server):
            server.be_greeted()
            server.hear()
            server.send(b'{"return": [1, 2')
        self.says("closed the connection, and there was no greeting", close)
        self.says("closed the connection, and there was no answer to 'ask-it'",
                  close_after_greeting)
        self.says("closed the connection, and there was no answer to 'ask-it'",
                  close_within_answer)
        # Between two events it is an end, within one it is not.
        server = self.fake(close_after_greeting)
        self.assertEqual(self.printed(server.path, "--events"), "")

    def test_what_is_no_protocol_is_called_so(self):
        def greets_with(*data):
            def play(server):
                server.send(*data)
                server.wait_until_left()
            return play

        def answers_with(data):
            def play(server):
                server.be_greeted()
                server.hear()
                server.send(data)
                server.wait_until_left()
            return play
        for play in (greets_with(b"SSH-2.0-OpenSSH\r\n"), greets_with(b"\0" * 100),
                     greets_with(os.urandom(4096) + b"\xff"), greets_with({"return": {}}),
                     greets_with([]), greets_with(b"{]"), greets_with(b'{"QMP": nonsense}'),
                     answers_with(b"oops"), answers_with([1]), answers_with(b'{"return": NaN}'),
                     answers_with(b"[" * 100 + b"]" * 100),
                     answers_with(b'{"return": "' + b"x" * (9 << 20) + b'"}'),
                     answers_with(b'{"return": [' + b"{}," * (1 << 20) + b"1]}")):
            self.says("does not speak QMP", play, "ask-it", "--timeout", "10")

    def test_a_refusal_without_an_id_is_an_answer(self):
        def play(server):
            server.be_greeted()
            server.hear()
            server.send({"error": {"class": "GenericError", "desc": "JSON parse error"}})
        self.says("ask-it: JSON parse error", play)

    def test_words_of_a_server_do_not_steer_a_terminal(self):
        def fails_with(error):
            def play(server):
                server.be_greeted()
                server.answer(error=error)
                server.wait_until_left()
            return play
        self.says("ask-it: a [31m b c", fails_with({"desc": "a\x1b[31m\nb\rc.\n"}))
        self.says("ask-it: yyyy", fails_with({"desc": "y" * 100000}))
        for error in ("text", {}, {"desc": 5}, None, [], {"class": 5, "desc": None}):
            self.says("ask-it: it is refused, and no reason given", fails_with(error))

        def returns_text(server):
            server.be_greeted()
            server.answer(**{"return": "one\r\n\x1b[2Jtwo"})
        server = self.fake(returns_text)
        self.assertEqual(self.printed(server.path, "ask-it"), "one\n?[2Jtwo\n")

    def test_a_list_of_commands_may_be_bad(self):
        for known in (5, None, {}, [1, {}, {"name": 5}, {"name": "x" * 100000}]):
            def play(server, known=known):
                server.be_greeted()
                server.answer(error={"class": "CommandNotFound", "desc": "no such thing"})
                server.answer(**{"return": known})
            self.says("ask-it: no such thing; query-commands lists", play)


class Clients(Ctl):
    """What QEMU's own clients send (qmp-shell, the package qemu.qmp, libvirt), on our server."""

    def setUp(self):
        super().setUp()
        self.start("--socket-path", self.socket, "--blk-file", self.disk,
                   "--qmp", f"unix:{self.qmp}")

    def connect(self, path):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE_S)
        client.connect(str(path))
        stream = client.makefile("rb")
        self.addCleanup(client.close)
        self.addCleanup(stream.close)
        greeting = json.loads(stream.readline())
        self.assertIsInstance(greeting["QMP"]["capabilities"], list)
        for part in ("major", "minor", "micro"):
            self.assertIsInstance(greeting["QMP"]["version"]["qemu"][part], int)

        def ask(message):
            client.sendall(message if isinstance(message, bytes) else json.dumps(message).encode())
            line = stream.readline()
            self.assertTrue(line.endswith(b"\r\n"), line)
            return json.loads(line)
        return ask

    def test_the_ways_to_negotiate(self):
        for negotiation in ({"execute": "qmp_capabilities"},
                            {"execute": "qmp_capabilities", "arguments": {}},
                            {"execute": "qmp_capabilities", "arguments": {"enable": []}},
                            {"execute": "qmp_capabilities", "id": "__qmp#00001"}):
            ask = self.connect(self.qmp)
            refusal = ask({"execute": "query-commands"})
            self.assertEqual(refusal["error"]["class"], "CommandNotFound")
            answer = ask(negotiation)
            self.assertEqual(answer.pop("id", None), negotiation.get("id"))
            self.assertEqual(answer, {"return": {}})

    def test_what_qmp_shell_does(self):
        ask = self.connect(self.qmp)
        ask({"execute": "qmp_capabilities"})
        # It completes names from these lists, and always sends arguments.
        names = {c["name"] for c in ask({"execute": "query-commands"})["return"]}
        self.assertLessEqual({"qmp_capabilities", "query-version", "quit", "block_resize"}, names)
        version = ask({"execute": "query-version", "arguments": {}})["return"]
        self.assertEqual(sorted(version), ["package", "qemu"])
        for name in sorted(names - {"qmp_capabilities", "quit", "block_resize"}):
            self.assertIn("return", ask({"execute": name, "arguments": {}}), name)
        self.assertEqual(ask({"execute": "nonsense", "arguments": {}})["error"]["class"],
                         "CommandNotFound")
        self.assertIn("error", ask(b"\xff\n"))
        answer = ask(b"{'execute': 'query-status', 'id': {'a': [1]}}\n")
        self.assertEqual(answer["id"], {"a": [1]})


if __name__ == "__main__":
    unittest.main(verbosity=2)
