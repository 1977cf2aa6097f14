# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What demo.sh, test.sh and fuzz.sh need, in one place; they source it, under `set -euo pipefail`, and then call
#
#   prepare_system [turbojpeg] [clang]   a Python, a C compiler, the headers of Python and libjpeg-turbo [libturbojpeg]
#                                        [a clang with libFuzzer]; sets $python
#   prepare_venv                         a virtual environment; sets $venv_python
#   find_clang                           that clang, if there is one; sets $clang
#
# Each looks first and does nothing where all is there. What is missing is installed with apt-get, dnf or brew; where
# that cannot be, the message says what to install. Settings, all optional:
#
#   PYTHON             the interpreter to use
#   FASTIMG_VENV       where the virtual environment is; default: .venv in the checkout
#   FASTIMG_JPEG_ROOT  where libjpeg-turbo is, if not where pkg-config says
#
# bash 3.2 (macOS) must be able to read this.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${FASTIMG_VENV:-$project/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '\n== %s\n' "$*" >&2; }
die() {
    printf '\nfastimg: %s\n' "$*" >&2
    exit 1
}

# Runs a command that talks a lot: silent if it succeeds, all that it said if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 0 ] || cat "$log" >&2
    rm -f "$log"
    return "$status"
}

# ---- the system ------------------------------------------------------------------------------------------------------

usable() { # is this a CPython that fastimg runs on?
    "$1" -c 'import sys; sys.exit(sys.implementation.name != "cpython" or sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() { # sets $python
    local candidate
    for candidate in "${PYTHON:-}" "$venv/bin/python" python3 python3.{14,13,12,11}; do
        if [ -n "$candidate" ] && usable "$candidate"; then
            python=$candidate
            return
        fi
    done
    return 1
}

# Prints what is missing to build with $python, a word each. Looks by trying: compiles, links, loads.
probe() {
    "$python" - "$@" <<'PY'
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from ctypes.util import find_library
from pathlib import Path

cc = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
include = {"-I" + sysconfig.get_path(name) for name in ("include", "platinclude")}
main = "int main(void) { return 0; }\n"


def run(*args):
    try:
        return subprocess.run(args, check=True, text=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def compiles(source, *flags):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "probe.c").write_text(source)
        return run(*cc, f"{folder}/probe.c", "-o", f"{folder}/probe", *flags) is not None


missing = []
if not compiles("#include <stdio.h>\n" + main):
    missing.append("compiler")
if not compiles("#include <Python.h>\n" + main, *include):
    missing.append("headers")

root = os.environ.get("FASTIMG_JPEG_ROOT")
flags = f"-I{root}/include -L{root}/lib -L{root}/lib64 -ljpeg" if root else run("pkg-config", "--cflags", "--libs", "libjpeg")
if not root and run("pkg-config", "--version") is None:
    missing.append("pkg-config")
turbo = """
#include <stdio.h>
#include <jpeglib.h>
#ifndef LIBJPEG_TURBO_VERSION
#error "another libjpeg"
#endif
int main(void) { struct jpeg_error_mgr e; return jpeg_std_error(&e) != &e; }
"""
if not compiles(turbo, *shlex.split(flags or "-ljpeg")):
    missing.append("jpeg")

if "turbojpeg" in sys.argv and not find_library("turbojpeg"):
    homes = ("/usr/local/opt/jpeg-turbo", "/opt/homebrew/opt/jpeg-turbo", "/opt/libjpeg-turbo")
    if not any(Path(home, "lib", "libturbojpeg.dylib").exists() for home in homes):
        missing.append("turbojpeg")
if sys.prefix == sys.base_prefix and importlib.util.find_spec("ensurepip") is None:
    missing.append("venv")
print(*missing)
PY
}

find_clang() { # sets $clang: Apple's has no libFuzzer, and Debian's no sanitizers without another package
    local candidate folder
    folder=$(mktemp -d)
    echo 'int LLVMFuzzerTestOneInput(const char *data, long size) { return data && size < 0; }' >"$folder/probe.c"
    for candidate in "${CC:-}" clang clang-{25..12} "$(brew --prefix llvm 2>/dev/null || true)/bin/clang"; do
        # shellcheck disable=SC2086 # $CC may have arguments
        if [ -n "$candidate" ] && $candidate -fsanitize=fuzzer,address,undefined "$folder/probe.c" -o "$folder/probe" \
            >/dev/null 2>&1; then
            clang=$candidate
            break
        fi
    done
    rm -rf "$folder"
    [ -n "${clang:-}" ]
}

# The words of probe's, and clang if that is wanted and missing.
look() {
    probe "$@"
    case " $* " in *" clang "*) find_clang || echo clang ;; esac
}

