# SPDX-License-Identifier: BSD-3-Clause
"""The notices that a wheel with libjpeg-turbo inside must carry: its licences, and a list of what is in it (SBOM).

setup.py calls `add`. The texts come from the prefix that scripts/libjpeg-turbo.sh made.
"""

import email.parser
import json
import shutil
from pathlib import Path

# All terms at once: the IJG's for the decoder, BSD-3-Clause for its build system and fastimg, Zlib for the SIMD code.
LICENSE = "BSD-3-Clause AND IJG AND Zlib"
NOTICE = """fastimg contains libjpeg-turbo {version}, under the terms in this folder.

This software is based in part on the work of the Independent JPEG Group.
"""
TEXTS = ["LICENSE.md", "README.ijg", "LICENSE.zlib"]


def add(dist_info: Path, prefix: Path) -> None:
    """Add the notices to a wheel's unpacked .dist-info folder.

    Parameters
    ----------
    dist_info : Path
        The folder, with METADATA.
    prefix : Path
        Where scripts/libjpeg-turbo.sh put libjpeg-turbo.

    Raises
    ------
    FileNotFoundError
        If a text is missing under `prefix`: no wheel goes without.
    """
    texts = prefix / "share" / "doc" / "libjpeg-turbo"
    source = json.loads((texts / "source.json").read_text())
    target = dist_info / "licenses" / "libjpeg-turbo"
    target.mkdir(parents=True)
    for name in TEXTS:
        shutil.copyfile(texts / name, target / name)
    (target / "NOTICE").write_text(NOTICE.format(**source), newline="\n")

    metadata = dist_info / "METADATA"
    head, blank, description = metadata.read_text(encoding="utf-8").partition("\n\n")
    lines = [line for line in head.splitlines() if not line.startswith("License-Expression:")]
    lines.insert(1, f"License-Expression: {LICENSE}")
    lines += [f"License-File: libjpeg-turbo/{name}" for name in [*TEXTS, "NOTICE"]]
    metadata.write_text("\n".join(lines) + blank + description, encoding="utf-8", newline="\n")

    fields = email.parser.Parser().parsestr(head)
    sboms = dist_info / "sboms"
    sboms.mkdir()
    sbom = bill_of_materials(fields["Name"], fields["Version"], source)
    (sboms / "libjpeg-turbo.cdx.json").write_text(json.dumps(sbom, indent=2) + "\n", newline="\n")


def bill_of_materials(name: str, version: str, source: dict[str, str]) -> dict[str, object]:
    """A CycloneDX document: this wheel, which has libjpeg-turbo linked into it."""
    wheel = f"pkg:pypi/{name}@{version}"
    library = f"pkg:generic/libjpeg-turbo@{source['version']}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": wheel,
                "name": name,
                "version": version,
                "purl": wheel,
                "licenses": [{"license": {"id": "BSD-3-Clause"}}],
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": library,
                "name": "libjpeg-turbo",
                "version": source["version"],
                "purl": library,
                "cpe": f"cpe:2.3:a:libjpeg-turbo:libjpeg-turbo:{source['version']}:*:*:*:*:*:*:*",
                "description": "linked statically into fastimg._decode",
                "hashes": [{"alg": "SHA-256", "content": source["sha256"]}],
                "licenses": [{"expression": "IJG AND BSD-3-Clause AND Zlib"}],
            }
        ],
        "dependencies": [{"ref": wheel, "dependsOn": [library]}, {"ref": library}],
    }
