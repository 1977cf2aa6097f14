# SPDX-License-Identifier: BSD-3-Clause
"""Resize files in one process, and print what came out: see test_resize_variants.

    python -m support.resize_probe FOLDER OPTIONS

OPTIONS is a JSON list of dicts. Prints JSON: kernels, entropy stage, and the hash of each file with each of them.
"""

import hashlib
import json
import pathlib
import sys

import fastimg


def main():
    hashes = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jpg")):
        for options in json.loads(sys.argv[2]):
            pixels = fastimg.decode(path, **options)
            hashes[f"{path.stem} {options}"] = hashlib.sha256(pixels.tobytes()).hexdigest()
    info = fastimg.build_info()
    print(json.dumps([info["kernels"], info["entropy"], hashes]))


if __name__ == "__main__":
    main()
