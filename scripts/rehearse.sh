#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/rehearse.sh FOLDER [ROOT...]
#
# A release as users will meet it: the wheel that scripts/wheel.sh has made is put into a package index on this machine,
# installed from there by name, and used on the photos in FOLDER: the README's first screen as it stands, then the
# command. Once in a fresh virtual environment, and once in each ROOT, the folder of a bare system (needs root), as
# this makes one: debootstrap --variant=minbase --include=python3,python3-pip trixie ROOT
#
#   FASTIMG_DIST  where the wheel is; default: dist in the checkout
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

[ -d "${1:-}" ] || die "expected a folder of photos, found '${1:-}'"
photos=$1
shift
wheel=$(find "${FASTIMG_DIST:-$project/dist}" -name 'fastimg-*-abi3-*.whl' 2>/dev/null | sort | tail -n 1)
[ -n "$wheel" ] || die "there is no wheel: bash scripts/wheel.sh makes one"
prepare venv
mkdir "$work/files" "$work/index" "$work/try"
cp "$wheel" "$work/files"

say "An index with ${wheel##*/} and what it needs"
ask_version='import sys; print("%d.%d" % sys.version_info[:2])'
versions=$("$venv_python" -c "$ask_version")
for root in "$@"; do versions="$versions $(chroot "$root" python3 -c "$ask_version")" || die "no Python 3 in $root"; done
for version in $versions; do
    quietly "$venv_python" -m pip download --quiet --only-binary :all: --python-version "$version" \
        --dest "$work/files" "$wheel"
done
for file in "$work"/files/*; do
    name=$(basename "$file" | cut -d- -f1 | tr '[:upper:]_.' '[:lower:]--')
    mkdir -p "$work/index/$name"
    mv "$file" "$work/index/$name"
done
"$venv_python" -u -m http.server --bind 127.0.0.1 --directory "$work/index" 0 >"$work/server" 2>/dev/null &
server=$!
copies=() # in each ROOT
trap 'kill "$server" || true; rm -rf "$work" ${copies[@]+"${copies[@]}"}' EXIT
until port=$(grep -om1 'port [0-9]*' "$work/server"); do
    kill -0 "$server" || die "the index's server does not start"
    sleep 0.1
done

# What is used: the README's block, with what it leaves to its reader.
cp -R "$photos" "$work/try/photos"
cp "$(find "$work/try/photos" -iname '*.jp*g' | sort | head -n 1)" "$work/try/cat.jpg"
{
    echo 'def train(batch): print("batch", batch.shape, batch.dtype)'
    # shellcheck disable=SC2016 # no commands
    sed -n '/^```python$/,/^```$/p' "$project/README.md" | grep -v '^```'
    echo 'print("image", image.shape, "data", data.shape, fastimg.build_info())'
} >"$work/try/first_screen.py"
cat >"$work/try/try.sh" <<END
set -e
cd "\$1"
python3 -m pip install --quiet --index-url http://127.0.0.1:${port#port }/ fastimg
python3 first_screen.py
fastimg load photos -o train.npy --size 256 --labels --quiet
END
isolated=(env -i PIP_CONFIG_FILE=/dev/null PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
    PIP_DISABLE_PIP_VERSION_CHECK=1 LC_ALL=C.UTF-8)

say "In a fresh virtual environment"
"$venv_python" -m venv "$work/fresh"
"${isolated[@]}" PATH="$work/fresh/bin:$PATH" sh "$work/try/try.sh" "$work/try"
rm -f "$work"/try/train.*

for root in "$@"; do
    say "In $root"
    copy=$(mktemp -d "$root/tmp/fastimg-XXXXXX")
    copies+=("$copy")
    cp -R "$work/try/." "$copy"
    "${isolated[@]}" PATH=/usr/local/bin:/usr/bin:/bin "$(command -v chroot)" "$root" \
        sh "${copy#"$root"}/try.sh" "${copy#"$root"}" || die "it failed in $root"
done
say "Done"
