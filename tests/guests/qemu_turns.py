# SPDX-License-Identifier: BSD-2-Clause
"""Several QEMU guests in turn on one socket: reset under load, rebooted, resized."""

import os

import harness
import qemu
from backend import Backend, Qmp
from guest_checks import resize


def reset_guest(report, test, backend):
    path = os.path.join(backend.directory, "qemu")

    def reset():
        monitor = Qmp(path)
        monitor.command("system_reset")
        monitor.close()

    with qemu.boot(report, test, backend.path, "reset.sh", monitor=path, may_reboot=True) as guest:
        guest.run(reset=reset)
    report.ok(backend.is_alive(), "the back-end outlives the reset guest")


def body(report, test):
    with Backend(report, test.image(32), test.log_path("backend")) as backend:
        reset_guest(report, test, backend)
        resize(report, backend, lambda **values: qemu.boot(
            report, test, backend.path, "resize.sh", **values))
        resize(report, backend, lambda **values: qemu.boot(
            report, test, backend.path, "resize.sh", device=",packed=on", **values))


harness.main(body)
