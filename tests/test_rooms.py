# SPDX-License-Identifier: BSD-3-Clause
"""The core's rooms have walls: includes and calls run down only, and nothing but jpeg/ knows libjpeg.

For each rule there is a small tree that breaks it, so a check that sees nothing fails too.
"""

import graphlib
import itertools
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from support import c_sources
from support.c_programs import COMPILER, CORE, PLAIN_ENV, skip_without_compiler

# What each room may use. A room is a folder, or at the top of the core a stem: header.c and header.h are one.
BASE = {"fi", "fi_library", "buffer", "clear", "cpu", "exact", "status"}
MANY = BASE | {"fi_batch", "mapped", "os", "team"}
STAGES = BASE | {"entropy", "pixels"}
BELOW_DECODER = STAGES | {"team", "jpeg", "plan", "header", "orientation", "source", "reading"}
MAY_USE = {
    "fi": {"fi_library"},
    "fi_library": set(),
    "fi_batch": {"fi", "mapped", "os", "team"},
    "team": BASE | {"os"},
    "mapped": {"buffer", "os"},
    "buffer": {"fi"},
    "clear": set(),
    "exact": set(),
    "cpu": {"fi"},
    "glibc": set(),
    "os": {"fi_library", "glibc"},
    "status": {"fi"},
    "entropy": BASE,
    "pixels": BASE,
    "jpeg": STAGES | {"os", "team"},
    "plan": BASE,
    "header": BASE | {"orientation"},
    "orientation": BASE,
    "source": BASE | {"os"},
    "reading": BASE | {"header", "source"},
    "boxes": MANY | {"glibc"},
    "faults": MANY,
    "readers": MANY | {"faults"},
    "reads": MANY | {"faults", "reading", "source", "readers"},
    "views": BASE | {"pixels"},
    "decoder": BELOW_DECODER | {"views"},
    "batch": MANY | {"boxes", "decoder", "pixels", "readers", "reads"},
    "init": BELOW_DECODER | {"decoder"},
}
LIBJPEG = {"jconfig.h", "jerror.h", "jmorecfg.h", "jpegint.h", "jpeglib.h", "setjmp.h"}
JUMPS_FROM = ("jpeg/decompressor.c",)


class Arrow(NamedTuple):
    source: Path  # from the core's folder
    line: int
    target: Path
    what: str

    def __str__(self):
        return f"{self.source}:{self.line} {self.what} {self.target}"


def unit(path):
    """A source and its header are one."""
    return path.with_suffix("").as_posix()


def room(path):
    return path.parts[0] if len(path.parts) > 1 else path.stem


def find_header(tree, path, name):
    """The file that a quoted include finds with -I fastimg/_core -I fastimg, or None."""
    for folder in (path.parent.as_posix(), ".", ".."):
        found = Path(os.path.normpath(Path("_core", folder, name)))
        if found.parts[0] == "_core" and Path(*found.parts[1:]) in tree:
            return Path(*found.parts[1:])
    return None


def find_arrows(tree):
    """Every include and every use of a function or variable from one unit in another."""
    definitions = {}
    for path, source in tree.items():
        for name in (*(each.name for each in source.functions if not each.static), *source.variables):
            definitions.setdefault(name, []).append(path)
    for path, source in tree.items():
        for name, system, line in source.includes:
            target = None if system else find_header(tree, path, name)
            if target is not None and unit(target) != unit(path):
                yield Arrow(path, line, target, "includes")
        for name in source.uses.keys() & definitions.keys() - source.statics:
            targets = [each for each in definitions[name] if unit(each) != unit(path)]
            # Its own definition wins, if each processor has one.
            if len(targets) == len(definitions[name]):
                yield from (Arrow(path, source.uses[name], target, f"uses {name} of") for target in targets)