# Names the packages that bring these words, for a package manager.
packages_for() {
    local manager=$1 word version
    shift
    version=
    # An interpreter that did not come from the package manager brings its own headers, or cannot have them from there.
    case $("${python:-false}" -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])' 2>/dev/null) in
        "/usr 3 "*) version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ;;
    esac
    for word in "$@"; do
        case $manager.$word in
            apt-get.python) echo python3 python3-venv python3-dev ;;
            apt-get.compiler) echo gcc libc6-dev ;;
            apt-get.headers) [ -z "$version" ] || echo "python$version-dev" ;;
            apt-get.venv) [ -z "$version" ] || echo "python$version-venv" ;;
            apt-get.jpeg) echo libjpeg-dev ;;
            apt-get.turbojpeg) echo libturbojpeg0-dev ;;
            apt-get.pkg-config) echo pkg-config ;;
            apt-get.clang)
                echo clang
                # Where there is no such package, clang's own brings what is in it.
                ! apt-cache show libclang-rt-dev >/dev/null 2>&1 || echo libclang-rt-dev
                ;;
            dnf.python) echo python3 python3-devel ;;
            dnf.compiler) echo gcc glibc-devel ;;
            dnf.headers)
                if [ "$(readlink -f /usr/bin/python3)" = "/usr/bin/python$version" ]; then
                    echo python3-devel
                elif [ -n "$version" ]; then
                    echo "python$version-devel"
                fi
                ;;
            dnf.jpeg) echo libjpeg-turbo-devel ;;
            dnf.turbojpeg) echo turbojpeg ;;
            dnf.pkg-config) echo pkgconf-pkg-config ;;
            dnf.clang) echo clang compiler-rt ;;
            brew.python) echo python ;;
            brew.jpeg | brew.turbojpeg) echo jpeg-turbo ;;
            brew.pkg-config) echo pkgconf ;;
            brew.clang) echo llvm ;;
        esac
    done | tr ' ' '\n' | sort -u | tr '\n' ' '
}

as_root() { # nobody is asked anything, unless sudo itself wants a password and there is a terminal
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! command -v sudo >/dev/null; then
        echo "fastimg: neither root nor sudo" >&2
        return 1
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

install_missing() { # words of probe's
    local manager packages apt status=0
    for manager in apt-get dnf brew none; do
        ! command -v "$manager" >/dev/null || break
    done
    [ "$manager" != none ] ||
        die "missing: $*. There is no apt-get, dnf or brew here to install it: see 'Install' in README.md."
    case " $*" in *" compiler"*)
        [ "$manager" != brew ] || die "there is no C compiler: run 'xcode-select --install', then this again."
        ;;
    esac
    packages=$(packages_for "$manager" "$@")
    [ -n "${packages// /}" ] || return 0

    say "Installing with $manager: $packages"
    # shellcheck disable=SC2086 # $packages is a list
    case $manager in
        apt-get)
            apt="env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq"
            # Without root there is no need to fail twice; with it, an old list of packages may do.
            { as_root true && { quietly as_root $apt update || true; } &&
                packages=$(packages_for "$manager" "$@") && # of those that it knows now
                quietly as_root $apt install -y --no-install-recommends $packages; } || status=$?
            ;;
        dnf) { as_root true && quietly as_root dnf install -y -q $packages; } || status=$? ;;
        brew) quietly env HOMEBREW_NO_AUTO_UPDATE=1 brew install $packages || status=$? ;;
    esac
    # What could not be installed is looked for once more, and named, by the caller.
    [ "$status" -eq 0 ] || echo "fastimg: that failed. To do it by hand, as root: $manager install $packages" >&2
}

prepare_system() {
    local missing word
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || die "PYTHON=$PYTHON is not a CPython 3.11 or newer"
    fi
    if ! find_python; then
        install_missing python
        find_python || die "no CPython 3.11 or newer found. Install one, or name one: PYTHON=/path/to/python3.12"
    fi
    # Homebrew keeps some libraries where pkg-config does not look by itself.
    if command -v brew >/dev/null && word=$(brew --prefix jpeg-turbo 2>/dev/null); then
        export PKG_CONFIG_PATH="$word/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    fi
    missing=$(look "$@")
    [ -n "$missing" ] || return 0

    # shellcheck disable=SC2086 # $missing is a list
    install_missing $missing
    for word in $(look "$@"); do
        case $word in
            compiler) die "no C compiler that can build a program (tried \$CC, then the one Python was built with)" ;;
            headers) die "Python.h of $("$python" -c 'import sys; print(sys.executable)') is missing" ;;
            pkg-config) die "pkg-config is missing (or set FASTIMG_JPEG_ROOT)" ;;
            jpeg) die "libjpeg-turbo's headers (jpeglib.h) are missing, or are another libjpeg's" ;;
            turbojpeg) die "libturbojpeg, the tests' second opinion, is missing" ;;
            clang) die "a clang with libFuzzer and its sanitizers is missing (tried \$CC, clang and clang-NN)" ;;
            venv) ;; # prepare_venv knows another way
        esac
    done
}

# ---- the virtual environment -----------------------------------------------------------------------------------------

prepare_venv() {
    venv_python=$venv/bin/python
    if usable "$venv_python" && "$venv_python" -m pip --version >/dev/null 2>&1; then
        return 0
    fi
    say "Making a virtual environment in $venv"
    [ ! -e "$venv" ] || [ -e "$venv/pyvenv.cfg" ] || die "$venv exists and is not a virtual environment"
    # Debian's Python without python3-venv cannot put pip into it; a pip outside can.
    "$python" -m venv --clear "$venv" >/dev/null 2>&1 ||
        { "$python" -m venv --clear --without-pip "$venv" &&
            quietly "$python" -m pip --python "$venv_python" install pip; } ||
        die "cannot make a virtual environment with $python"
}
