# SPDX-License-Identifier: BSD-2-Clause
"""What is asserted alike of UML and QEMU guests."""

import hashlib
import os

import harness


def filesystem_life(report, test, backend, guest):
    """Runs scripts/filesystem.sh in `guest` and holds the host's view against the guest's."""
    blocks = {}

    def note(when):
        blocks[when] = backend.blocks()

    with guest:
        values = guest.run(blocks_before_trim=lambda: note("before"),
                           blocks_after_trim=lambda: note("after"))
    report.ok(blocks["after"] < blocks["before"] - 16384, "the host got the trimmed space back",
              f"{blocks['before']} blocks before fstrim, {blocks['after']} after")
    harness.e2fsck(report, backend.image)
    digest = hashlib.sha256(harness.file_in_image(backend.image, "/kept")).hexdigest()
    report.equal(digest, values["kept"], "the host reads the file the guest wrote")
    return values


def resize(report, backend, boot):
    """Runs scripts/resize.sh in the guest that boot() gives, between 32 and 64 MiB."""
    def change(sectors):
        backend.resize(int(sectors) * 512)
        report.equal(os.stat(backend.image).st_size, int(sectors) * 512,
                     f"block_resize makes the image {int(sectors) // 2048} MiB")

        for nonsense in (0, -512, 1000, (1 << 63) - 1):
            report.refused(lambda size=nonsense: backend.resize(size),
                           f"block_resize to {nonsense} is refused")

    with boot(SMALL=32 * 2048, LARGE=64 * 2048) as guest:
        guest.run(resize=change)


def resize_under_load(report, backend, boot):
    """Runs scripts/resize_load.sh: the size changes many times while fio verifies."""
    with boot(SMALL=32 * 2048, LARGE=64 * 2048) as guest:
        values = guest.run(resize=lambda sectors: backend.resize(int(sectors) * 512))
    report.ok(int(values["rounds"]) > 0, "the disk changed its size meanwhile")
