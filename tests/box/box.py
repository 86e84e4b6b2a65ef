#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a command where there is hardware virtualization, which QEMU emulates: a Linux inside TCG has a
/dev/kvm of its own.  It sees the host's files, read-only, and has memory of its own
at /tmp, /run and /dev/shm.

  box.py [OPTION]... COMMAND [ARGUMENT]...

  --memory SIZE    of the box (default 3072M)
  --cpus N         of the box (default 2; 1 where instructions are counted)
  --seconds N      how long the command may take (default 300)
  --icount         the box's clock counts instructions, all of them 4 ns long, and runs by itself only
                   where there is nothing to do: what is measured in it does not depend on how busy
                   the machine is
  --npt            KVM in the box has nested paging; without, it makes the page tables of its guests by itself.
                   They are faster with it, by a quarter, but QEMU 7.2 and 10.0 lose memory then once in some
                   minutes of heavy traffic, a guest's or the box's own, and who lost it ends in a triple fault
  --disk FILE      the box has a disk, /dev/vda, which goes past the host's page cache
  --kernels FOLDER where the box's kernel is kept (default build/tests/guests)
  --package NAME   Debian's package of the box's kernel (default linux-image-amd64)

What the command prints is printed, its exit status is that of this program; 125 when the box itself
failed, after one more try where it hung or fell over.
"""

import argparse
import contextlib
import os
import re
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "guests"))

# pylint: disable=wrong-import-position
import initramfs
import mend

MODULES = ["virtio_pci", "virtio_blk", "9pnet_virtio", "9p", "kvm-amd", "ext4", "overlay", "tun",
           "vhost_net", "8021q"]
PACKAGE = "linux-image-amd64"
# The box must show a sign of life this soon; it takes 5 s on a machine that is not busy.
BOOT_LIMIT_S = 90
# What init-box.sh says on the console when it is about to run the command.
UP = "box: up"
# Or that it cannot tell how time goes by.
WRONG_CLOCK = "box: a wrong clock"
# And by each of its processors every five seconds from then on, unless it hangs: the host's load alone does
# not silence one so long.
BEAT = "box: beats {}\n"
SILENCE_LIMIT_S = 60
# A box whose instructions are counted has one thread for all it does, and seconds of its own.
SLOWER_COUNTED = 4
# So long before the command must end the box tells what is running in it.
TELL_BEFORE_S = 30
BOX_FAILED = 125
# What is printed when all is run again: what was printed before is of a run that did not end.
AGAIN = "box: from the beginning"
# The monitor has said all that it will when it is silent for so long.
MONITOR_LIMIT_S = 1
# Nanoseconds of an instruction where those are counted, as a power of 2.
ICOUNT_SHIFT = 2


class Hung(Exception):
    """The box itself, not what runs in it: it does nothing any more, or has ended without having run the
    command to its end."""


def make_ramdisk(path, modules):
    archive = initramfs.Cpio()
    for folder in ("bin", "dev", "proc", "sys", "modules", "host"):
        archive.add_folder(folder)
    archive.add_file("bin/busybox", initramfs.BUSYBOX)
    archive.add_file("init", os.path.join(HERE, "init-box.sh"))
    for module in modules:
        archive.add_file("modules/" + os.path.basename(module), module)
    with open(path, "wb") as file:
        file.write(archive.finish())


def accelerator(options):
    if not options.icount:
        return ["-accel", "tcg,thread=multi"]
    return ["-accel", "tcg,thread=single", "-icount", f"shift={ICOUNT_SHIFT}"]


def say_where(monitor):
    """Where the processors of a box that hangs are, twice, as QEMU's monitor tells."""
    monitor.settimeout(MONITOR_LIMIT_S)
    for _ in range(2):
        monitor.sendall(b"info registers -a\n")
        answer = b""
        with contextlib.suppress(TimeoutError):
            while data := monitor.recv(65536):
                answer += data
        for line in re.findall(r"CPU#\d+|RIP=.*|E?FER=.*", answer.decode(errors="replace")):
            print(f"box: {line.strip()}", file=sys.stderr)