def find_circle(graph):
    """Nodes that need one another, from the first by name and back to it; or an empty list."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        ring = error.args[1][:0:-1]
        first = ring.index(min(ring))
        return [*ring[first:], *ring[: first + 1]]
    return []


def circles(arrows, key):
    """A circle of arrows between what `key` makes of their ends, if there is one."""
    graph, reasons = {}, {}
    for arrow in arrows:
        source, target = key(arrow.source), key(arrow.target)
        if source != target:
            graph.setdefault(source, []).append(target)
            reasons.setdefault((source, target), str(arrow))
    found = find_circle(graph)
    if found:
        steps = [reasons[pair] for pair in itertools.pairwise(found)]
        yield f"a circle: {' -> '.join(found)} ({'; '.join(steps)})"


def jpeg_problems(path, source):
    for name, _, line in source.includes:
        if Path(name).name in LIBJPEG and room(path) != "jpeg":
            yield f"{path}:{line} includes {name}, which jpeg/ alone may do"
    if "longjmp" in source.uses and room(path) != "jpeg":
        yield f"{path}:{source.uses['longjmp']} uses longjmp, which jpeg/ alone may do"
    for name in {"setjmp", "_setjmp", "sigsetjmp"} & source.uses.keys():
        if path.as_posix() not in JUMPS_FROM:
            yield f"{path}:{source.uses[name]} uses {name}, which {JUMPS_FROM[0]} alone may do"


def core_problems(core):
    """Every broken rule in a core's folder, one sentence each."""
    tree = c_sources.read_tree(core)
    arrows = sorted(find_arrows(tree))
    problems = []
    for path, source in tree.items():
        if room(path) not in MAY_USE:
            problems.append(f"{path} is in no room that is known here")
        for each in source.functions:
            if not each.static and not each.name.startswith("fi_"):
                problems.append(f"{path}:{each.line} {each.name} is not static and not called fi_...")
        for name, system, line in source.includes:
            if not system and Path(name).name not in LIBJPEG and find_header(tree, path, name) is None:
                problems.append(f"{path}:{line} includes {name}, which is not there")
        problems += jpeg_problems(path, source)
    for arrow in arrows:
        above, below = room(arrow.source), room(arrow.target)
        if above != below and below not in MAY_USE.get(above, MAY_USE):
            problems.append(f"{arrow}: {above} may not use {below}")
    return [*problems, *circles(arrows, unit), *circles(arrows, room)]


def write_tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def core():
    if not (CORE / "fi.h").exists():
        pytest.skip("no C sources")
    return CORE


def test_core(core):
    problems = core_problems(core)
    assert not problems, "\n".join(problems)


def test_core_is_seen(core):
    """The scanner finds what must be there."""
    tree = c_sources.read_tree(core)
    arrows = {(room(each.source), room(each.target)) for each in find_arrows(tree)}
    assert {("batch", "decoder"), ("decoder", "jpeg"), ("jpeg", "entropy"), ("jpeg", "pixels")} <= arrows
    assert sum(len(source.functions) for source in tree.values()) > 250
    for source in tree.values():
        assert source.path.suffix == ".h" or source.functions


# ---- that the checks can fail --------------------------------------------------------------------

