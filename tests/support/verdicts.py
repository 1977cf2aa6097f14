# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a file, pixels and notes or an error; here, or in a process with libjpeg's entropy stage."""

import hashlib
import json
import pickle
from typing import NamedTuple

import numpy as np

import fastimg
from fastimg import _decode
from fastimg.options import make_options
from support.processes import child_env, run_probe


class Verdict(NamedTuple):
    """Either `error`, the name of the class, and `text`, or the rest."""

    error: str = ""
    text: str = ""
    digest: str = ""
    notes: tuple = ()

    @property
    def decoded(self):
        return not self.error


def digest(image):
    """As the tables of FASTIMG_TEST_DATA have it."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:32]


def verdict(data, **options):
    """Decode a file, bytes or a path, to HWC. The verdict must not depend on what is cached, nor on what `out` held."""
    options = {"layout": "HWC", **options}
    try:
        image = fastimg.decode(data, **options)
    except fastimg.JpegError as error:
        found = Verdict(type(error).__name__, str(error))
    else:
        notes = _decode.verify(data, make_options(**options))[0]
        found = Verdict(digest=digest(image), notes=notes)
    # What is kept from the first time must change nothing.
    try:
        for fill in (0x00, 0xFF) if found.decoded else ():
            out = np.full(image.shape, fill, image.dtype)
            assert digest(fastimg.decode(data, out, **options)) == found.digest
        if not found.decoded:
            fastimg.decode(data, **options)
            raise AssertionError(f"decoded the second time, not the first: {found.text}")
    except fastimg.JpegError as error:
        assert (type(error).__name__, str(error)) == (found.error, found.text)
    return found


def libjpeg_verdicts(folder, jobs):
    """The verdicts with libjpeg's entropy stage on jobs, {key: (file, options)}; a file is bytes or a path."""
    path = folder / "jobs"
    path.write_bytes(pickle.dumps(list(jobs.values())))
    stage, found = json.loads(run_probe("verdict_probe", path, env=child_env(FASTIMG_ENTROPY="libjpeg")))
    assert stage == "libjpeg"
    verdicts = [Verdict(*row[:3], notes=tuple(row[3])) for row in found]
    return dict(zip(jobs, verdicts, strict=True))


def verdict_finder(folder, jobs):
    """A function of the entropy stage and the key of a job: the verdict."""
    libjpeg = libjpeg_verdicts(folder, jobs)

    def find(stage, *key):
        if stage == "libjpeg":
            return libjpeg[key]
        data, options = jobs[key]
        return verdict(data, **options)

    return find
