# SPDX-License-Identifier: BSD-3-Clause
"""Says what is in wheels that have libjpeg-turbo inside, and fails if that is not what we publish.

    python scripts/check_wheel.py WHEEL...

Needs pyelftools (auditwheel brings it) for Linux wheels.
"""

import io
import json
import re
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

MAX_NBYTES = 700_000
GLIBC = (2, 28)  # the oldest glibc to run on
LICENSE = "BSD-3-Clause AND IJG AND Zlib"
LICENSE_FILES = ["LICENSE"] + [
    f"libjpeg-turbo/{name}" for name in ("LICENSE.md", "README.ijg", "LICENSE.zlib", "NOTICE")
]


def glibc_of(name: str) -> tuple[int, int] | None:
    """The glibc that a wheel needs, by its name: each of its tags is enough for pip."""
    found = [(int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)_", name)]
    return min(found) if found else None


def exports(binary: bytes) -> list[str]:
    """The names that an ELF file defines for others."""
    from elftools.elf.elffile import ELFFile

    symbols = ELFFile(io.BytesIO(binary)).get_section_by_name(".dynsym").iter_symbols()
    return [symbol.name for symbol in symbols if symbol.name and symbol["st_shndx"] != "SHN_UNDEF"]


def problems(path: Path) -> list[str]:
    """Print what is in a wheel; returns what is wrong with it."""
    found = []

    def fact(name: str, value: object, right: bool = True) -> None:
        print(f"  {name}: {value}")
        if not right:
            found.append(f"{path.name}: {name}: {value}")

    print(path.name)
    nbytes = path.stat().st_size
    fact("size", f"{nbytes / 1000:.0f} kB", nbytes < MAX_NBYTES)
    platform = path.stem.split("-")[-1]
    linux = "linux" in platform
    fact("platform", platform, not linux or "musllinux" in platform or (glibc_of(platform) or (9,)) <= GLIBC)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        [info] = {name.split("/")[0] for name in names if ".dist-info/" in name}
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        licenses = [name.removeprefix(f"{info}/licenses/") for name in names if f"{info}/licenses/" in name]
        fact("license", metadata["License-Expression"], metadata["License-Expression"] == LICENSE)
        right = sorted(licenses) == sorted(metadata.get_all("License-File", [])) == sorted(LICENSE_FILES)
        fact("license files", ", ".join(licenses), right)
        sbom = json.loads(archive.read(f"{info}/sboms/libjpeg-turbo.cdx.json"))
        for part in sbom["components"]:
            fact("contains", f"{part['name']} {part['version']}")
        binaries = [name for name in names if re.search(r"\.(so|pyd|dylib|dll)$", name)]
        fact("binaries", ", ".join(binaries), len(binaries) == 1)
        if linux:
            names = exports(archive.read(binaries[0]))
            fact("exported symbols", ", ".join(names), names == ["PyInit__decode"])
    return found


if __name__ == "__main__":
    wrong = [problem for path in sys.argv[1:] for problem in problems(Path(path))]
    sys.exit("\n".join(["Wrong:", *wrong]) if wrong else 0)
