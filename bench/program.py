# SPDX-License-Identifier: BSD-2-Clause
"""How a program of bench/ begins: what its command line may say, and what becomes of it when it is told to end."""

import os
import signal
import sys

NAME = f"bench/{os.path.basename(sys.argv[0])}"


def told_to_end(*_):
    """Unwinds, so that whatever was started is ended. A second signal must not cut that short: `timeout` sends two."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def begin(takes_words=False):
    """To be called before anything is started. With --help it says what the program is, and ends; so it does, with a
    sentence, where there are words on the command line and the program takes none."""
    signal.signal(signal.SIGTERM, told_to_end)
    words = sys.argv[1:]
    if {"--help", "-h"} & set(words[:1]):
        print(sys.modules["__main__"].__doc__.strip())
        sys.exit(0)
    if words and not takes_words:
        print(f"{NAME}: '{words[0]}': it takes no arguments (--help says what it takes)", file=sys.stderr)
        sys.exit(2)
