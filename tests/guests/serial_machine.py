#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Inside the box: a machine with ports, the host's ends of them, and what its guest asks for. Prints the lines
that guests speak.

    serial_machine.py PORTS BYTES SECONDS OPTION...    PORTS ports exchange so many bytes, or at most so many at a
                                                       time for so long; the options of the machine
"""

import os
import sys

import asking_machine
import serial_ends
import serial_rounds
import serving

PORTS, BYTES, SECONDS = map(int, sys.argv[1:4])
OPTIONS = sys.argv[4:]


def port(name):
    return os.path.join(asking_machine.FOLDER, name)


def host_of(machine):
    words = [serving.PARAVANE, "attach", asking_machine.SOCKET, "console"]
    ends = (asking_machine.say, port, machine.qmp, words, PORTS, BYTES)
    if SECONDS == 0:
        return serial_ends.Host(*ends)
    return serial_rounds.Host(*ends, seconds=SECONDS, monitor=asking_machine.SOCKET, give_up=lambda: machine.process.kill())


def main():
    names = ["quiet", *(f"p{index}" for index in range(PORTS))]
    named = [word for name in names for word in ("--serial", f"name={name},socket={port(name)},server=on")]
    machine = asking_machine.Machine(*OPTIONS, "--serial", "console,pty,id=console", *named)
    host = host_of(machine)
    values = machine.run("serial", host.actions())
    host.judge(values)


main()
