# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# The other scripts source this, under `set -euo pipefail`. bash 3.2 (macOS) must be able to run it.
# Optional settings:
#
#   PYTHON             the interpreter
#   FASTIMG_VENV       the virtual environment; default: .venv in the checkout
#   FASTIMG_JPEG_ROOT  the prefix of libjpeg-turbo, if pkg-config does not know it
#   FASTIMG_SANITIZE   sanitizers of gcc, as -fsanitize takes them, to build with and to run under (Linux)

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${FASTIMG_VENV:-$project/.venv${FASTIMG_SANITIZE:+-sanitize-${FASTIMG_SANITIZE//,/-}}}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
venv_python=$venv/bin/python
brew=$(brew --prefix 2>/dev/null || true)
# Homebrew keeps some packages where pkg-config does not look by itself.
[ -z "$brew" ] || export PKG_CONFIG_PATH="$brew/opt/jpeg-turbo/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
# Rather an older wheel of a library than a newer source package, which may take an hour to build.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PREFER_BINARY=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf '\nfastimg: %s\n' "$*" >&2; exit 1; }

quietly() { # COMMAND...: prints what it says only if it fails
    local log status=0
    log=$("$@" 2>&1 </dev/null) || status=$?
    [ "$status" -eq 0 ] || printf '%s\n' "$log" >&2
    return "$status"
}

ask_python() { "$python" -c "import ctypes.util, glob, importlib.util, sys, sysconfig; $1" 2>/dev/null; }

has_gil() { ask_python 'sys.exit(bool(sysconfig.get_config_var("Py_GIL_DISABLED")))'; }

find_python() { # sets $python, one that fastimg runs on and that can make a virtual environment
    for python in "${PYTHON:-$venv_python}" ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        ! ask_python 'sys.exit(sys.implementation.name != "cpython" or sys.version_info < (3, 11)
            or not any(map(importlib.util.find_spec, ("ensurepip", "pip"))))' || return 0
    done
    return 1
}

builds() { # COMPILER FLAGS PROGRAM: does that give an executable?
    # shellcheck disable=SC2086 # lists
    printf '%s\n' "$3" | $1 -x c - -o "$work/probe" $2
}

jpeg_flags() {
    local root=${FASTIMG_JPEG_ROOT:-}
    echo "${root:+-I$root/include -L$root/lib -L$root/lib64 -Wl,-rpath,$root/lib -Wl,-rpath,$root/lib64}" \
        "$(pkg-config --cflags --libs libjpeg 2>/dev/null || echo -ljpeg)"
}

find_clang() { # sets $clang. Apple's has no libFuzzer, and Debian's no sanitizers without another package
    for clang in "${CC:-clang}" clang clang-{25..12} "$brew/opt/llvm/bin/clang"; do
        ! builds "$clang" -fsanitize=fuzzer,address,undefined 'int LLVMFuzzerTestOneInput() { return 0; }' || return 0
    done
    return 1
}

need() { # NAME APT DNF BREW COMMAND...: if the command fails, NAME is missing, and these packages bring it
    local name=$1 bring=
    case $manager in
        apt-get) bring=$2 ;; dnf) bring=$3 ;; brew) bring=$4 ;;
        apk | choco) [ "$1" != nasm ] || bring=nasm ;; # the images for wheels have the rest
    esac
    shift 4
    ! "$@" >/dev/null 2>&1 </dev/null || return 0
    missing="${missing:+$missing, }$name" packages="$packages${bring:+ $bring}"
}

look() { # [turbojpeg] [clang]: sets $missing, and the $packages that bring it
    local py cc
    missing='' packages=''
    need "CPython 3.11 or newer, with pip or venv" "python3 python3-venv" python3 python find_python
    # A Python that is not the system's has its own headers, or cannot get them from a package.
    py=$(ask_python 'print("python%d.%d" % sys.version_info[:2] if sys.base_prefix == "/usr" else "")') || py=python3
    need "Python.h for $python" "${py:+$py-dev}" "${py:+$py-devel}" "" \
        ask_python 'open(sysconfig.get_path("include") + "/Python.h")'
    cc=${CC:-$(ask_python 'print(sysconfig.get_config_var("CC") or "cc")' || echo cc)}
    need "a C compiler" "gcc libc6-dev" "gcc glibc-devel" "" builds "$cc" "" 'int main() { return 0; }'
    need pkg-config pkg-config pkgconf-pkg-config pkgconf test -n "${FASTIMG_JPEG_ROOT:-$(command -v pkg-config)}"
    need "libjpeg-turbo's jpeglib.h" libjpeg-dev libjpeg-turbo-devel jpeg-turbo builds "$cc" "$(jpeg_flags)" \
        $'#include <stdio.h>\n#include <jpeglib.h>
int main() { return jpeg_std_error(0) && LIBJPEG_TURBO_VERSION_NUMBER; }'
    [[ $* != *turbojpeg* ]] || need libturbojpeg libturbojpeg0-dev turbojpeg jpeg-turbo \
        ask_python 'sys.exit(not (ctypes.util.find_library("turbojpeg") or glob.glob("/opt/*/lib*/libturbojpeg.dylib")
            or glob.glob("/*/*/opt/jpeg-turbo/lib/libturbojpeg.dylib")))'
    [[ $* != *clang* ]] || need "a clang with libFuzzer" "clang libclang-rt-dev" "clang compiler-rt" llvm find_clang
}

as_root() { # COMMAND...: with sudo where it is needed, which may ask for a password on a terminal
    local sudo=(sudo -n)
    [ ! -t 0 ] || sudo=(sudo)
    [ "$(id -u)" -ne 0 ] || sudo=()
    quietly ${sudo[@]+"${sudo[@]}"} "$@"
}

