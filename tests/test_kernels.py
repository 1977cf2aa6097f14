# SPDX-License-Identifier: BSD-3-Clause
"""Every kernel gives what its C version gives: each by itself, and in the whole library."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import jpegs

ROOT = Path(__file__).parent.parent
CORE = ROOT / "fastimg" / "_core"
FOLDER = ROOT / "tests" / "kernels"
SOURCES = [CORE / name for name in ("kernels.c", "cpu.c", "pixels.c", "idct.c")]
COMPILER = shlex.split(os.environ.get("CC", "")) or ["cc"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]

# A build for the sanitizers preloads their library, which suits no other program.
PLAIN_ENV = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}

# What each of the programs tests: kernels (of which some have a version for every processor), and formulas.
PROGRAMS = {
    "test_kernels": (
        ("split3", "merge3", "reverse", "transpose", "normalize32", "map16", "ycc8_to_rgb"),
        ("cmyk", "luma", "jfif"),
    ),
    "test_resize_kernels": (
        ("resample_rows", "resample_near", "resample_across", "round_levels", "ycc_to_rgb"),
        (),
    ),
    "test_idct_kernels": (("idct_4",), ("low_pass", "edges")),
    "test_idct_8_kernel": (("idct_8",), ("accuracy",)),
}
# Kernels without a C version, each with those that it has.
ONLY = {"idct_8": ("avx2",)}
ORIENTATIONS = range(1, 9)


def compile_c(sources, target, *flags, compiler=COMPILER):
    command = [*compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-I", CORE, *sources]
    return subprocess.run(
        [*command, "-lm", "-o", target], capture_output=True, text=True, timeout=120, env=PLAIN_ENV
    )


@pytest.fixture(scope="module", autouse=True)
def _sources():
    headers = (FOLDER / name for name in ("check.h", "coefficients.h"))
    needed = [*(FOLDER / f"{name}.c" for name in PROGRAMS), *headers, *SOURCES]
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        pytest.skip(f"no C sources: {', '.join(missing)}")


@pytest.fixture
def compiler():
    if not shutil.which(COMPILER[0]):
        pytest.skip(f"no C compiler: {COMPILER[0]}")


def check_kernels(folder, name, kernels, *flags, compiler=COMPILER, launcher=()):
    """Build a program of tests and run it; `kernels` is what the processor's own versions are called."""
    program = folder / name
    compiled = compile_c([FOLDER / f"{name}.c", *SOURCES], program, *flags, compiler=compiler)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run([*launcher, program], capture_output=True, text=True, timeout=300, env=PLAIN_ENV)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr[-2000:]

    tested, formulas = PROGRAMS[name]
    verdicts = {tuple(line.split()[:2]): line.split(maxsplit=2)[2] for line in done.stdout.splitlines()}
    for each in ONLY.keys() & tested:
        for version in {"c", kernels}:
            expected = "equals its definition" if version in ONLY[each] else "does not exist"
            assert verdicts.pop((each, version)) == expected
    with_c = [each for each in tested if each not in ONLY]
    for each in (*with_c, *formulas):
        assert verdicts.pop((each, "c")) == "equals its definition"
    if kernels != "c":
        # Some must have been tried, or the table is not what it says it is.
        found = [verdicts.pop((each, kernels)) for each in with_c]
        assert found.count("equals c") >= min(4, len(with_c))
    assert not verdicts


@pytest.fixture(scope="module")
def best_kernels():
    """The name of the versions this processor gets, whatever FASTIMG_CPU says."""
    import fastimg

    env = {name: value for name, value in os.environ.items() if name != "FASTIMG_CPU"}
    env["PYTHONPATH"] = os.pathsep.join(
        [str(Path(fastimg.__file__).parent.parent), env.get("PYTHONPATH", "")]
    )
    code = "import fastimg; print(fastimg.build_info()['kernels'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return done.stdout.strip()


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_version(tmp_path, best_kernels, name):
    check_kernels(tmp_path, name, best_kernels)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_version_sanitized(tmp_path, best_kernels, name):
    # Whether the sanitizers are installed, and may run here, shows in a program that does nothing.
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    if compile_c([empty], tmp_path / "empty", *SANITIZE).returncode:
        pytest.skip("the compiler has no sanitizers")
    if subprocess.run([tmp_path / "empty"], capture_output=True, env=PLAIN_ENV).returncode:
        pytest.skip("sanitized programs do not run here")
    check_kernels(tmp_path, name, best_kernels, *SANITIZE)


@pytest.mark.parametrize("name", PROGRAMS)
def test_neon_emulated(tmp_path, name):
    """The versions for ARM on any machine that has the tools (Debian: gcc-aarch64-linux-gnu, qemu-user)."""
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if not compiler or not emulator:
        pytest.skip("needs aarch64-linux-gnu-gcc and qemu-aarch64")
    check_kernels(tmp_path, name, "neon", "-static", compiler=[compiler], launcher=[emulator])


# ---- the whole library ---------------------------------------------------------------------------

HASHES = """
import hashlib, json, pathlib, sys
import fastimg

hashes = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jpg")):
    for options in json.loads(sys.argv[2]):
        pixels = fastimg.decode(path, **options)
        hashes[f"{path.stem} {options}"] = hashlib.sha256(pixels.tobytes()).hexdigest()
print(json.dumps([fastimg.build_info()["kernels"], hashes]))
"""


def make_files(folder):
    """Colour, grey and CMYK, in widths around those of vectors and blocks, in every orientation."""
    sizes = [(1, 1), (5, 31), (17, 32), (33, 64), (70, 65), (64, 97), (130, 16), (16, 300)]
    files = {}
    for (height, width), orientation in zip(sizes, ORIENTATIONS, strict=True):
        color = jpegs.jpeg(height, width, "4:2:0", seed=orientation)
        grey = jpegs.turbo(jpegs.pixels(height, width, 1, seed=orientation))
        four = jpegs.pillow(jpegs.pixels(height, width, 4, seed=orientation))
        for name, data in (("color", color), ("grey", grey), ("cmyk", four)):
            files[f"{name}-{orientation}"] = jpegs.oriented(data, orientation)
    # The largest of them in all orientations: full blocks and rests in both directions.
    for orientation in ORIENTATIONS:
        files[f"same-{orientation}"] = jpegs.oriented(jpegs.jpeg(70, 150), orientation)
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return files


def test_whole_library(tmp_path, child_env, best_kernels):
    files = make_files(tmp_path)
    options = [
        {"mode": mode, "layout": layout, "flip": flip, **kind}
        for mode in ("RGB", "BGR", "L")
        for layout in ("CHW", "HWC")
        for flip in (False, True)
        for kind in ({"dtype": "uint8"}, {"dtype": "float32", "mean": 0.4}, {"dtype": "float16", "std": 0.2})
    ]
    results = {}
    child_env.pop("FASTIMG_CPU", None)
    for wanted, extra in ((best_kernels, {}), ("c", {"FASTIMG_CPU": "c"})):
        done = subprocess.run(
            [sys.executable, "-c", HASHES, str(tmp_path), json.dumps(options)],
            env={**child_env, **extra}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        kernels, results[extra.get("FASTIMG_CPU")] = json.loads(done.stdout)
        assert kernels == wanted
    assert results[None] == results["c"]
    assert len(results["c"]) == len(files) * len(options)
    # That the hashes are of pixels: one of them made by others.
    name = f"same-6 {json.loads(json.dumps(options[0]))}"
    expected = jpegs.reference(files["same-6"], mode="RGB", layout="CHW")
    assert results["c"][name] == hashlib.sha256(expected.tobytes()).hexdigest()
