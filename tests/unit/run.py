#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `paravane run` says to wishes that cannot be fulfilled: one sentence, and status 1."""

import os
import subprocess
import sys
import tempfile
import unittest

PARAVANE = sys.argv.pop(1)
KERNEL = sys.argv.pop(1)  # any that can be loaded
HAS_KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def refused(self, options, words):
        run = subprocess.run([PARAVANE, "run", *options], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=30, check=False)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertEqual(run.stdout, "")
        self.assertRegex(run.stderr, r"^paravane run: [^\n]*\n$")
        self.assertIn(words, run.stderr)

    def test_a_kernel_is_needed(self):
        self.refused([], "no kernel: give --kernel FILE")
        self.refused(["--kernel", "/nowhere"], "option '--kernel': /nowhere: No such file")
        self.refused(["--kernel", "/"], "option '--kernel': / is a folder; give a file")
        self.refused(["--kernel", self.file("empty", b"")], "cannot be read whole")
        for name, content in (("text", b"this is no kernel\n" * 1000), ("elf", b"\x7fELF"),
                              ("short", b"\0" * 510 + b"\x55\xaa")):
            self.refused(["--kernel", self.file(name, content)], "is no kernel; give a bzImage")

    def test_keys_of_a_disk_are_known_by_name(self):
        kernel = ["--kernel", "/nowhere"]
        self.refused([*kernel, "--disk", "pth=x"],
                     "option '--disk': unknown key 'pth'; did you mean 'path'?")
        self.refused([*kernel, "--disk", "path=x,path=y"],
                     "option '--disk': 'path' is given twice")
        self.refused([*kernel, "--disk", "path="], "option '--disk': 'path' needs a value")
        self.refused([*kernel, "--disk", "path"], "option '--disk': 'path' needs a value")
        self.refused([*kernel, "--disk", "path=x,readonly=maybe"],
                     "option '--disk': 'readonly' is on or off, not 'maybe'")
        self.refused([*kernel, "--disk", "path=x,queues=0"], "option '--disk': 'queues'")
        self.refused([*kernel, "--disk", "path=x,werror=panic"], "option '--disk': 'werror'")
        self.refused([*kernel, *["--disk", "path=x"] * 129], "may be given 128 times at most")
        self.refused([*kernel, "--disk", "path=x,bus=isa"], "option '--disk': 'bus'")
        self.refused([*kernel, *["--disk", "path=x,bus=mmio"] * 9],
                     "option '--disk': bus=mmio has room for 8 disks, not 9; leave the others on pci")

    def test_a_path_alone_is_no_disk_yet(self):
        for value, words in (("disk.img", "unknown key 'disk.img'; write path=disk.img"),
                             ("/srv/disk", "unknown key '/srv/disk'; write path=/srv/disk"),
                             ("disk1", "unknown key 'disk1'; write path=disk1"),
                             ("path=x,disk1", "unknown key 'disk1'; --help lists them all"),
                             ("disk1=x", "unknown key 'disk1'; --help lists them all"),
                             ("seral", "unknown key 'seral'; did you mean 'serial'?")):
            with self.subTest(value=value):
                self.refused(["--kernel", "/nowhere", "--disk", value], f"option '--disk': {words}\n")

    @unittest.skipUnless(HAS_KVM, "disks are opened for a machine, which needs /dev/kvm")
    def test_what_is_wrong_with_a_disk_is_said_by_its_keys(self):
        image, none = self.file("image", bytes(1 << 20)), os.path.join(self.folder.name, "none")
        good, name = f"path={image}", "takes a letter, then letters, digits"
        for disks, words in (
                (["readonly=on"], "no disk: give path=PATH, memory=SIZE or null=SIZE\n"),
                ([f"{good},null=1M"], "more than one disk: give only one of path, memory and null\n"),
                (["null=1M,direct=on"], "'direct' goes with path only\n"),
                ([f"{good},serial=123456789012345678901"], "'serial': a serial number has"),
                ([f"{good},geometry=1"], "'geometry' takes cylinders"),
                ([f"{good},werror=stop"], "'werror=stop' needs --qmp, whose command cont goes on\n"),
                (["null=1M,secure-erase=overwrite"], "'secure-erase=overwrite' goes with path only\n"),
                ([f"path={none}"], f"path={none}: No such file or directory; check the path\n"),
                ([f"path={self.folder.name}"], f"path={self.folder.name}: Is a directory"),
                (["null=1000"], "null: a size of 1000 bytes is no multiple"),
                ([good, good], f"'path': {image} is the disk of 'blk0' too"),
                ([f"{good},id=1"], f"'id' {name}"),
                ([f"{good},id=a", "null=1M,id=a"], "'id': another device is called 'a' already")):
            with self.subTest(disks=disks):
                self.refused(["--kernel", KERNEL, "--console", "off",
                              *(word for disk in disks for word in ("--disk", disk))], f"option '--disk': {words}")

    @unittest.skipUnless(HAS_KVM, "devices are opened for a machine, which needs /dev/kvm")
    def test_names_of_devices_are_said_to_be_wrong_by_their_key(self):
        name = "takes a letter, then letters, digits"
        for words, option in ((["--net", "null,id=1"], "net"), (["--balloon", "on,id=1"], "balloon"),
                              (["--serial", "name=a,null", "--serial-device", "id=1"], "serial-device")):
            self.refused(["--kernel", KERNEL, "--console", "off", *words], f"option '--{option}': 'id' {name}")
        self.refused(["--kernel", KERNEL, "--console", "off", "--net", "null,id=a", "--net", "null,id=a"],
                     "option '--net': 'id': another device is called 'a' already; choose another name\n")

    def test_keys_of_memory_follow_its_size(self):
        kernel = ["--kernel", "/nowhere", "--memory"]
        self.refused([*kernel, "1M"], "option '--memory': 'size' takes a size from 32 MiB")
        self.refused([*kernel, "size=1M"], "option '--memory': 'size' takes a size from 32 MiB")
        self.refused([*kernel, "lots"], "option '--memory': 'size' takes a size such as")
        self.refused([*kernel, "size="], "option '--memory': 'size' needs a value")
        self.refused([*kernel, "512M,shard=on"],
                     "option '--memory': unknown key 'shard'; did you mean 'shared'?")
        self.refused([*kernel, "512M,size=1G"], "option '--memory': 'size' is given twice")
        self.refused([*kernel, "512M,shared=yes"],
                     "option '--memory': 'shared' is on or off, not 'yes'")

    def test_an_entropy_device_is_on_or_off_and_limited_by_its_keys(self):
        for value, words in (("maybe", "option '--rng' begins with on or off, not 'maybe'"),
                             ("", "option '--rng' needs a value"),
                             ("max-bytes=1k", "begins with on or off, not 'max-bytes=1k'"),
                             ("off,period=5", "nothing goes with off; say on,period=5"),
                             ("on,", "option '--rng': unknown key ''"),
                             ("on,max-byte=1k", "did you mean 'max-bytes'?"),
                             ("on,max-bytes=0", "option '--rng': 'max-bytes'"),
                             ("on,max-bytes=9,period=0", "option '--rng': 'period'"),
                             ("on,max-bytes=9,period=4294967296", "option '--rng': 'period'")):
            self.refused(["--kernel", "/nowhere", "--rng", value], words)

    def test_a_balloon_is_on_or_off_and_has_keys(self):
        for value, words in (("yes", "option '--balloon' begins with on or off, not 'yes'"),
                             ("off,target=1G", "nothing goes with off; say on,target=1G"),
                             ("on,targte=1G", "did you mean 'target'?"),
                             ("on,target=0", "option '--balloon': 'target'"),
                             ("on,deflate-on-oom=maybe", "option '--balloon': 'deflate-on-oom'"),
                             ("on,stats-interval=86401", "option '--balloon': 'stats-interval'"),
                             ("on,bus=isa", "option '--balloon': 'bus'"),
                             ("on,iothreads=2", "option '--balloon': 'iothreads'")):
            self.refused(["--kernel", "/nowhere", "--balloon", value], words)

    def test_what_is_served_elsewhere_says_by_whom(self):
        for value, words in (("echo", "option '--device' begins with vhost-user or vhost-kernel, not 'echo'"),
                             ("vhost-user,type=rng", "option '--device': vhost-user needs path=SOCKET"),
                             ("vhost-user,type=gpu", "option '--device': 'type' takes rng, blk or net"),
                             ("vhost-user,type=rng,path=/s,mtu=1500", "option '--device': 'mac' and 'mtu' are for"),
                             ("vhost-user,type=net,path=/s,mac=1", "option '--device': 'mac' is an address like"),
                             ("vhost-user,type=net,path=/s,ifname=t", "'ifname' is for vhost-kernel"),
                             ("vhost-kernel,type=blk", "vhost-kernel serves network devices"),
                             ("vhost-kernel,type=net,path=/s", "vhost-kernel has no socket"),
                             ("vhost-user,type=rng,path=/s,bus=isa", "'bus' takes pci or mmio")):
            self.refused(["--kernel", "/nowhere", "--device", value], words)
        self.refused(["--kernel", "/nowhere", "--net", "vhost-user"], "option '--net': vhost-user needs path=SOCKET")

    def test_a_network_is_of_a_kind_with_its_keys(self):
        for value, words in (("bridge", "option '--net' begins with user, tap, stream, dgram, null, echo, "
                              "vhost-user or vhost-kernel, not 'bridge'"),
                             ("", "option '--net' needs a value"),
                             ("null,mtu=5", "option '--net': 'mtu' takes"),
                             ("null,bus=isa", "option '--net': 'bus' takes pci or mmio"),
                             ("null,iothreads=17", "option '--net': 'iothreads'"),
                             ("user,ifname=x", "'ifname' goes with tap, not with user; leave it out"),
                             ("null,ids=x", "unknown key 'ids'; did you mean 'id'?"),
                             ("null,mac=ff:ff:ff:ff:ff:ff", "'mac' takes the address of one station")):
            self.refused(["--kernel", "/nowhere", "--net", value], words)
        self.refused(["--kernel", "/nowhere", *["--net", "null"] * 129], "may be given 128 times at most")

    def test_a_serial_port_has_a_use_and_a_line(self):
        kernel = ["--kernel", "/nowhere"]
        for value, words in (("null", "option '--serial': a port has a use: say console, or name=NAME"),
                             ("console", "option '--serial': a port has a line: say pty,"),
                             ("console,ptty", "option '--serial': unknown key 'ptty'; did you mean 'pty'?"),
                             ("name=a,tcp=0", "option '--serial': 'tcp' takes a port or HOST:PORT")):
            self.refused([*kernel, "--serial", value], words)
        for value, words in (("bus=isa", "option '--serial-device': 'bus' takes pci or mmio"),
                             ("ports-max=128", "option '--serial-device': 'ports-max'"),
                             ("queue-size=3", "option '--serial-device': 'queue-size' takes a power of two")):
            self.refused([*kernel, "--serial-device", value], words)

    def test_the_terminal_has_one_user(self):
        kernel = ["--kernel", "/nowhere"]
        self.refused([*kernel, "--serial", "console,stdio", "--serial", "name=a,stdio"],
                     "there is one terminal, for one stdio")
        self.refused([*kernel, "--console", "stdio", "--serial", "console,stdio"],
                     "want the same terminal; leave '--console' out")

    def test_numbers_have_bounds(self):
        for option, value in (("--cpus", "0"), ("--cpus", "256"), ("--memory", "1M"),
                              ("--memory", "lots"), ("--console", "loud"),
                              ("--on-reboot", "pray")):
            self.refused(["--kernel", "/nowhere", option, value], f"option '{option}'")

    def test_a_command_line_fits(self):
        self.refused(["--kernel", "/nowhere", "--append", "x" * 70000],
                     "option '--append': more than 65535 characters")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
