#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The manual page and --help list the same options, each command's in alphabetical order, and the same
keys of an option's value."""

import re
import subprocess
import sys

PROGRAM, PAGE = sys.argv[1:]
COMMANDS = ['serve balloon', 'serve blk', 'serve rng', 'serve net', 'serve serial', 'bench blk', 'bench net', 'bench serial',
            'run', 'balance', 'ctl', 'attach', 'top', 'doctor']


SWITCHES = 'Features of the device, called as QEMU calls them'


def help_of(words):
    text = subprocess.run([PROGRAM, *words, '--help'], check=True, capture_output=True,
                          text=True).stdout
    too_long = [line for line in text.splitlines() if len(line) > 80]
    if too_long:
        sys.exit(f'{" ".join(words)} --help: longer than 80 columns: {too_long[0]}')
    return (re.findall(r'^  --([a-z-]+)', text, re.MULTILINE),
            set(re.findall(r'^  ([a-z0-9_-]+)(?:=|\[=)', text, re.MULTILINE)))


def sections_of_page():
    """Options by command; those of the program itself are under ''."""
    sections, keys, name, are_switches = {'': []}, {}, '', False
    with open(PAGE, encoding='utf-8') as page:
        for line in page:
            if line.startswith('.Ss paravane '):
                name = line.removeprefix('.Ss paravane ').strip()
                sections[name], keys[name] = [], set()
            elif line.startswith('.Sh '):
                name = ''
            elif match := re.match(r'\.It Fl -([a-z-]+)', line):
                sections[name].append(match.group(1))
            elif match := re.match(r'\.It Cm ([a-z0-9_-]+) Ns (?:= |Op = )', line):
                keys[name].add(match.group(1))
            elif are_switches and (match := re.match(r'\.Cm ([a-z0-9_]+) [,.]', line)):
                keys[name].add(match.group(1))
            are_switches = line.startswith(SWITCHES) or (are_switches and line != '.Pp\n')
    return sections, keys


def main():
    sections, keys = sections_of_page()
    wrong = []
    if sorted(sections) != sorted(['', *COMMANDS]):
        wrong.append(f'commands of the page: {sorted(sections)}')
    for command in ['', *COMMANDS]:
        helped, helped_keys = help_of(command.split())
        paged, paged_keys = sections.get(command, []), keys.get(command, set())
        name = command or 'paravane'
        for key in sorted(helped_keys ^ paged_keys):
            wrong.append(f'{name}: key {key} is in one of page and --help only')
        for option in sorted(set(helped) - set(paged)):
            wrong.append(f'{name}: --{option} is not in the page')
        for option in sorted(set(paged) - set(helped)):
            wrong.append(f'{name}: --{option} is not in --help')
        if paged != sorted(set(paged)):
            wrong.append(f'{name}: the page does not have its options sorted, or has one twice')
        print(f'{name}: {len(helped)} options, {len(helped_keys)} keys compared')
    sys.exit('\n'.join(wrong) or None)


main()
