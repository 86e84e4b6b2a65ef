#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The image stays small."""

import os
import sys

BYTES_MAX = 256 << 10

size = os.path.getsize(sys.argv[1])
print(f"{'ok' if size < BYTES_MAX else 'not ok'} 1 - the image has less than {BYTES_MAX >> 10} KiB\n1..1")
print(f"# {size} bytes")
sys.exit(size >= BYTES_MAX)
