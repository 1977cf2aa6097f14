#!/bin/bash -eu
# SPDX-License-Identifier: BSD-3-Clause
#
# OSS-Fuzz runs this to build the targets of tests/fuzz into $OUT; so does scripts/fuzz.sh, which sets the same variables.
# Beyond those, $JPEG_FLAGS says how to link libjpeg-turbo: as machines that run the targets do not have it, statically.
# Each target comes with its seeds, which are made here, and its options.
cd "$SRC/fastimg"
targets='header entropy progressive decode'
jpeg=${JPEG_FLAGS:--Wl,-Bstatic -ljpeg -Wl,-Bdynamic}
# Lists of words.
read -ra c_flags <<<"$CFLAGS -std=gnu11 -Ifastimg/_core -Ifastimg"
read -ra cxx_flags <<<"$CXXFLAGS"
read -ra engine <<<"$LIB_FUZZING_ENGINE"
read -ra jpeg <<<"$jpeg"

# compile PREFIX FLAG... -- SOURCE...: the objects, whose names begin with the prefix, in $objects
compile() {
    local prefix=$1 flags=() source
    shift
    while [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    shift
    objects=()
    for source; do
        objects+=("$WORK/$prefix-${source//\//-}.o")
        "$CC" "${c_flags[@]}" ${flags[@]+"${flags[@]}"} -c "$source" -o "${objects[${#objects[@]} - 1]}"
    done
}

# Comparisons say nothing about Huffman codes and pixels, and following them takes most of the time.
plain='-fno-sanitize-coverage=trace-cmp'
compile core $plain -- fastimg/_core/*.c fastimg/_core/*/*.c
core=("${objects[@]}")
compile entropy $plain -- fastimg/_core/entropy/*.c fastimg/_core/cpu.c
entropy=("${objects[@]}")
compile header -- fastimg/_core/header.c fastimg/_core/orientation.c fastimg/_core/status.c
header=("${objects[@]}")

for target in $targets; do
    case $target in
        header) compile target -- tests/fuzz/fuzz_header.c && objects+=("${header[@]}") ;;
        decode) compile target $plain -- tests/fuzz/fuzz_decode.c && objects+=("${core[@]}") ;;
        *) compile target $plain -- "tests/fuzz/fuzz_$target.c" && objects+=("${entropy[@]}") ;;
    esac
    "$CXX" "${cxx_flags[@]}" "${objects[@]}" "${engine[@]}" "${jpeg[@]}" -lm -pthread -o "$OUT/fuzz_$target"
    cp "tests/fuzz/oss-fuzz/fuzz_$target.options" "$OUT"
    mkdir -p "$WORK/seeds-$target"
    "${PYTHON:-python3}" tests/fuzz/seeds.py "$target" "$WORK/seeds-$target"
    "${PYTHON:-python3}" -m zipfile -c "$OUT/fuzz_${target}_seed_corpus.zip" "$WORK/seeds-$target"/*
done
