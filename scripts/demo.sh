#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/demo.sh [FOLDER]
#
# Builds fastimg, loads the JPEG files below FOLDER, prints figures and saves a contact sheet. Without a folder: the
# photos that scikit-learn and scikit-image ship. Settings: see setup-env.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/setup-env.sh
. "$here/setup-env.sh"

[ $# -le 1 ] || die "usage: bash scripts/demo.sh [FOLDER]"
photos=$project/build/demo/photos
if [ $# -eq 1 ]; then
    [ -d "$1" ] || die "not a folder: $1"
    photos=$(cd "$1" && pwd)
fi

prepare_system
prepare_venv
say "Building"
quietly "$venv_python" -m pip install "$project" Pillow || die "the build failed"
if [ $# -eq 0 ] && [ ! -d "$photos" ]; then
    say "Fetching photos: the packages scikit-learn and scikit-image"
    rm -rf "$photos.part"
    quietly "$venv_python" -m pip install --no-deps --only-binary :all: --target "$photos.part" \
        scikit-learn scikit-image || die "cannot fetch them; name a folder of photos: bash scripts/demo.sh FOLDER"
    mv "$photos.part" "$photos"
fi

say "Demo"
mkdir -p "$project/build/demo"
exec "$venv_python" "$here/demo.py" "$photos" --output "$project/build/demo/contact-sheet.png"
