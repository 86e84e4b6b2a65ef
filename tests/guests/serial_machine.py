#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Inside the box: a machine with ports, the host's ends of them, and what its guest asks for. Prints the lines
that guests speak.

    serial_machine.py PORTS BYTES OPTION...    PORTS ports exchange so many bytes; the options of the machine
"""

import os
import sys

import asking_machine
import serial_ends
import serving

PORTS, BYTES, *OPTIONS = sys.argv[1:]


def port(name):
    return os.path.join(asking_machine.FOLDER, name)


def main():
    names = ["quiet", *(f"p{index}" for index in range(int(PORTS)))]
    named = [word for name in names for word in ("--serial", f"name={name},socket={port(name)},server=on")]
    machine = asking_machine.Machine(*OPTIONS, "--serial", "console,pty,id=console", *named)
    host = serial_ends.Host(asking_machine.say, port, machine.qmp,
                            [serving.PARAVANE, "attach", asking_machine.SOCKET, "console"], int(PORTS),
                            int(BYTES))
    values = machine.run("serial", host.actions())
    host.judge(values)


main()
