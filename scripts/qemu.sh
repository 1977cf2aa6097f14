#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/qemu.sh [kernels | core | pixels] [aarch64 | armhf | i386 | ppc64le | s390x]...
#
# Cross-compiles the core for other processors, or for aarch64 if none is named, and runs there, under qemu's emulation:
# the tests of the kernels, which name each version of each kernel; the core's own tests; and a program that prints
# checksums of the pixels of files, which must be this machine's. One of the three can be named. Compilers and qemu are
# installed if they are missing (Debian, Ubuntu). libjpeg-turbo for the processor is taken from its package, which is not
# installed. The exit status is 1 if anything failed. Settings, besides those of setup-env.sh:
#
#   FASTIMG_TEST_DATA  a folder with photos/ and awkward/, from which files are decoded; without it, small ones are made
#   FASTIMG_QEMU_FILES how many of each of the two; default: 30
#   FASTIMG_SYSROOT    a folder with libjpeg-turbo for the processor, if apt has no package of it: include/jpeglib.h and
#                     lib/libjpeg.a, anywhere below it
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"
cd "$project"

jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
status=0
failed() { say "FAILED: $*"; status=1; }

name_parts() { # sets names of the processor: the compiler's, Debian's, qemu's
    case $1 in
        aarch64) triplet=aarch64-linux-gnu debian=arm64 qemu=aarch64 ;;
        armhf) triplet=arm-linux-gnueabihf debian=armhf qemu=arm ;;
        i386) triplet=i686-linux-gnu debian=i386 qemu=i386 ;;
        ppc64le) triplet=powerpc64le-linux-gnu debian=ppc64el qemu=ppc64le ;;
        s390x) triplet=s390x-linux-gnu debian=s390x qemu=s390x ;;
        *) die "no such processor: $1. Known: aarch64, armhf, i386, ppc64le, s390x" ;;
    esac
}

find_emulator() { emulator=$(type -P "qemu-$qemu" || type -P "qemu-$qemu-static"); }

