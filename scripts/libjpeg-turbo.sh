#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/libjpeg-turbo.sh PREFIX [ARGUMENTS OF CMAKE]
#
# Builds the libjpeg-turbo that wheels hold: static, with its SIMD, position-independent, with hidden symbols. Its headers,
# library and licences go to PREFIX, for FASTIMG_JPEG_ROOT=PREFIX FASTIMG_JPEG_STATIC=1. Runs on Linux, macOS and, in
# Git's bash, on Windows. What is missing of cmake, nasm (x86) and a compiler is installed, if a package manager has it.
# CMake's own settings (CC, CMAKE_GENERATOR, CMAKE_TOOLCHAIN_FILE ...) count. Settings, besides those of setup-env.sh:
#
#   FASTIMG_JPEG_SOURCE  libjpeg-turbo's source archive, a path or an address; nothing is downloaded without it
#   ARCHFLAGS            on macOS, the architecture: "-arch x86_64" or "-arch arm64"; default: this machine's
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

version=3.1.3
checksum=3a13a5ba767dc8264bc40b185e41368a80d5d5f945944d1dbaa4b2fb0099f4e5 # SHA-256 of the archive of this version

[ $# -gt 0 ] || die "usage: bash scripts/libjpeg-turbo.sh PREFIX [ARGUMENTS OF CMAKE]"
[ -n "${FASTIMG_JPEG_SOURCE:-}" ] ||
    die "set FASTIMG_JPEG_SOURCE to the source archive of libjpeg-turbo $version, a path or an address"
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
shift

sha256() { if type -P sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1; }

fetch() { # copies the archive to $work/source.tar.gz and unpacks it to $work/source
    case $FASTIMG_JPEG_SOURCE in
        *://*) curl -fsSL --retry 3 -o "$work/source.tar.gz" "$FASTIMG_JPEG_SOURCE" ;;
        *) cp "$FASTIMG_JPEG_SOURCE" "$work/source.tar.gz" ;;
    esac || die "cannot get $FASTIMG_JPEG_SOURCE"
    local found
    found=$(sha256 "$work/source.tar.gz")
    [ "$found" = "$checksum" ] ||
        die "$FASTIMG_JPEG_SOURCE is not the expected libjpeg-turbo $version: SHA-256 $checksum expected, $found found"
    mkdir "$work/source"
    tar -xzf "$work/source.tar.gz" -C "$work/source" --strip-components 1
}

look_for_tools() {
    missing='' packages=''
    if [ "$system" != Windows ]; then # where CMake finds Visual Studio by itself
        need "a C compiler" "gcc libc6-dev" "gcc glibc-devel" "" builds "${CC:-cc}" "" 'int main(void) { return 0; }'
        [ -n "${CMAKE_GENERATOR:-}" ] || need make make make "" make --version
    fi
    need cmake cmake cmake cmake cmake --version
    case $arch in *86* | AMD64) need nasm nasm nasm nasm nasm --version ;; esac
}

case $(uname -s) in MINGW* | MSYS* | CYGWIN*) system=Windows ;; *) system=$(uname -s) ;; esac
arch=$(uname -m)
options=(-DCMAKE_BUILD_TYPE=Release -DENABLE_SHARED=0 -DREQUIRE_SIMD=1 -DWITH_TOOLS=0 -DWITH_TURBOJPEG=0
    -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_DOCDIR=share/doc/libjpeg-turbo) # or it depends on PREFIX
case $system in
    Windows) # a library of the C runtime of its own would not go with Python's
        options+=(-DWITH_CRT_DLL=1)
        PATH="$PATH:/c/Program Files/NASM" prefix=$(cygpath -m "$prefix") ;;
    Darwin)
        case ${ARCHFLAGS:-} in
            '') ;;
            "-arch x86_64" | "-arch arm64") arch=${ARCHFLAGS#-arch } ;;
            *) die "ARCHFLAGS must be '-arch x86_64' or '-arch arm64', found '$ARCHFLAGS'" ;;
        esac
        options+=("-DCMAKE_OSX_ARCHITECTURES=$arch") ;;
esac
# -ffunction-sections: the linker then leaves out what decoding does not use.
[ "$system" = Windows ] || options+=(-DCMAKE_POSITION_INDEPENDENT_CODE=1
    "-DCMAKE_C_FLAGS=-fvisibility=hidden -ffunction-sections -fdata-sections ${CFLAGS:-}")

fetch
find_or_install look_for_tools
say "Building libjpeg-turbo $version for $arch"
quietly cmake -S "$work/source" -B "$work/build" "${options[@]}" "-DCMAKE_INSTALL_PREFIX=$prefix" "$@" ||
    die "cannot configure libjpeg-turbo"
quietly cmake --build "$work/build" --config Release --parallel || die "cannot build libjpeg-turbo"
quietly cmake --install "$work/build" --config Release
notices=$prefix/share/doc/libjpeg-turbo
# The terms of the SIMD code stand only in its files, above the first line of code.
sed -n '/Copyright/,/^; 3\./s/^; \{0,1\}//p' "$work/source/simd/nasm/jsimdext.inc" >"$notices/LICENSE.zlib"
grep -q 'Permission is granted' "$notices/LICENSE.zlib" || die "found no terms of the SIMD code"
printf '{"version": "%s", "sha256": "%s"}\n' "$version" "$checksum" >"$notices/source.json"