GOOD = {
    "fi.h": "#ifndef FI_H\n#define FI_H\nvoid fi_run(void);\nint fi_decode(int n);\n#endif\n",
    "batch.c": '#include "fi.h"\nvoid fi_run(void) {\n    fi_decode(1);\n}\n',
    "decoder.c": '#include "fi.h"\n#include "jpeg/hooks.h"\nint fi_decode(int n) { return fi_hook(n); }\n',
    "jpeg/decompressor.c": '#include <setjmp.h>\n#include "hooks.h"\nint fi_arm(void) { return setjmp(0); }\n',
    "jpeg/hooks.c": '#include "hooks.h"\n#include "pixels/copy.h"\nint fi_hook(int n) { return fi_copy(n); }\n',
    "jpeg/hooks.h": "#include <jpeglib.h>\nint fi_hook(int n);\n",
    "entropy/bytes.c": (
        "/* fi_decode() and fi_hook() only in words */\n"
        "#define INNER static inline __attribute__((always_inline))\n"
        'const char *fi_bytes_name(void) { return "fi_decode(1)"; } // fi_hook\n'
        "INNER int narrow(int n) { return n; }\n"
        "static int fi_hook(int (*f)(int), int n) { return f(n) + narrow(n); }\n"
        "int fi_bytes(int n) { return fi_hook(narrow, n); }\n"
    ),
    "pixels/copy.c": (
        '#include "copy.h"\n'
        '#if defined(__x86_64__)\n#include "x86/copy_impl.h"\n#endif\n'
        "int fi_copy(int n) { struct fi_decode a = {.fi_run = n}; return a.fi_decode + (&a)->fi_run; }\n"
    ),
    "pixels/copy.h": '#include "_core/fi.h"\n#include <stddef.h>\nextern const int fi_ones[2];\nint fi_copy(int n);\n',
    "pixels/ones.c": '#include "copy.h"\nconst int fi_ones[2] = {1, 1};\n',
    "pixels/x86/copy_impl.h": "#include <immintrin.h>\nstatic int copy_avx2(int n) { return n; }\n",
}
BROKEN = {
    "a call up": ({"jpeg/up.c": "void fi_up(void) { fi_run(); }"}, "jpeg may not use batch"),
    "an include up": ({"plan.c": '#include "jpeg/hooks.h"\nint fi_plan(void) { return 1; }'}, "plan may not use jpeg"),
    "an include up, by a path": (
        {"pixels/x86/up.h": '#include "../../jpeg/hooks.h"'},
        "pixels may not use jpeg",
    ),
    "a call aside": ({"entropy/aside.c": "int fi_aside(void) { return fi_copy(1); }"}, "entropy may not use pixels"),
    "a function taken": ({"entropy/taken.c": "int (*const fi_taken)(int) = fi_hook;"}, "entropy may not use jpeg"),
    "a function in a macro": ({"pixels/macro.h": "#define UP(n) \\\n    fi_hook(n)"}, "pixels/macro.h:2 uses fi_hook"),
    "a variable": ({"entropy/variable.c": "int fi_one(void) { return fi_ones[1]; }"}, "uses fi_ones of pixels/ones.c"),
    "a file without a room": ({"compat.h": ""}, "compat.h is in no room"),
    "a room that is not known": ({"png/chunks.c": ""}, "png/chunks.c is in no room"),
    "a name for all": ({"pixels/name.c": "int copy(void) { return 1; }"}, "copy is not static"),
    "a header that is not there": ({"plan.c": '#include "plans.h"\n'}, "includes plans.h, which is not there"),
    "libjpeg": ({"pixels/copy.h": "#include <jpeglib.h>"}, "pixels/copy.h:1 includes jpeglib.h"),
    "libjpeg, quoted": ({"decoder.c": '\n#include "jerror.h"'}, "decoder.c:2 includes jerror.h"),
    "setjmp": ({"jpeg/copy.c": "int fi_set(void) { return setjmp(0); }"}, "jpeg/copy.c:1 uses setjmp"),
    "longjmp": ({"entropy/jump.c": "void fi_jump(void) { longjmp(0, 1); }"}, "entropy/jump.c:1 uses longjmp"),
    "a circle of includes": (
        {"pixels/a.h": '#include "b.h"', "pixels/b.h": '#include "pixels/c.h"', "pixels/c.h": '#include "a.h"'},
        "pixels/a -> pixels/b -> pixels/c -> pixels/a",
    ),
    "a circle of calls": (
        {
            "jpeg/a.c": "int fi_a(int n) { return n ? fi_b(n - 1) : 0; }",
            "jpeg/b.c": "int fi_b(int n) { return n ? fi_a(n - 1) : 0; }",
        },
        "jpeg/a -> jpeg/b -> jpeg/a",
    ),
    "a circle of a call and an include": (
        {"entropy/a.h": "int fi_a(void);", "entropy/a.c": "int fi_a(void) { return fi_b(); }",
         "entropy/b.c": '#include "a.h"\nint fi_b(void) { return 1; }'},
        "entropy/a -> entropy/b -> entropy/a",
    ),
    "a circle of rooms but not of files": (
        {"entropy/a.c": "int fi_a(void) { return fi_copy(1); }", "pixels/b.h": "#define B fi_bytes(1)"},
        "entropy -> pixels -> entropy",
    ),
}  # fmt: skip


