# SPDX-License-Identifier: BSD-3-Clause
"""A wheel with libjpeg-turbo inside: nothing of it shows, and its notices are there. Other builds skip."""

import importlib.metadata
import importlib.util
import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from support.processes import child_env

import fastimg
import fastimg._decode

ROOT = Path(__file__).resolve().parent.parent
LICENSE = "BSD-3-Clause AND IJG AND Zlib"
TEXTS = {
    "LICENSE": "Redistribution and use",
    "libjpeg-turbo/LICENSE.md": "libjpeg-turbo Licenses",
    "libjpeg-turbo/README.ijg": "LEGAL ISSUES",
    "libjpeg-turbo/LICENSE.zlib": "provided 'as-is'",
    "libjpeg-turbo/NOTICE": "This software is based in part on the work of the Independent JPEG Group.",
}


def check_notices(dist_info, version):
    """The notices in a .dist-info folder, for a wheel with this libjpeg-turbo."""
    metadata = Metadata.from_email((dist_info / "METADATA").read_bytes())  # which is valid
    assert str(metadata.license_expression) == LICENSE
    assert metadata.license_files == list(TEXTS)
    for name, words in TEXTS.items():
        assert words in (dist_info / "licenses" / name).read_text(encoding="utf-8")
    sbom = json.loads((dist_info / "sboms" / "libjpeg-turbo.cdx.json").read_text())
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    wheel, [library] = sbom["metadata"]["component"], sbom["components"]
    assert (wheel["name"], wheel["version"]) == ("fastimg", str(metadata.version))
    assert (library["name"], library["version"]) == ("libjpeg-turbo", version)
    assert len(library["hashes"][0]["content"]) == 64
    assert sbom["dependencies"][0] == {"ref": wheel["bom-ref"], "dependsOn": [library["bom-ref"]]}


# ---- the installed wheel -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dist_info():
    """The .dist-info folder of the fastimg that is imported, if it has libjpeg-turbo inside."""
    folder = Path(fastimg.__file__).parent.parent
    for distribution in importlib.metadata.distributions(name="fastimg", path=[str(folder)]):
        for file in distribution.files or ():
            if file.name == "METADATA" and (Path(file.locate()).parent / "sboms").is_dir():
                return Path(file.locate()).parent
    pytest.skip("fastimg is not from a wheel with libjpeg-turbo inside")


def test_the_notices_are_in_the_wheel(dist_info):
    check_notices(dist_info, fastimg.build_info()["libjpeg_turbo"])


def test_the_versions_of_libjpeg_turbo_are_one(dist_info):
    info = fastimg.build_info()
    assert info["libjpeg_turbo"] == info["libjpeg_turbo_built"]


@pytest.mark.usefixtures("dist_info")
def test_the_hooks_hold_for_the_version_inside():
    code = "import fastimg; print(fastimg.build_info()['entropy'])"
    env = child_env(FASTIMG_ENTROPY="")
    assert (
        subprocess.check_output([sys.executable, "-P", "-c", code], text=True, env=env).strip() == "fastimg"
    )


@pytest.mark.usefixtures("dist_info")
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nm"), reason="needs nm for ELF")
def test_nothing_is_exported_but_the_init_function():
    binary = fastimg._decode.__file__
    symbols = subprocess.check_output(["nm", "-D", "--defined-only", binary], text=True).split()[2::3]
    assert symbols == ["PyInit__decode"]
    stripped = subprocess.run(["nm", binary], capture_output=True, text=True)
    assert stripped.stdout == "" and "no symbols" in stripped.stderr


@pytest.mark.usefixtures("dist_info")
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/maps")
def test_no_other_libjpeg_is_loaded():
    code = "import fastimg, pathlib; print(pathlib.Path('/proc/self/maps').read_text())"
    maps = subprocess.check_output([sys.executable, "-P", "-c", code], text=True, env=child_env())
    assert Path(fastimg._decode.__file__).name in maps
    assert "jpeg" not in maps.replace(str(Path(fastimg.__file__).parent), "")


# ---- how they get there --------------------------------------------------------------------------


