# SPDX-License-Identifier: BSD-2-Clause
"""What a QEMU guest boots from: kernel, initramfs, and a disk with the host's tools.

The initramfs holds busybox, the modules and the test's script; the programs that are too heavy
for it (fio links 60 libraries) lie with their libraries on a read-only ext4 image. Kernel and tools
are made once per work folder, under a lock, since tests run side by side.
"""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import stat
import subprocess

from report import Skip

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = ["dash", "fio", "mkfs.ext4", "e2fsck", "fstrim", "blkdiscard", "ip", "ethtool", "iperf3"]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
BUSYBOX = "/bin/busybox"
PACKAGE = "linux-image-cloud-amd64"
# Those of virtio devices on both buses, of the power button and of panics.
MODULES = ["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_rng", "virtio_net", "button", "evdev",
           "pvpanic-mmio"]


@contextlib.contextmanager
def locked(folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest_of(path, *words):
    """Of a recipe: what was made by another one is made anew."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read() + " ".join(words).encode()).hexdigest()[:8]


def kernel(folder, name="kernel", package=PACKAGE, modules=MODULES):
    """The kernel's path and its modules' in loading order: see fetch-kernel.sh."""
    target = os.path.join(folder, name)
    script = os.path.join(HERE, "fetch-kernel.sh")
    recipe = os.path.join(target, "recipe-" + digest_of(script, package, *modules))
    with locked(folder):
        if not os.path.exists(recipe):
            run = subprocess.run([script, target, package, *modules],
                                 capture_output=True, text=True, check=False)
            if run.returncode:
                raise Skip(f"no kernel for QEMU guests: {run.stderr.strip().splitlines()[-1]}")
            with open(recipe, "w", encoding="ascii"):
                pass
    return (os.path.join(target, "vmlinuz"),
            sorted(glob.glob(os.path.join(target, "modules", "*.ko"))))


def libraries(program):
    """The shared libraries of a program, the loader among them."""
    run = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    words = run.stdout.split() if run.returncode == 0 else []
    return {word for word in words if word.startswith("/")}


def tools_tree(root):
    """Lays out the tools below `root` the way Debian does, with /usr merged."""
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(os.path.join(root, "usr", name))
        os.symlink(os.path.join("usr", name), os.path.join(root, name))
    for name in ("proc", "sys", "dev", "run", "mnt", "etc"):
        os.mkdir(os.path.join(root, name))
    programs = {shutil.which(name, path=PATH): name for name in TOOLS}
    if None in programs:
        raise Skip(f"no {programs[None]} for QEMU guests")
    for path in set(programs).union(*(libraries(program) for program in programs)):
        target = root + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(path, target)
    shutil.copy("/etc/mke2fs.conf", os.path.join(root, "etc"))
    os.symlink("dash", os.path.join(root, "bin", "sh"))
    shutil.copy(BUSYBOX, os.path.join(root, "bin"))
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        for folder in ("bin", "sbin"):
            if os.path.lexists(os.path.join(root, folder, applet)):
                break
        else:
            os.symlink("busybox", os.path.join(root, "bin", applet))


def tools_image(folder):
    """The path of the image with the tools, made on first use."""
    image = os.path.join(folder, f"tools-{digest_of(__file__)}.img")
    with locked(folder):
        if os.path.exists(image):
            return image
        tree = os.path.join(folder, "tools")
        shutil.rmtree(tree, ignore_errors=True)
        tools_tree(tree)
        kib = sum(os.lstat(os.path.join(where, name)).st_size // 1024 + 5
                  for where, _, names in os.walk(tree) for name in names)
        subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", tree,
                        image + ".new", f"{kib * 5 // 4 + 4096}k"], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)
        os.rename(image + ".new", image)
    return image


class Cpio:
    """A `newc` archive, the format of an initramfs, written entry by entry."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def add(self, name, mode, content=b"", device=(0, 0)):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
        self.data += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.pad()
        self.data += content
        self.pad()

    def pad(self):
        self.data += bytes(-len(self.data) % 4)

    def add_folder(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def add_file(self, name, path, mode=0o755):
        with open(path, "rb") as file:
            self.add(name, stat.S_IFREG | mode, file.read())

    def finish(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def initramfs(path, modules, script, programs=None):
    """Writes the initramfs of one guest to `path`. `programs` {name: path}, without libraries, are in /run
    of the guest."""
    archive = Cpio()
    for folder in ("bin", "dev", "proc", "sys", "tools", "modules", "script"):
        archive.add_folder(folder)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add_file("bin/busybox", BUSYBOX)
    archive.add_file("init", os.path.join(HERE, "init-qemu.sh"))
    archive.add_file("script/lib", os.path.join(HERE, "guest.sh"))
    archive.add_file("script/main", os.path.join(HERE, "scripts", script))
    for name, program in (programs or {}).items():
        archive.add_file("script/" + name, program)
    for module in modules:
        archive.add_file("modules/" + os.path.basename(module), module)
    with open(path, "wb") as file:
        file.write(archive.finish())
