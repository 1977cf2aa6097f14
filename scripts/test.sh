#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/test.sh [ARGUMENTS OF PYTEST]
#
# Builds a source package and from that a wheel, checks the sources, and tests the installed wheel away from the
# checkout. The exit status is that of the first failure. Settings, besides those of setup-env.sh:
#
#   FASTIMG_EXTENDED=1 more damaged files (FASTIMG_FUZZ=20000) and killed processes (FASTIMG_KILLS=500), and a minute
#                     of each fuzz target (needs clang)
#   FASTIMG_TEST_DATA  a folder with more files to test on
#   FASTIMG_WERROR=1   a warning of the C compiler is an error
#   FASTIMG_SANITIZE=1 build with AddressSanitizer and UndefinedBehaviorSanitizer (gcc), and run the tests under them
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

status='' failed='' preload=''
check() { # NAME COMMAND...: goes on after a failure
    say "$1"
    "${@:2}" && return
    status=${status:-$?} failed="$failed, $1"
}

[ -z "${FASTIMG_EXTENDED:-}" ] || export FASTIMG_FUZZ="${FASTIMG_FUZZ:-20000}" FASTIMG_KILLS="${FASTIMG_KILLS:-500}"
prepare venv turbojpeg ${FASTIMG_EXTENDED:+clang}
cd "$project"
test_env=()
if [ -n "${FASTIMG_SANITIZE:-}" ]; then
    flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    export CFLAGS="${CFLAGS:-} $flags -O1 -g -fno-omit-frame-pointer" LDFLAGS="${LDFLAGS:-} $flags"
    for library in libasan.so libubsan.so libstdc++.so.6; do # the last for its exceptions, which ASan intercepts
        preload="$preload $("${CC:-gcc}" -print-file-name=$library)"
    done
    # Python itself never frees some of its memory; its own allocator would hide overflows of small blocks.
    test_env=(LD_PRELOAD="$preload" PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
        UBSAN_OPTIONS=print_stacktrace=1)
fi

say "Building"
pip_install build
quietly "$venv_python" -m build --outdir "$work/dist" . || die "the build failed"
wheel=$(echo "$work"/dist/*.whl)
say "Installing ${wheel##*/}"
pip_install "${wheel}[test,dev]"
pip_install --force-reinstall --no-deps "$wheel"

# The tests must not find fastimg/ beside them. Its C and Cython sources, which some of them compile or read, hide
# nothing without an __init__.py.
mkdir -p "$work/run/fastimg"
cp -R pyproject.toml README.md tests benchmarks docs scripts "$work/run"
cp -R fastimg/_core fastimg/*.p[yx][xdi] "$work/run/fastimg"

if [ -z "${FASTIMG_SANITIZE:-}" ]; then
    PATH="$venv/bin:$PATH"
    check "ruff check" ruff check --quiet .
    check "ruff format" ruff format --check --quiet --diff .
    check "cython-lint" cython-lint fastimg
    # shellcheck disable=SC2046 # a list
    check "clang-format" clang-format --dry-run -Werror $(find fastimg/_core tests -name '*.[ch]')
    check "mypy" mypy --no-error-summary
    cd "$work" # the stub must agree with the installed module
    check "stubtest" stubtest --concise fastimg._decode
    case $wheel in *-abi3-*) check "abi3audit" abi3audit --strict "$wheel" ;; esac
fi
[ -z "${FASTIMG_EXTENDED:-}" ] || check "fuzz" bash "$project/scripts/fuzz.sh" 60

cd "$work/run"
check "Tests" env ${test_env[@]+"${test_env[@]}"} "$venv_python" -m pytest "$@"
[ -z "$failed" ] || say "FAILED: ${failed#, }"
exit "${status:-0}"