@pytest.fixture
def prefix(tmp_path):
    """The notices that scripts/libjpeg-turbo.sh installs."""
    texts = tmp_path / "prefix" / "share" / "doc" / "libjpeg-turbo"
    texts.mkdir(parents=True)
    for name, words in TEXTS.items():
        if "/" in name:
            (texts / Path(name).name).write_text(words)
    (texts / "source.json").write_text(json.dumps({"version": "9.8.7", "sha256": "0" * 64}))
    return tmp_path / "prefix"


@pytest.fixture
def plain_dist_info(tmp_path):
    """The .dist-info folder of a wheel without libjpeg-turbo."""
    folder = tmp_path / "fastimg-1.2.dist-info"
    (folder / "licenses").mkdir(parents=True)
    (folder / "licenses" / "LICENSE").write_text(TEXTS["LICENSE"])
    head = "Metadata-Version: 2.4\nName: fastimg\nVersion: 1.2\nLicense-Expression: BSD-3-Clause\n"
    (folder / "METADATA").write_text(f"{head}License-File: LICENSE\n\nWhat it is.\n\nWhat it does.\n")
    return folder


def script(name):
    """A module of scripts/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel_notices():
    return script("wheel_notices")


def test_notices_are_added(plain_dist_info, prefix, wheel_notices):
    wheel_notices.add(plain_dist_info, prefix)
    check_notices(plain_dist_info, "9.8.7")
    text = (plain_dist_info / "METADATA").read_text()
    assert text.endswith("\n\nWhat it is.\n\nWhat it does.\n") and text.count("License-Expression") == 1


@pytest.mark.parametrize("name", [name for name in TEXTS if name not in ("LICENSE", "libjpeg-turbo/NOTICE")])
def test_a_text_that_is_missing_stops_the_build(name, plain_dist_info, prefix, wheel_notices):
    (prefix / "share" / "doc" / name).unlink()
    with pytest.raises(FileNotFoundError):
        wheel_notices.add(plain_dist_info, prefix)


# ---- scripts/check_wheel.py ----------------------------------------------------------------------


@pytest.fixture
def pack(plain_dist_info, prefix, wheel_notices, tmp_path):
    """Makes a wheel that is right but for what is given."""
    wheel_notices.add(plain_dist_info, prefix)

    def make(platform="manylinux_2_26_x86_64.manylinux_2_28_x86_64", without="", **files):
        path = tmp_path / f"fastimg-1.2-cp311-abi3-{platform}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{plain_dist_info.name}/licenses/", b"")  # as auditwheel does
            for file in plain_dist_info.rglob("*"):
                if file.is_file() and file.name != without:
                    archive.write(file, f"{plain_dist_info.name}/{file.relative_to(plain_dist_info)}")
            for name, data in {"_decode.abi3.so": b"code", **files}.items():
                archive.writestr(f"fastimg/{name}", data)
        return path

    return make


@pytest.mark.parametrize(
    ("exports", "wheel", "problem"),
    [
        (["PyInit__decode"], {}, None),
        (["PyInit__decode"], {"platform": "musllinux_1_2_x86_64"}, None),
        (["jpeg_start_decompress"], {"platform": "win_amd64"}, None),  # not looked at
        (["PyInit__decode"], {"platform": "manylinux_2_34_x86_64"}, "platform: manylinux_2_34_x86_64"),
        (["PyInit__decode"], {"platform": "linux_x86_64"}, "platform: linux_x86_64"),
        (["PyInit__decode", "jpeg_start_decompress"], {}, "exported symbols: PyInit__decode, jpeg_start"),
        (["PyInit__decode"], {"without": "NOTICE"}, "license files: "),
        (["PyInit__decode"], {"big.bin": random.Random(1).randbytes(700_000)}, "size: 7"),
        (["PyInit__decode"], {"libjpeg.so": b""}, "binaries: fastimg/_decode.abi3.so, fastimg/libjpeg.so"),
    ],
)
def test_what_is_wrong_with_a_wheel_is_said(exports, wheel, problem, pack, monkeypatch, capsys):
    check_wheel = script("check_wheel")
    monkeypatch.setattr(check_wheel, "exports", lambda binary: exports)
    found = check_wheel.problems(pack(**wheel))
    assert len(found) == (problem is not None)
    assert not problem or problem in found[0]
    printed = capsys.readouterr().out
    assert "contains: libjpeg-turbo 9.8.7" in printed and f"license: {LICENSE}" in printed
