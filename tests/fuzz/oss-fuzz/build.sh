#!/bin/bash -eu
# SPDX-License-Identifier: BSD-3-Clause
#
# OSS-Fuzz runs this to build the targets of tests/fuzz into $OUT; so does scripts/fuzz.sh, which sets the same variables.
# Beyond those, $TARGETS can name some of the targets, and $JPEG_FLAGS say how to link libjpeg-turbo: without them
# statically, as machines that run the targets do not have it.
# Each target comes with its seeds, which are made here, and its options.
set -eu # it may be run by name
shopt -s extglob
cd "$SRC/fastimg"
jpeg=${JPEG_FLAGS:--Wl,-Bstatic -ljpeg -Wl,-Bdynamic}
# Lists of words.
read -ra c_flags <<<"$CFLAGS -std=gnu11 -Ifastimg/_core -Ifastimg"
read -ra cxx_flags <<<"$CXXFLAGS"
read -ra engine <<<"$LIB_FUZZING_ENGINE"
read -ra jpeg <<<"$jpeg"

# Comparisons say nothing about Huffman codes and pixels, and following them takes most of the time.
plain='-fno-sanitize-coverage=trace-cmp'

for target in ${TARGETS:-header entropy progressive decode parts}; do
    flags=("$plain") sources=("tests/fuzz/fuzz_$target.c") objects=()
    case $target in
        header) flags=() sources+=(fastimg/_core/header.c fastimg/_core/orientation.c fastimg/_core/status.c) ;;
        decode) sources+=(fastimg/_core/*.c fastimg/_core/*/*.c) ;;
        parts) sources+=(fastimg/_core/!(team).c fastimg/_core/*/*.c) ;; # it has team.c in it
        *) sources+=(fastimg/_core/entropy/*.c fastimg/_core/cpu.c) ;;
    esac
    for source in "${sources[@]}"; do
        object=$WORK/$target-${source//\//-}.o
        "$CC" "${c_flags[@]}" ${flags[@]+"${flags[@]}"} -c "$source" -o "$object"
        objects+=("$object")
    done
    "$CXX" "${cxx_flags[@]}" "${objects[@]}" "${engine[@]}" "${jpeg[@]}" -lm -pthread -o "$OUT/fuzz_$target"
    cp "tests/fuzz/oss-fuzz/fuzz_$target.options" "$OUT"
    mkdir -p "$WORK/seeds-$target"
    "${PYTHON:-python3}" tests/fuzz/seeds.py "$target" "$WORK/seeds-$target"
    "${PYTHON:-python3}" -m zipfile -c "$OUT/fuzz_${target}_seed_corpus.zip" "$WORK/seeds-$target"/*
done
