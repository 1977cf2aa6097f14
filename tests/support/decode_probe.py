# SPDX-License-Identifier: BSD-3-Clause
"""Decode files in one process, and print what came out: see variants.

    python -m support.decode_probe FOLDER OPTIONS

OPTIONS is a JSON list of dicts. Prints JSON: kernels, entropy stage, and the hash of each file with each of them.
"""

import json
import pathlib
import sys

import fastimg
from support.variants import hash_of, key_of


def main():
    hashes = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.jpg")):
        for options in json.loads(sys.argv[2]):
            hashes[key_of(path.stem, options)] = hash_of(fastimg.decode(path, **options))
    info = fastimg.build_info()
    print(json.dumps([info["kernels"], info["entropy"], hashes]))


if __name__ == "__main__":
    main()
