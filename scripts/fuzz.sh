#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/fuzz.sh [entropy | progressive | decode] [SECONDS | ARGUMENTS OF LIBFUZZER]
#
# Builds the targets of tests/fuzz with clang and its sanitizers, and runs one of them, or one after the other: 60 seconds
# each, if nothing else is said. Whatever is found fails the run. Its input stays in a folder that is named then, with the
# target to replay it; all else is in a temporary folder that goes. Settings, besides those of setup-env.sh:
#
#   FASTIMG_TEST_DATA  a folder whose JPEGs are seeds; without it there are small ones made with Pillow, if that is there
#   CC                 the clang to use, if it is one with libFuzzer; else clang or clang-NN
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/setup-env.sh
. "$here/setup-env.sh"

targets="entropy progressive decode"
case ${1:-} in entropy | progressive | decode)
    targets=$1
    shift
    ;;
esac
[ $# -gt 0 ] || set -- 60
case $1 in
    *[!0-9]* | "") ;;
    *)
        [ $# -eq 1 ] || die "usage: bash scripts/fuzz.sh [entropy | progressive | decode] [SECONDS | ARGUMENTS OF LIBFUZZER]"
        set -- "-max_total_time=$1"
        ;;
esac

prepare_system clang
find_clang
work=$(mktemp -d "${TMPDIR:-/tmp}/fastimg-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT

# ---- build -----------------------------------------------------------------------------------------------------------

jpeg_flags() {
    local root=${FASTIMG_JPEG_ROOT:-}
    if [ -n "$root" ]; then
        echo "-I$root/include -L$root/lib -L$root/lib64 -Wl,-rpath,$root/lib -Wl,-rpath,$root/lib64 -ljpeg"
    else
        pkg-config --cflags --libs libjpeg 2>/dev/null || echo -ljpeg
    fi
}

build() { # a target, what it is built from and with
    local target=$1
    shift
    say "Building fuzz_$target with $clang"
    # shellcheck disable=SC2086 # it may have arguments
    quietly $clang -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Ifastimg/_core \
        "tests/fuzz/fuzz_$target.c" "$@" -o "$work/fuzz_$target" || die "cannot build fuzz_$target"
}

cd "$project"
for target in $targets; do
    if [ "$target" = decode ]; then
        # shellcheck disable=SC2046 # flags
        build decode -O1 fastimg/_core/[a-z]*.c $(jpeg_flags)
    else
        # Comparisons say nothing about Huffman codes, and following them takes most of the time.
        build "$target" -O2 -fno-sanitize-coverage=trace-cmp fastimg/_core/entropy*.c fastimg/_core/cpu.c
    fi
done

# ---- run -------------------------------------------------------------------------------------------------------------

mkdir "$work/seeds"
"$python" tests/fuzz/seeds.py "$work/seeds" ${FASTIMG_TEST_DATA:+"$FASTIMG_TEST_DATA"} >&2
first_failure=0
for target in $targets; do
    most_nbytes=2048
    [ "$target" != decode ] || most_nbytes=8192
    say "Running fuzz_$target $*"
    mkdir "$work/corpus"
    status=0
    "$work/fuzz_$target" -max_len=$most_nbytes -timeout=20 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$work/$target-" "$@" "$work/corpus" "$work/seeds" >&2 </dev/null || status=$?
    rm -rf "$work/corpus"
    [ "$status" -ne 0 ] || continue
    [ "$first_failure" -ne 0 ] || first_failure=$status
    trap - EXIT
    printf '\nfastimg: fuzz_%s failed. What it was given, and the target, a program that replays it:\n' "$target" >&2
    ls "$work/$target-"* "$work/fuzz_$target" >&2 || true
done
rm -rf "$work/seeds"
exit "$first_failure"
