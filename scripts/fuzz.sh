#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/fuzz.sh [entropy | progressive | decode] [SECONDS | ARGUMENTS OF LIBFUZZER]
#
# Builds the targets of tests/fuzz with clang and its sanitizers and runs one, or each in turn, for 60 seconds unless
# told otherwise. The exit status is that of the first failure; its input and the target, which replays it, stay in a
# folder that is named then. Settings, besides those of setup-env.sh:
#
#   FASTIMG_TEST_DATA  a folder whose JPEGs are seeds; else small ones are made, if Pillow is there
#   CC                 the clang to use, if it has libFuzzer; else clang or clang-NN
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

targets="entropy progressive decode" status=''
case ${1:-} in entropy | progressive | decode) targets=$1 && shift ;; esac
case ${1:-60} in *[!0-9]*) ;; *) set -- "-max_total_time=${1:-60}" "${@:2}" ;; esac

prepare clang
cd "$project"
mkdir "$work/seeds"
"$python" tests/fuzz/seeds.py "$work/seeds" ${FASTIMG_TEST_DATA:+"$FASTIMG_TEST_DATA"} >&2
for target in $targets; do
    # Comparisons say nothing about Huffman codes, and following them takes most of the time.
    sources="fastimg/_core/entropy/*.c fastimg/_core/cpu.c"
    flags="-O2 -fno-sanitize-coverage=trace-cmp" max_len=2048
    [ "$target" != decode ] || sources=$(find fastimg/_core -name '*.c') flags="-O1 $(jpeg_flags)" max_len=8192
    say "Building fuzz_$target with $clang"
    # shellcheck disable=SC2086 # lists
    quietly $clang -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Ifastimg/_core -Ifastimg \
        "tests/fuzz/fuzz_$target.c" $sources $flags -o "$work/fuzz_$target" || die "cannot build fuzz_$target"
    say "Running fuzz_$target $*"
    mkdir "$work/corpus-$target"
    "$work/fuzz_$target" -max_len=$max_len -timeout=20 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="$work/$target-" "$@" "$work/corpus-$target" "$work/seeds" >&2 </dev/null && continue
    status=${status:-$?}
    trap - EXIT
    say "fuzz_$target failed. Its input, and the target, which replays it:" "$work/$target-"* "$work/fuzz_$target"
done
rm -r "$work/seeds" "$work/corpus-"*
exit "${status:-0}"