apt_install() { # PACKAGE...
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq)
    as_root "${apt[@]}" update
    as_root "${apt[@]}" install -y --no-install-recommends "$@"
}

find_or_install() { # LOOK ARGUMENT...: a function that sets $missing and $packages, such as look
    manager=$(basename "$(type -P apt-get dnf apk brew choco | head -n 1)")
    "$@"
    if [ -n "$packages" ]; then
        say "Installing with $manager:$packages"
        # shellcheck disable=SC2086 # lists
        case $manager in
            apt-get) apt_install $packages ;;
            dnf) as_root dnf install -y -q $packages ;;
            apk) as_root apk add $packages ;;
            brew) HOMEBREW_NO_AUTO_UPDATE=1 quietly brew install $packages ;;
            choco) quietly choco install -y --no-progress $packages ;;
        esac || true # the next look says what is still missing
        "$@"
    fi
    [ -z "$missing" ] ||
        die "missing: $missing. See 'Install' in docs/start.md${packages:+, or run: $manager install$packages}"
}

prepare_venv() {
    ! "$venv_python" -m pip --version >/dev/null 2>&1 || return 0
    say "Making a virtual environment in $venv"
    [ ! -e "$venv" ] || [ -e "$venv/pyvenv.cfg" ] || die "$venv exists and is not a virtual environment"
    # Debian's Python without python3-venv cannot put pip into it; a pip outside can.
    "$python" -m venv --clear "$venv" >/dev/null 2>&1 ||
        { "$python" -m venv --clear --without-pip "$venv" &&
            quietly "$python" -m pip --python "$venv_python" install pip; } ||
        die "cannot make a virtual environment with $python: it needs its venv package, such as python3-venv"
}

# [venv] [turbojpeg] [clang]: finds or installs what a build needs, and these if named; sets $python and $clang
prepare() {
    [ -z "${PYTHON:-}" ] || find_python || die "PYTHON=$PYTHON is not a CPython 3.11 or newer, with pip or venv"
    find_or_install look "$@"
    [[ $* != *venv* ]] || prepare_venv
}

pip_install() { quietly "$venv_python" -m pip install --quiet "$@"; }

install_fastimg() { # EXTRAS: builds a source package, and from that a wheel, which it installs; sets $wheel
    say "Building"
    pip_install build
    quietly "$venv_python" -m build --outdir "$work/dist" "$project" || die "the build failed"
    wheel=$(echo "$work"/dist/*.whl)
    install_wheel "$1"
}

install_wheel() { # EXTRAS: installs $wheel, also over one of the same version
    say "Installing ${wheel##*/}"
    pip_install "${wheel}[$1]"
    pip_install --force-reinstall --no-deps "$wheel"
}

# Copies what the tests need to $work/run. They must not find fastimg/ beside them. Its C and Cython sources, which some
# of them compile or read, hide nothing without an __init__.py.
copy_tests() {
    mkdir -p "$work/run/fastimg"
    (cd "$project" &&
        cp -R pyproject.toml README.md tests benchmarks docs scripts "$work/run" &&
        cp -R fastimg/_core fastimg/*.p[yx][xdi] "$work/run/fastimg")
}

use_sanitizers() { # sets the compiler's flags, and $run_env, in which what they built runs; see reports
    local list=${FASTIMG_SANITIZE:-} libraries preload='' library common flags
    run_env=(env)
    case $list in
        '') return 0 ;;
        address | undefined | address,undefined) libraries=libasan.so ;;
        thread) libraries=libtsan.so run_env=(setarch -R env) ;; # it has fixed places in memory
        *) die "FASTIMG_SANITIZE must be address,undefined or thread, found $list" ;;
    esac
    flags="-fsanitize=$list -fno-sanitize-recover=undefined"
    export CFLAGS="${CFLAGS:-} $flags -O1 -g -fno-omit-frame-pointer"
    # The runtimes of gcc set their log_path through a function that has the same name in each: UBSan's own is hidden in
    # what is built, or it would give the path to ASan's, and report to stderr.
    export LDFLAGS="${LDFLAGS:-} $flags -static-libubsan -Wl,--exclude-libs,libubsan.a"
    for library in $libraries libstdc++.so.6; do # the last for its exceptions, which they intercept
        preload="$preload $("${CC:-gcc}" -print-file-name="$library")"
    done
    # Tests catch what programs print, so reports go to files; one test wants a process to die of SIGBUS. Python never
    # frees some of its memory; its own allocator would hide overflows of small blocks.
    mkdir "$work/reports"
    common="log_path=$work/reports/report:handle_sigbus=0"
    run_env+=(LD_PRELOAD="$preload" PYTHONMALLOC=malloc UBSAN_OPTIONS="$common:print_stacktrace=1"
        ASAN_OPTIONS="$common:detect_leaks=0:allocator_may_return_null=1"
        TSAN_OPTIONS="$common:die_after_fork=0:suppressions=$project/tests/support/races.supp")
}

reports() { # prints what the sanitizers found; succeeds if that is nothing
    local count=0 file
    for file in "$work"/reports/*; do
        # Tests ask for sizes that nobody has, and get MemoryError; that is no report.
        grep -sqv 'WARNING: AddressSanitizer failed to allocate' "$file" || continue
        cat "$file" >&2
        count=$((count + 1))
    done
    say "Reports of ${FASTIMG_SANITIZE:-no sanitizers}: $count"
    [ "$count" -eq 0 ]
}
