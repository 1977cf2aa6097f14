#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/test.sh [ARGUMENTS OF PYTEST]
#
# Builds a source package and from that a wheel, checks the sources, and tests the installed wheel away from the
# checkout, without arguments in up to four processes. The exit status is that of the first failure. Settings, besides
# those of setup-env.sh:
#
#   FASTIMG_EXTENDED=1 more damaged files (FASTIMG_FUZZ=20000), killed processes (FASTIMG_KILLS=500) and calls that may
#                     leak (FASTIMG_LEAKS=20000), a minute of each fuzz target (needs clang), and the core's C programs
#                     under valgrind, if it is there
#   FASTIMG_TEST_DATA  a folder with more files to test on
#   FASTIMG_WERROR=1   a warning of the C compiler is an error
#   FASTIMG_SANITIZE   address,undefined or thread: build with these sanitizers (gcc, Linux), run the tests under them,
#                     and fail if they report anything; with thread and no arguments, only the tests of
#                     $with_threads
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

# The tests that start threads; what the others do in one thread cannot race.
with_threads="accessors batchup cancelling concurrency core_threads data_source_buffers data_source_closing
    data_source_threads load on_error parts random_views read_headers readers reading threads views workers"
status='' failed=''
check() { # NAME COMMAND...: goes on after a failure
    say "$1"
    "${@:2}" && return
    status=${status:-$?} failed="$failed, $1"
}

[ -z "${FASTIMG_EXTENDED:-}" ] || export FASTIMG_FUZZ="${FASTIMG_FUZZ:-20000}" FASTIMG_KILLS="${FASTIMG_KILLS:-500}" \
    FASTIMG_LEAKS="${FASTIMG_LEAKS:-20000}"
prepare venv turbojpeg ${FASTIMG_EXTENDED:+clang}
cd "$project"
use_sanitizers
if [ "${FASTIMG_SANITIZE:-}" = thread ] && [ $# -eq 0 ]; then
    shopt -s nullglob
    for topic in $with_threads; do set -- "$@" "tests/test_$topic".py "tests/test_${topic}_"*.py; done
fi

extras=test,dev lint=1
# Not all libraries and tools have packages for CPython without the GIL; the tools say the same with any other.
has_gil || extras=test-core lint=
[ -z "${FASTIMG_SANITIZE:-}" ] || lint=
install_fastimg "$extras"
copy_tests

if [ -n "$lint" ]; then
    PATH="$venv/bin:$PATH"
    check "ruff check" ruff check --quiet .
    check "ruff format" ruff format --check --quiet --diff .
    check "cython-lint" cython-lint fastimg
    # shellcheck disable=SC2046 # a list
    check "clang-format" clang-format --dry-run -Werror $(find fastimg/_core tests -name '*.[ch]')
    check "mypy" mypy --no-error-summary
    [ -z "${FASTIMG_EXTENDED:-}" ] || check "mypy for Windows" mypy --no-error-summary --platform win32
    check "workflows" check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
    cd "$work" # the stub must agree with the installed module
    check "stubtest" stubtest --concise fastimg._decode
    case $wheel in *-abi3-*) check "abi3audit" abi3audit --strict "$wheel" ;; esac
fi
[ -z "${FASTIMG_EXTENDED:-}" ] || check "fuzz" bash "$project/scripts/fuzz.sh" 60

# Many tests wait: two processes take half the time. A file's tests share what they have made, and are one's.
[ $# -gt 0 ] || [ -n "${FASTIMG_SANITIZE:-}" ] || set -- -n auto --maxprocesses 4 --dist loadfile
cd "$work/run"
check "Tests" "${run_env[@]}" "$venv_python" -m pytest "$@"
[ -z "${FASTIMG_SANITIZE:-}" ] || check "Reports" reports
[ -z "$failed" ] || say "FAILED: ${failed#, }"
exit "${status:-0}"