prepare_cross() { # finds or installs the compiler and $emulator
    local packages=()
    type -P "$triplet-gcc" >/dev/null || packages=("gcc-$triplet" "libc6-dev-$debian-cross")
    find_emulator || packages+=(qemu-user)
    if [ ${#packages[@]} -gt 0 ]; then
        say "Installing ${packages[*]}"
        apt_install "${packages[@]}" || true
    fi
    { find_emulator && type -P "$triplet-gcc" >/dev/null; } || die "missing: $triplet-gcc or qemu-$qemu"
}

# apt's lists for the other processor are kept apart, so this machine's packages stay as they are.
find_libjpeg() { # sets $include_flags and $libjpeg
    local root=${FASTIMG_SYSROOT:-$work/$debian/root} folder=$work/$debian apt package file
    if [ -z "${FASTIMG_SYSROOT:-}" ]; then
        mkdir -p "$root" "$folder/lists/partial" "$folder/cache/archives/partial"
        apt="apt-get -qq -o APT::Architecture=$debian -o APT::Architectures::=$debian -o Dir::State::Status=/dev/null
            -o Dir::State::Lists=$folder/lists -o Dir::Cache=$folder/cache -o APT::Sandbox::User=root"
        # shellcheck disable=SC2086 # a command; some sources have no packages for the processor
        $apt update >"$folder/log" 2>&1 </dev/null || true
        for package in libjpeg62-turbo-dev libjpeg-turbo8-dev; do # Debian's, Ubuntu's
            # shellcheck disable=SC2086
            (cd "$folder" && $apt download "$package") >>"$folder/log" 2>&1 </dev/null || true
        done
        for file in "$folder"/*.deb; do
            [ ! -e "$file" ] || dpkg-deb -x "$file" "$root"
        done
    fi
    libjpeg=$(find "$root" -name libjpeg.a | head -n 1)
    [ -n "$libjpeg" ] || { cat "$folder/log" >&2 2>/dev/null; die "no libjpeg-turbo for $debian: see FASTIMG_SYSROOT"; }
    include_flags=$(find "$root" -name 'j[pc]*[bg].h' -printf '-isystem %h\n' | sort -u | tr '\n' ' ')
}

compile() { # TARGET_FOLDER COMPILER AR FLAGS LIBJPEG: the core as libcore.a, and programs
    local out=$1 cc=$2 flags="-std=c11 -O3 -Wall -Wextra -Werror -pthread -Ifastimg/_core $4" name programs sources
    mkdir -p "$out/objects"
    # shellcheck disable=SC2016,SC2038 # expanded by sh; no name has spaces
    find fastimg/_core -name '*.c' | xargs -P "$jobs" -I{} sh -c \
        "$cc $flags -c {} -o $out/objects/\$(echo {} | tr / -).o" || die "cannot compile the core for $out"
    "$3" -rcs "$out/libcore.a" "$out"/objects/*.o
    case $parts in
        kernels | pixels) programs=$parts ;;
        core) programs="test_sinks test_files test_views test_threads" ;;
        *) programs="kernels test_sinks test_files test_views test_threads pixels" ;;
    esac
    [ "$out" != "$work/native" ] || programs=pixels
    for name in $programs; do
        sources=("tests/core/$name.c")
        [ "$name" != kernels ] || sources=(tests/kernels/*.c)
        # shellcheck disable=SC2086 # lists
        $cc $flags "${sources[@]}" "$out/libcore.a" $5 -lm -o "$out/$name" || die "cannot compile $name for $out"
    done
}

list_files() { # writes $work/files, one per line, and the fewer $work/photos for programs that take long
    local folder
    if [ -n "${FASTIMG_TEST_DATA:-}" ]; then
        for folder in photos awkward; do
            find "$FASTIMG_TEST_DATA/$folder" -type f -iname '*.jp*g' | LC_ALL=C sort >"$work/all"
            awk -v want="${FASTIMG_QEMU_FILES:-30}" -v all="$(wc -l <"$work/all")" \
                'int(NR * want / all) > int((NR - 1) * want / all)' "$work/all" | tee "$work/$folder"
        done >"$work/files"
    else
        mkdir "$work/made"
        "$python" tests/fuzz/seeds.py plain "$work/made" >/dev/null
        find "$work/made" -type f | sort >"$work/files"
        : >"$work/photos"
    fi
    [ -s "$work/files" ] || die "no files"
}

test_kernels() { # PROCESSOR
    say "Kernels on $1"
    "$emulator" "$work/$debian/kernels" || failed "kernels on $1"
}

test_core() { # PROCESSOR
    local out=$work/$debian photos
    say "Tests of the core on $1"
    mapfile -t photos < <(head -n 5 "$work/photos")
    { "$emulator" "$out/test_sinks" && "$emulator" "$out/test_sinks" c; } || failed "test_sinks on $1"
    mkdir "$out/empty"
    "$emulator" "$out/test_files" "$out/empty" || failed "test_files on $1"
    [ ${#photos[@]} -gt 0 ] || return 0
    "$emulator" "$out/test_views" "${photos[@]}" || failed "test_views on $1"
    "$emulator" "$out/test_threads" 1 "${photos[@]}" || failed "test_threads on $1"
}

# Of a damaged file whose numbers overflow, libjpeg-turbo's own pixels depend on the processor: there, the core's must be
# those of the libjpeg-turbo that it was linked with.
compare_pixels() { # PROCESSOR
    local out=$work/$debian
    say "Pixels of $(wc -l <"$work/files") files on $1"
    "$emulator" "$out/pixels" - <"$work/files" >"$out/pixels.txt" || failed "pixels on $1"
    awk -v processor="$1" '
        function after(word,  i) { for (i = 2; i < NF; i++) if ($i == word) return $(i + 1) " " $(i + 2) " " $(i + 3) }
        FNR == NR { native[FNR] = $0; next }
        $0 == native[FNR] { equal++; next }
        {
            here = after("lenient"); same = here == after("libjpeg") && after("strict") ~ /^CORRUPT /
            there = $0; $0 = native[FNR]
            same = same && after("lenient") == after("libjpeg") && after("strict") ~ /^CORRUPT /
            if (same) { print "libjpeg-turbo differs, too: " $1; damaged++ } else print "< " $0 "\n> " there
        }
        END {
            printf "pixels of %d of %d files are equal on %s\n", equal, FNR, processor
            exit FNR == 0 || equal + damaged < FNR
        }' "$work/native/pixels.txt" "$out/pixels.txt" || failed "pixels on $1"
}

parts="kernels core pixels"
case ${1:-} in kernels | core | pixels) parts=$1 && shift ;; esac
[ $# -gt 0 ] || set -- aarch64
for processor in "$@"; do name_parts "$processor"; done
# shellcheck disable=SC2119 # nothing but what every build needs
prepare
list_files
if [[ $parts = *pixels* ]]; then
    say "Pixels of $(wc -l <"$work/files") files on this machine"
    # The flags are for linking, too, which clang warns of.
    compile "$work/native" "${CC:-gcc}" ar "-Wno-unused-command-line-argument $(jpeg_flags)" "$(jpeg_flags)"
    "$work/native/pixels" - <"$work/files" >"$work/native/pixels.txt"
fi
for processor in "$@"; do
    name_parts "$processor"
    prepare_cross
    find_libjpeg
    compile "$work/$debian" "$triplet-gcc" "$triplet-ar" "-static $include_flags" "$libjpeg"
    [[ $parts != *kernels* ]] || test_kernels "$processor"
    [[ $parts != *core* ]] || test_core "$processor"
    [[ $parts != *pixels* ]] || compare_pixels "$processor"
done
exit "$status"
