#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Inside the box: a machine with three network interfaces, the host's ends of them, and what its guest asks
for. Prints the lines that guests speak.

    net_machine.py PARAVANE OPTION...    the options of the machine
"""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading

PARAVANE, *OPTIONS = sys.argv[1:]
FOLDER = tempfile.mkdtemp()
SOCKET = os.path.join(FOLDER, "qmp")
FILE_BYTES = 3 << 20


def command(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def ctl(*words):
    run = subprocess.run([PARAVANE, "ctl", SOCKET, *words], check=False, capture_output=True, text=True)
    return run.stdout


def make_ends():
    for name, address in (("tap0", "192.168.77.1/24"), ("tap1", "192.168.79.1/24")):
        more = ["multi_queue"] if name == "tap0" else []
        command("ip", "tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr", *more)
        command("ip", "addr", "add", address, "dev", name)
        command("ip", "link", "set", name, "mtu", "9000", "up")
    command("ip", "link", "add", "link", "tap0", "name", "tap0.5", "type", "vlan", "id", "5")
    command("ip", "addr", "add", "192.168.78.1/24", "dev", "tap0.5")
    command("ip", "link", "set", "tap0.5", "up")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def serve_file():
    data = os.urandom(FILE_BYTES)
    os.mkdir(os.path.join(FOLDER, "www"))
    with open(os.path.join(FOLDER, "www", "file"), "wb") as file:
        file.write(data)
    os.chdir(os.path.join(FOLDER, "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return hashlib.sha256(data).hexdigest()


def answer(question):
    what, name, *rest = question
    if what == "link":
        ctl("set_link", f"name={name}", "up=" + {"on": "true", "off": "false"}[rest[0]])
        return "done"
    filters = json.loads(ctl("query-rx-filter", f"name={name}"))
    return json.dumps(filters[0]["promiscuous"])


def main():
    make_ends()
    wanted = serve_file()
    with subprocess.Popen(["iperf3", "-s"], stdout=subprocess.DEVNULL) as iperf:
        with subprocess.Popen(
                [PARAVANE, "run", *OPTIONS, "--qmp", "unix:" + SOCKET,
                 "--net", "user,mac=52:54:00:00:00:01,queues=2",
                 "--net", "tap,ifname=tap0,queues=2,mtu=9000",
                 "--net", "tap,ifname=tap1,queues=2,steer=device"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as machine:
            for line in machine.stdout:
                if line.startswith("@@do "):
                    machine.stdin.write(answer(line.split()[1:]) + "\n")
                    machine.stdin.flush()
                else:
                    print(line, end="", flush=True)
        iperf.kill()
    print("@@is wanted", wanted)
    print("@@case net", machine.returncode, flush=True)


main()
