# SPDX-License-Identifier: BSD-2-Clause
# The guest serves its disk in its turn, to our own driver: what that erases goes all the way down.
# shellcheck shell=sh
check "what is served of a block device erases as that does" "$ERASE_GUEST" "$DISK"