def test_good_tree(tmp_path):
    assert core_problems(write_tree(tmp_path, GOOD)) == []


@pytest.mark.parametrize(("files", "problem"), BROKEN.values(), ids=BROKEN)
def test_broken_tree(tmp_path, files, problem):
    found = core_problems(write_tree(tmp_path, {**GOOD, **files}))
    assert any(problem in sentence for sentence in found), found


# ---- entropy/ and pixels/ by themselves ----------------------------------------------------------

# {processor: (its macros, the header of its vector instructions)}
PROCESSORS = {
    "x86_64": (("__x86_64__", "__SSE2__"), ("immintrin.h",)),
    "aarch64": (("__aarch64__", "__ARM_NEON"), ("arm_neon.h",)),
    "another": ((), ()),
}
# C11's headers, without setjmp.h. The test makes them as empty files: this machine's suit its own processor alone.
STANDARD = (
    *(
        "assert",
        "complex",
        "ctype",
        "errno",
        "fenv",
        "float",
        "inttypes",
        "limits",
        "locale",
        "math",
        "signal",
    ),
    *("stdalign", "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio", "stdlib", "stdnoreturn"),
    *("string", "tgmath", "threads", "time", "uchar", "wchar", "wctype"),
)


@pytest.fixture
def compiler():
    skip_without_compiler()


def preprocess(core, source, *flags):
    command = [*COMPILER, "-std=c11", "-E", *flags, "-I", core, "-I", core.parent, source]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=PLAIN_ENV)


def preprocess_for(processor, core, source, folder):
    """Without any header of this machine."""
    macros, headers = PROCESSORS[processor]
    for name in (*(f"{name}.h" for name in STANDARD), *headers):
        (folder / name).touch()
    defined = [f"-D{name}=1" for name in ("__GNUC__", *macros)]
    return preprocess(core, source, "-undef", "-nostdinc", *defined, "-isystem", folder)


def own_sources(core):
    found = [path for name in ("entropy", "pixels") for path in sorted((core / name).rglob("*.c"))]
    assert len(found) > 5
    return found


@pytest.mark.usefixtures("compiler")
def test_preprocessed_here(core):
    for source in own_sources(core):
        done = preprocess(core, source)
        assert done.returncode == 0, done.stderr
        assert not any(name in done.stdout for name in ("jpeglib.h", "jconfig.h", "jerror.h")), source


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_preprocessed_anywhere(core, processor, tmp_path):
    for source in own_sources(core):
        done = preprocess_for(processor, core, source, tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("text", "processors"),
    [
        ("#include <stdint.h>\n#include <stdatomic.h>\n", {*PROCESSORS}),
        ("#include <jpeglib.h>\n", set()),
        ("#include <setjmp.h>\n", set()),
        ("#include <immintrin.h>\n", {"x86_64"}),
        ("#if defined(__aarch64__)\n#include <jerror.h>\n#endif\n", {"x86_64", "another"}),
        (
            "#if defined(__x86_64__)\n#elif defined(__aarch64__)\n#else\n#error\n#endif\n",
            {"x86_64", "aarch64"},
        ),
        ('#include "../jpeg/missing.h"\n', set()),
    ],
)
def test_preprocessor_refuses(tmp_path, text, processors):
    core = write_tree(tmp_path / "fastimg" / "_core", {"pixels/copy.c": text})
    (tmp_path / "include").mkdir()
    passed = {
        name
        for name in PROCESSORS
        if preprocess_for(name, core, core / "pixels" / "copy.c", folder_for(tmp_path, name)).returncode == 0
    }
    assert passed == processors


def folder_for(folder, name):
    found = folder / "include" / name
    found.mkdir()
    return found
