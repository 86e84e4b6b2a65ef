#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Inside the box: a machine with ports, the host's ends of them, and what its guest asks for. Prints the lines
that guests speak.

    serial_machine.py PORTS BYTES OPTION...    PORTS ports exchange so many bytes; the options of the machine
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))

# pylint: disable=wrong-import-position
import serial_ends
import serving

PORTS, BYTES, *OPTIONS = sys.argv[1:]
FOLDER = tempfile.mkdtemp()
SOCKET = os.path.join(FOLDER, "qmp")


def port(name):
    return os.path.join(FOLDER, name)


def say(is_good, statement):
    print("@@ok" if is_good else "@@bad", statement, flush=True)


def machine_words():
    names = ["quiet", *(f"p{index}" for index in range(int(PORTS)))]
    named = [word for name in names for word in ("--serial", f"name={name},socket={port(name)},server=on")]
    return [serving.PARAVANE, "run", *OPTIONS, "--qmp", "unix:" + SOCKET, "--serial", "console,pty,id=console",
            *named]


def answer(machine, action, arguments):
    """What cannot be done ends the machine, too."""
    try:
        return action(*arguments) or "done"
    except BaseException:
        machine.kill()
        raise


def main():
    values, monitor = {}, []

    def qmp(name, /, **arguments):
        monitor[:] = monitor or [serving.Qmp(SOCKET)]
        return monitor[0].command(name, **arguments)

    host = serial_ends.Host(say, port, qmp, [serving.PARAVANE, "attach", SOCKET, "console"], int(PORTS),
                            int(BYTES))
    actions = host.actions()
    with subprocess.Popen(machine_words(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as machine:
        for line in machine.stdout:
            word, _, rest = line.rstrip("\r\n").partition(" ")
            if word == "@@do":
                name, *arguments = rest.split()
                machine.stdin.write(f"{answer(machine, actions[name], arguments)}\n")
                machine.stdin.flush()
                continue
            if word == "@@is":
                name, _, values[name] = rest.partition(" ")
            print(line, end="", flush=True)
    host.judge(values)
    print("@@case serial", machine.returncode, flush=True)


main()
