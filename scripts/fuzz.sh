#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/fuzz.sh [header | entropy | progressive | decode | parts | python] [SECONDS | ARGUMENTS]
#
# Runs one fuzz target, or each in turn, for 60 seconds unless told otherwise. Those in C are built with clang and its
# sanitizers by tests/fuzz/oss-fuzz/build.sh, and take the arguments of libFuzzer; "python" runs the targets of
# tests/fuzz/python_targets.py, each for that time, and takes the arguments of tests/fuzz/fuzz_python.py. The exit status
# is that of the first failure; its input and the target, which replays it, stay in a folder that is named then. Settings,
# besides those of setup-env.sh:
#
#   FASTIMG_CORPUS     a folder that keeps the inputs that were worth it, target by target, merged to the fewest
#   FASTIMG_TEST_DATA  a folder whose JPEGs are seeds, besides the small ones that are made
#   CC                 the clang to use, if it has libFuzzer; else clang or clang-NN
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

targets="header entropy progressive decode parts python" status='' seconds=60
case ${1:-} in header | entropy | progressive | decode | parts | python) targets=$1 && shift ;; esac
case ${1:-60} in *[!0-9]*) seconds='' ;; *) seconds=${1:-60} && shift $(($# > 0)) ;; esac
# LeakSanitizer looks once more at the end. Freed memory that is kept for longer only takes the cache's place.
export ASAN_OPTIONS="quarantine_size_mb=8${ASAN_OPTIONS:+:$ASAN_OPTIONS}"

fail() { # STATUS NAME FILE...
    status=${status:-$1}
    trap - EXIT
    say "$2 failed. Its input, and the target, which replays it:" "${@:3}"
}

build() { # TARGET...: as OSS-Fuzz would
    local sanitize="-g -O2 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined"
    mkdir -p "$work/out" "$work/src" "$work/objects"
    ln -s "$project" "$work/src/fastimg"
    say "Building with $clang"
    quietly env CC="$clang" CXX="$clang" CFLAGS="$sanitize" CXXFLAGS="$sanitize" LIB_FUZZING_ENGINE=-fsanitize=fuzzer \
        OUT="$work/out" SRC="$work/src" WORK="$work/objects" JPEG_FLAGS="$(jpeg_flags)" PYTHON="$python" TARGETS="$*" \
        bash tests/fuzz/oss-fuzz/build.sh || die "cannot build the targets"
}

run_c() { # TARGET ARGUMENT...
    local target=$1 program=$work/out/fuzz_$1 corpus=${FASTIMG_CORPUS:-$work/corpus}/$1 options
    shift
    options=("-max_len=$(sed -n 's/^max_len = //p' "$program.options")" -timeout=20 -verbosity=0)
    mkdir -p "$corpus" "$work/new-$target" "$work/seeds-$target"
    [ -z "${FASTIMG_TEST_DATA:-}" ] ||
        "$python" tests/fuzz/seeds.py "$target" "$work/seeds-$target" "$FASTIMG_TEST_DATA" >&2
    say "Running fuzz_$target $*"
    "$program" "${options[@]}" -print_final_stats=1 -artifact_prefix="$work/$target-" "$@" "$work/new-$target" \
        "$corpus" "$work/objects/seeds-$target" "$work/seeds-$target" >&2 </dev/null ||
        { fail $? "fuzz_$target" "$work/$target-"* "$program" && return; }
    [ -n "${FASTIMG_CORPUS:-}" ] || return 0
    mkdir "$work/merged-$target"
    quietly "$program" "${options[@]}" -merge=1 "$work/merged-$target" "$corpus" "$work/new-$target"
    rm -rf "$corpus" && cp -R "$work/merged-$target" "$corpus"
}

run_python() { # ARGUMENT...
    mkdir -p "$work/findings"
    "$venv_python" tests/fuzz/fuzz_python.py --findings "$work/findings" "$@" >&2 </dev/null ||
        fail $? "python" "$work/findings/"* tests/fuzz/fuzz_python.py
}

cd "$project"
if [[ $targets = *python* ]]; then
    prepare venv
    say "Installing"
    pip_install . pillow
fi
if [ "$targets" != python ]; then
    prepare clang
    build "${targets% python}"
fi
for target in $targets; do
    case $target in
        python) run_python ${seconds:+--seconds "$seconds"} "$@" ;;
        *) run_c "$target" ${seconds:+"-max_total_time=$seconds"} "$@" ;;
    esac
done
[ -n "$status" ] || exit 0
rm -rf "$work/corpus" "$work"/new-* "$work"/seeds-* "$work"/merged-* "$work/objects"
exit "$status"
