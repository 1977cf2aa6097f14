#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/wine.sh
#
# Cross-compiles the core and its tests for Windows by mingw-w64, and runs them under Wine: kernels, sinks, views,
# threads, files, and the pixels of all files of FASTIMG_TEST_DATA. These must be this machine's with the same
# libjpeg-turbo, line by line. What is missing is installed, with apt-get or dnf. Python has no part in this. Settings,
# besides those of setup-env.sh, and of libjpeg-turbo.sh, which builds libjpeg-turbo twice:
#
#   FASTIMG_TEST_DATA  a folder with photos/ and awkward/; without it, small files that are made
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"
cd "$project"
unset FASTIMG_JPEG_ROOT FASTIMG_SANITIZE

mingw=x86_64-w64-mingw32
status=0
failed() { say "FAILED: $*"; status=1; }

# shellcheck disable=SC2317 # called by need
find_wine() { # sets $wine, and $server, which runs for as long as its programs do and a little longer
    wine=$(PATH=$PATH:/usr/lib/wine type -P wine64 wine | head -n 1)
    server=$(PATH=$PATH:/usr/lib/wine type -P wineserver wineserver64 | head -n 1)
    [ -n "$wine" ]
}

# shellcheck disable=SC2317 # called by find_or_install
look_for_tools() {
    missing='' packages=''
    need mingw-w64 gcc-mingw-w64-x86-64 mingw64-gcc "" "$mingw-gcc" --version
    need Wine wine64 wine "" find_wine
}

compile() { # FOLDER COMPILER FLAGS: programs, of the core and libjpeg-turbo
    local folder=$work/$1 compiler=$2 name
    local flags="-std=c11 -O3 -Wall -Wextra -Werror -isystem $folder/jpeg/include -Ifastimg/_core $3"
    mkdir "$folder/objects"
    # shellcheck disable=SC2016,SC2038 # expanded by sh; no name has spaces
    find fastimg/_core -name '*.c' | xargs -P 2 -I{} sh -c \
        "$compiler $flags -c {} -o $folder/objects/\$(echo {} | tr / -).o" || die "cannot compile the core: $1"
    "${compiler%gcc}ar" -rcs "$folder/libcore.a" "$folder"/objects/*.o
    # shellcheck disable=SC2086 # a list
    for name in kernels test_sinks test_views test_threads test_files pixels; do
        case $name in kernels) set -- tests/kernels/*.c ;; *) set -- "tests/core/$name.c" ;; esac
        "$compiler" $flags "$@" "$folder/libcore.a" "$folder/jpeg/lib/libjpeg.a" -static -lm -pthread \
            -o "$folder/$name.exe" || die "cannot compile $name: ${folder##*/}"
    done
}

build() {
    local cmake=(-DCMAKE_SYSTEM_NAME=Windows -DCMAKE_SYSTEM_PROCESSOR=AMD64 "-DCMAKE_C_COMPILER=$mingw-gcc"
        "-DCMAKE_RC_COMPILER=$mingw-windres")
    mkdir "$work/native" "$work/windows"
    bash scripts/libjpeg-turbo.sh "$work/native/jpeg"
    bash scripts/libjpeg-turbo.sh "$work/windows/jpeg" "${cmake[@]}"
    say "Compiling the core and its tests"
    compile native gcc ""
    # gcc does not align the stack to 32 bytes on Windows, where it would read and write vectors as if it did.
    compile windows "$mingw-gcc" -Wa,-muse-unaligned-vector-move
}

# Names and kinds of files, in a folder from which programs look at them.
make_files() {
    local long photo deep=deep
    mkdir "$work/files"
    cd "$work/files"
    photo=$work/photo.jpg
    cp "$(cat "$work/photos" "$work/list" | sed -n 1p)" "$photo"
    long=$(printf 'folder%.0s' {1..30})
    cp "$photo" plain.jpg
    cp "$photo" "with a space.jpg"
    cp "$photo" "dots...jpg"
    cp "$photo" grün-写真-🙂.jpg
    mkdir -p folder "$deep/$long/$long/写真"
    cp "$photo" "$deep/$long/$long/写真/🙂.jpg"
    head -c 3000 "$photo" >truncated.jpg
    head -c 100 "$photo" >cut.jpg
    : >empty.jpg
    {
        ls
        echo missing.jpg
        echo missing/file.jpg
        echo folder/../plain.jpg
        echo "$deep/$long/$long"
        echo "$deep/$long/$long/写真/🙂.jpg"
        echo "$deep/$long/$long/写真/missing.jpg"
        echo "$PWD/plain.jpg"
        echo "$PWD/$deep/$long/$long/写真/🙂.jpg"
    } >"$work/names"
    cd "$project"
}

