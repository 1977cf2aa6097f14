#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/demo.sh [FOLDER]
#
# Builds fastimg, loads the JPEG files below FOLDER, prints figures and saves a contact sheet. Without a folder: the
# photos that scikit-learn and scikit-image ship. Settings: see setup-env.sh.
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

photos=${1:-$project/build/demo/photos}
[ $# -eq 0 ] || [ -d "$*" ] || die "not a folder: $*"

prepare venv
say "Building"
pip_install "$project" Pillow || die "the build failed"
if [ ! -d "$photos" ]; then
    say "Fetching photos: the packages scikit-learn and scikit-image"
    pip_install --upgrade --no-deps --only-binary :all: --target "$photos.part" scikit-learn scikit-image ||
        die "cannot fetch them; name a folder of photos: bash scripts/demo.sh FOLDER"
    mv "$photos.part" "$photos"
fi

say "Demo"
mkdir -p "$project/build/demo"
"$venv_python" "$project/scripts/demo.py" "$photos" --output "$project/build/demo/contact-sheet.png"
