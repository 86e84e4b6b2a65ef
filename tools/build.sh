#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# build.sh FOLDER [MESON OPTION...]: sets the build folder up on first use and builds all of it.
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift
[ -f "$folder/build.ninja" ] || meson setup "$folder" "$@"
ninja -C "$folder"
