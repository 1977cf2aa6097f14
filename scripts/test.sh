#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/test.sh [ARGUMENTS OF PYTEST]
#
# Sets up what it needs, builds a source package and from that a wheel, checks the sources, installs the wheel and runs
# the tests against it, away from the checkout. A check that fails does not keep the tests from running; the exit status
# is that of the first failure. Settings, besides those of setup-env.sh:
#
#   FASTIMG_EXTENDED=1 more mutated files (FASTIMG_FUZZ=20000), and a minute of each fuzz target, for which clang is needed
#   FASTIMG_TEST_DATA  a folder with more files to test on
#   FASTIMG_WERROR=1   a warning of the C compiler is an error
#   FASTIMG_SANITIZE=1 build with AddressSanitizer and UndefinedBehaviorSanitizer (gcc), and run the tests under them
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

sanitize=${FASTIMG_SANITIZE:-}
[ -z "$sanitize" ] || FASTIMG_VENV=${FASTIMG_VENV:-$(dirname "$here")/.venv-sanitize}
# shellcheck source=scripts/setup-env.sh
. "$here/setup-env.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
first_failure=0
failed=

check() { # a name, a command: runs it, remembers whether it failed
    local name=$1 status=0
    shift
    say "$name"
    "$@" >&2 </dev/null || status=$?
    [ "$status" -ne 0 ] || return 0
    failed="$failed, $name"
    [ "$first_failure" -ne 0 ] || first_failure=$status
}

extended=${FASTIMG_EXTENDED:-}
[ -z "$extended" ] || export FASTIMG_FUZZ="${FASTIMG_FUZZ:-20000}"
prepare_system turbojpeg ${extended:+clang}
prepare_venv
cd "$project"
tool() { "$venv_python" -m "$@"; }

# ---- build -----------------------------------------------------------------------------------------------------------

if [ -n "$sanitize" ]; then
    flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    export CFLAGS="${CFLAGS:-} $flags -O1 -g -fno-omit-frame-pointer" LDFLAGS="${LDFLAGS:-} $flags"
    preload=
    for library in libasan.so libubsan.so libstdc++.so.6; do # the last for its exceptions, which ASan intercepts
        path=$("${CC:-gcc}" -print-file-name=$library)
        case $path in
            /*) preload="$preload $path" ;;
            libstdc*) ;;
            *) die "gcc's $library is missing" ;;
        esac
    done
fi

say "Building"
quietly tool pip install --quiet build
quietly tool build --outdir "$work/dist" . || die "the build failed"
set -- "$work"/dist/*.whl "$@"
wheel=$1
shift
echo "${wheel##*/}" >&2

say "Installing the wheel"
extras="test,dev"
[ -z "$sanitize" ] || extras="test"
quietly tool pip install --quiet "${wheel}[$extras]" || die "cannot install what the tests need"
quietly tool pip install --quiet --force-reinstall --no-deps "$wheel"

# ---- check -----------------------------------------------------------------------------------------------------------

list() { # the files of ours, below what follows, that end like this
    local ending=$1 folder
    shift
    for folder in "$@"; do
        [ ! -e "$folder" ] || find "$folder" -name "$ending" ! -name _decode.c -print
    done
}

if [ -z "$sanitize" ]; then
    c_files=$(list '*.[ch]' fastimg/_core tests/kernels tests/fuzz)
    cython_files=$(list '*.p[yx][xd]' fastimg)
    check "ruff check" tool ruff check --quiet .
    check "ruff format" tool ruff format --check --quiet --diff .
    # shellcheck disable=SC2086 # lists
    check "cython-lint" env PATH="$venv/bin:$PATH" cython-lint $cython_files
    # shellcheck disable=SC2086
    check "clang-format" "$venv/bin/clang-format" --dry-run -Werror $c_files
    check "mypy" tool mypy --no-error-summary
    mkdir "$work/elsewhere"
    cd "$work/elsewhere" # the stub must agree with the installed module
    check "stubtest" tool mypy.stubtest --concise fastimg._decode
    case ${wheel##*/} in *-abi3-*)
        check "abi3audit" "$venv/bin/abi3audit" --strict "$wheel"
        ;;
    esac
fi
[ -z "$extended" ] || check "fuzz" bash "$here/fuzz.sh" 60

# ---- test ------------------------------------------------------------------------------------------------------------

# Beside the checkout's fastimg/ the tests would import that. The core's C sources come along for the tests that
# compile them; a folder without __init__.py does not hide the installed package.
mkdir -p "$work/tests-run/fastimg"
cd "$work/tests-run"
for item in pyproject.toml README.md tests benchmarks docs scripts; do
    [ ! -e "$project/$item" ] || cp -R "$project/$item" .
done
cp -R "$project/fastimg/_core" fastimg/

[ -z "$failed" ] || printf '\nFAILED before the tests: %s\n' "${failed#, }" >&2
say "Tests"
status=0
if [ -n "$sanitize" ]; then
    # Python itself never frees some of its memory; its own allocator would hide overflows of small blocks.
    env LD_PRELOAD="$preload" PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
        UBSAN_OPTIONS=print_stacktrace=1 FASTIMG_SANITIZE=1 "$venv_python" -m pytest "$@" || status=$?
else
    "$venv_python" -m pytest "$@" || status=$?
fi
[ "$first_failure" -ne 0 ] || first_failure=$status
exit "$first_failure"