list_files() {
    if [ -n "${FASTIMG_TEST_DATA:-}" ]; then
        find "$FASTIMG_TEST_DATA/photos" "$FASTIMG_TEST_DATA/awkward" -type f | LC_ALL=C sort >"$work/list"
        find "$FASTIMG_TEST_DATA/photos" -type f | LC_ALL=C sort | head -n 5 >"$work/photos"
    else
        find_python || die "needs Python, to make files"
        mkdir "$work/made"
        "$python" tests/fuzz/seeds.py plain "$work/made"
        find "$work/made" -type f | LC_ALL=C sort >"$work/list"
        : >"$work/photos"
    fi
    [ -s "$work/list" ] || die "no files"
}

run() { # PROGRAM ARGUMENT...
    local program=$1
    shift
    "$wine" "$work/windows/$program.exe" "$@" 2>"$work/stderr" | tr -d '\r' || { cat "$work/stderr" >&2; return 1; }
}

run_tests() {
    local photos
    say "Kernels"
    run kernels || failed kernels
    mapfile -t photos <"$work/photos"
    mkdir "$work/empty"
    say "Tests of the core"
    run test_files "$work/empty" || failed test_files
    { run test_sinks && run test_sinks c; } || failed test_sinks
    [ ${#photos[@]} -eq 0 ] || run test_views "${photos[@]}" || failed test_views
    [ ${#photos[@]} -eq 0 ] || run test_threads 20 "${photos[@]}" || failed test_threads
}

compare() { # WHAT LIST FOLDER
    say "$1: $(wc -l <"$2")"
    cd "$3"
    "$work/native/pixels.exe" - <"$2" >"$work/native.txt" 2>/dev/null
    run pixels - <"$2" >"$work/windows.txt" || failed "$1"
    cd "$project"
    grep -cv ' open ' "$work/native.txt" | sed 's/$/ opened/'
    if cmp -s "$work/native.txt" "$work/windows.txt"; then
        echo "all lines are equal"
    else
        diff "$work/native.txt" "$work/windows.txt" | cut -c 1-300 | head -n 20
        failed "$1"
    fi
}

# What only Windows knows: separators, its long form, and names of devices.
look_at_devices() {
    local folder="Z:${work//\//\\}\\files"
    say "Names that only Windows has"
    printf '%s\n' NUL nul "folder\\..\\NUL" '\\.\NUL' "$folder\\plain.jpg" "\\\\?\\$folder\\plain.jpg" "folder\\" \
        'C:\missing' 'plain.jpg:stream' 'a*b' 'Q:\missing' >"$work/names"
    cd "$work/files"
    run pixels - <"$work/names" | tee "$work/devices" | cut -c 1-100
    cd "$project"
    printf '%s\n' 'open NOT_FILE 20000'{,,,} 'strict OK 3x'{,} 'open OS (Is' 'open OS (No'{,,,} >"$work/expected"
    cut -d ' ' -f 2-4 "$work/devices" | sed 's/ 3x.*/ 3x/' | diff "$work/expected" - ||
        failed "names that only Windows has"
}

find_or_install look_for_tools
export WINEPREFIX=$work/prefix WINEDEBUG=-all LC_ALL=C.UTF-8
list_files
build
say "$("$wine" --version), $("$mingw-gcc" --version | head -n 1)"
run_tests
make_files
compare "Files by wide and long names, and what is none" "$work/names" "$work/files"
look_at_devices
compare "Pixels of files" "$work/list" "$work"
[ -z "$server" ] || "$server" -k || true # so that $work can be removed
[ "$status" -ne 0 ] || say "Windows: all tests passed under Wine"
exit "$status"
