#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The manual page and --help list the same options, each command's in alphabetical order."""

import re
import subprocess
import sys

PROGRAM, PAGE = sys.argv[1:]
COMMANDS = ['serve blk', 'serve rng', 'bench blk', 'run', 'ctl', 'doctor']


def options_of_help(words):
    text = subprocess.run([PROGRAM, *words, '--help'], check=True, capture_output=True,
                          text=True).stdout
    too_long = [line for line in text.splitlines() if len(line) > 80]
    if too_long:
        sys.exit(f'{" ".join(words)} --help: longer than 80 columns: {too_long[0]}')
    return re.findall(r'^  --([a-z-]+)', text, re.MULTILINE)


def sections_of_page():
    """Options by command; those of the program itself are under ''."""
    sections, name = {'': []}, ''
    with open(PAGE, encoding='utf-8') as page:
        for line in page:
            if line.startswith('.Ss paravane '):
                name = line.removeprefix('.Ss paravane ').strip()
                sections[name] = []
            elif line.startswith('.Sh '):
                name = ''
            elif match := re.match(r'\.It Fl -([a-z-]+)', line):
                sections[name].append(match.group(1))
    return sections


def main():
    sections = sections_of_page()
    wrong = []
    if sorted(sections) != sorted(['', *COMMANDS]):
        wrong.append(f'commands of the page: {sorted(sections)}')
    for command in ['', *COMMANDS]:
        helped, paged = options_of_help(command.split()), sections.get(command, [])
        name = command or 'paravane'
        for option in sorted(set(helped) - set(paged)):
            wrong.append(f'{name}: --{option} is not in the page')
        for option in sorted(set(paged) - set(helped)):
            wrong.append(f'{name}: --{option} is not in --help')
        if paged != sorted(set(paged)):
            wrong.append(f'{name}: the page does not have its options sorted, or has one twice')
        print(f'{name}: {len(helped)} options compared')
    sys.exit('\n'.join(wrong) or None)


main()