class Box:
    def __init__(self, options, command, output):
        self.options = options
        self.output = output
        self.folder = tempfile.mkdtemp(prefix="box-", dir=options.kernels)
        with open(os.path.join(self.folder, "command"), "w", encoding="utf-8") as script:
            script.write(f"cd {shlex.quote(os.getcwd())}\nexec {shlex.join(command)}\n")
        vmlinuz, modules = initramfs.kernel(options.kernels, "box-" + options.package, options.package,
                                            MODULES)
        ramdisk = os.path.join(self.folder, "initramfs")
        make_ramdisk(ramdisk, modules)
        self.argv = [
            "qemu-system-x86_64", *accelerator(options), "-nodefaults", "-no-user-config",
            "-smp", str(options.cpus), "-m", options.memory,
            "-cpu", f"EPYC,+svm,{'+' if options.npt else '-'}npt,check=off",
            "-nographic", "-nic", "none", "-no-reboot", "-kernel", vmlinuz, "-initrd", ramdisk,
            "-fsdev", "local,id=h,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=h,mount_tag=host",
            "-fsdev", f"local,id=b,path={self.folder},security_model=none,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=b,mount_tag=box",
            "-append", "console=ttyS0 reboot=t panic=-1 quiet nokaslr tsc=reliable "
            f"BOX_FOLDER={self.folder} WORK={ROOT} "
            f"SECONDS_LIMIT={max(options.seconds - TELL_BEFORE_S, 1)}"
            + (" BOX_COUNTS=yes" if options.icount else ""),
            "-d", "cpu_reset", "-D", os.path.join(self.folder, "resets"),
            "-serial", "stdio", "-serial", "chardev:line"]
        if options.disk:
            self.argv += ["-blockdev", f"driver=file,node-name=disk,filename={options.disk},"
                          "cache.direct=on,aio=native", "-device", "virtio-blk-pci,drive=disk"]

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self):
        (ours, theirs), (monitor, monitored) = socket.socketpair(), socket.socketpair()
        with ours, theirs, monitor, monitored, open(os.path.join(self.folder, "console"), "wb") as console:
            with subprocess.Popen([*self.argv, "-chardev", f"socket,id=line,fd={theirs.fileno()}",
                                   "-chardev", f"socket,id=monitor,fd={monitored.fileno()}",
                                   "-mon", "chardev=monitor,mode=readline"],
                                  pass_fds=[theirs.fileno(), monitored.fileno()], stdin=subprocess.DEVNULL,
                                  stdout=console, stderr=console) as process:
                theirs.close()
                monitored.close()
                if self.options.icount and not mend.mend(process.pid):
                    print("box: it may hang, for its QEMU is none that mend.py knows", file=sys.stderr)
                try:
                    self.follow(process, ours)
                except Hung:
                    say_where(monitor)
                    raise
                finally:
                    process.kill()
                return self.status(process.returncode)

    def follow(self, process, line):
        begin = time.monotonic()
        boot_limit_s = BOOT_LIMIT_S * self.slowness()
        deadline = begin + boot_limit_s + self.options.seconds
        has_spoken = False
        beats = [0] * self.options.cpus
        last_beat = [begin + boot_limit_s] * self.options.cpus
        with selectors.DefaultSelector() as selector:
            selector.register(line, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                if not has_spoken and time.monotonic() > begin + boot_limit_s and \
                        not self.has_booted():
                    raise Hung("it did not boot")
                for cpu, before in enumerate(beats):
                    beats[cpu] = self.console().count(BEAT.format(cpu))
                    if beats[cpu] > before:
                        last_beat[cpu] = time.monotonic()
                    if time.monotonic() > last_beat[cpu] + SILENCE_LIMIT_S * self.slowness():
                        raise Hung(f"its processor {cpu} has fallen silent")
                if not selector.select(1):
                    continue
                data = line.recv(65536)
                if not data:
                    process.wait()
                    return
                has_spoken = True
                self.output.write(data)
                self.output.flush()
        if "soft lockup" in self.console():
            raise Hung("its kernel locked up")
        print(f"box: the command did not end within {self.options.seconds} s", file=sys.stderr)

    def slowness(self):
        return SLOWER_COUNTED if self.options.icount else 1

    def has_booted(self):
        return UP in self.console() or os.path.exists(os.path.join(self.folder, "status"))

    def console(self):
        with open(os.path.join(self.folder, "console"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def status(self, qemu_status):
        """The command's, as the box has left it; QEMU's own is None where it had to be killed."""
        try:
            with open(os.path.join(self.folder, "status"), encoding="ascii") as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            pass
        print("box: its console:\n" + self.console(), file=sys.stderr)
        if WRONG_CLOCK in self.console():
            raise Hung("its clock is wrong")
        if qemu_status is not None:
            raise Hung(f"it ended in the middle ({self.last_reset()}, QEMU's exit status {qemu_status})")
        return BOX_FAILED

    def last_reset(self):
        with open(os.path.join(self.folder, "resets"), encoding="utf-8", errors="replace") as file:
            return "a triple fault" if "Triple fault" in file.read() else "no triple fault"


def default_options(**others):
    return argparse.Namespace(**{
        "memory": "3072M", "cpus": None, "seconds": 300, "icount": False, "npt": False, "disk": None,
        "package": PACKAGE, "kernels": os.path.join(ROOT, "build", "tests", "guests"), **others})


def options_and_command():
    parser = argparse.ArgumentParser(prog="box.py", usage="box.py [OPTION]... COMMAND...")
    parser.add_argument("--memory")
    parser.add_argument("--cpus", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--icount", action="store_true")
    parser.add_argument("--npt", action="store_true")
    parser.add_argument("--disk")
    parser.add_argument("--kernels")
    parser.add_argument("--package")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(namespace=default_options())
    if not options.command:
        parser.error("no command")
    return options, options.command


def run(options, command, output):
    """Runs a command in the box; what it prints goes to `output`. Returns its exit status."""
    # Two of them on one thread do not come up: each spins for as long as the other one does not run.
    options.cpus = options.cpus or (1 if options.icount else 2)
    options.kernels = os.path.abspath(options.kernels)
    os.makedirs(options.kernels, exist_ok=True)
    for attempt in (1, 2):
        if attempt == 2:
            output.write(f"\n{AGAIN}\n".encode())
        box = Box(options, command, output)
        try:
            return box.run()
        except Hung as why:
            print(f"box: {why}; {'a second try' if attempt == 1 else 'twice running'}",
                  file=sys.stderr)
        finally:
            box.close()
    return BOX_FAILED


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(BOX_FAILED))
    sys.exit(run(*options_and_command(), sys.stdout.buffer))


if __name__ == "__main__":
    main()
