# SPDX-License-Identifier: BSD-3-Clause
"""The same files decoded by all kinds of kernels and by either entropy stage, which a process chooses at import."""

import concurrent.futures
import hashlib
import json
import os

from support.processes import best_kernels, child_env, run_probe

# Values of FASTIMG_CPU. Words for what the CPU lacks change nothing.
CPU_MASKS = ("", "c", "-bmi2", "-pdep", "-avx2", "ssse3")


def hash_of(pixels):
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def key_of(name, options):
    """The key of a file's pixels: JSON, as the probe gets its options as JSON, in which tuples are lists."""
    return f"{name} {json.dumps(options)}"


def run_under_each(variants, name, *args):
    """Run a probe once for each (FASTIMG_CPU, FASTIMG_ENTROPY); returns what they print, parsed as JSON."""

    def run(variant):
        env = child_env(FASTIMG_CPU=variant[0], FASTIMG_ENTROPY=variant[1])
        return json.loads(run_probe(name, *args, env=env))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(variants, pool.map(run, variants), strict=True))


def pixels_of_all_variants(folder, files, options, libjpeg_entropy=()):
    """Decode files, {name: bytes}, with each of the options under each of CPU_MASKS: the pixels must be the same.

    `libjpeg_entropy` names the masks to try with libjpeg's entropy stage, too.
    Returns {key_of(name, options): hash_of(pixels)}.
    """
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(data)
    variants = [(mask, "") for mask in CPU_MASKS] + [(mask, "libjpeg") for mask in libjpeg_entropy]
    results = run_under_each(variants, "decode_probe", folder, json.dumps(options))
    expected = results["", ""][2]
    assert len(expected) == len(files) * len(options)
    for (mask, entropy), (kernels, stage, hashes) in results.items():
        # Otherwise nothing is compared.
        assert stage == (entropy or "fastimg")
        best = dict.fromkeys(("", "-bmi2", "-pdep"), best_kernels())
        assert kernels == {"c": "c", **best}.get(mask, kernels)
        assert kernels != "avx2" or mask not in ("-avx2", "ssse3")
        assert [key for key in expected if hashes[key] != expected[key]] == [], (mask, entropy)
    return expected
