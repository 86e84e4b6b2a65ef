#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The example of docs/howto/guest.md, built and run by the commands that are written there."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT_S = 60


def main():
    if not shutil.which("qemu-system-x86_64"):
        print("1..0 # SKIP no qemu-system-x86_64 (package qemu-system-x86)")
        return 0
    with open(os.path.join(ROOT, "docs/howto/guest.md"), encoding="utf-8") as file:
        commands = re.search(r"```sh\n(.*?)```", file.read(), re.S)[1]
    with tempfile.TemporaryDirectory() as folder:
        for path in [*sys.argv[1:], *glob.glob(os.path.join(ROOT, "docs/howto/kernel/*"))]:
            shutil.copy(path, folder)
        done = subprocess.run(["sh", "-ec", commands], cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        frames = b""
        if os.path.exists(os.path.join(folder, "net.pcap")):
            with open(os.path.join(folder, "net.pcap"), "rb") as file:
                frames = file.read()
    statements = [
        ("the example kernel reads its disk", "the disk begins with: Hello from the disk" in done.stdout),
        ("it says hello to the network", "the network was told hello" in done.stdout),
        ("the network has heard it", b"\xff" * 6 + b"RT\x00\x124V\x88\xb5Hello, network\0" in frames),
    ]
    for number, (text, is_good) in enumerate(statements, 1):
        print(f"{'ok' if is_good else 'not ok'} {number} - {text}")
    print(f"1..{len(statements)}")
    is_good = done.returncode == 0 and all(is_good for _, is_good in statements)
    if not is_good:
        print("\n".join("# " + line for line in (done.stdout + done.stderr).splitlines()[-20:]))
    return not is_good


sys.exit(main())
