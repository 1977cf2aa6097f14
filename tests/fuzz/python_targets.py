# SPDX-License-Identifier: BSD-3-Clause
"""What fuzz_python.py calls: each target takes bytes, of which the first pick what is done with the others.

A target raises whatever is not documented for what it calls, and AssertionError for a result that cannot be.
"""

import contextlib
import io
import itertools
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mutator import mutate, mutate_npz, mutate_tar
from seeds import made, odd

import fastimg
from fastimg.cli.journal import Journal, Plan
from fastimg.cli.output import working_name
from fastimg.options import DEFAULTS

PREFIX_NBYTES = 24
MAX_PIXELS = 1 << 14
MAX_MEMBERS = 8  # that are decoded, of an archive
CHANGED = 1_700_000_000_000_000_000  # when the archive beside an index was


class Choices:
    """Numbers from the bytes that an input begins with."""

    def __init__(self, prefix: bytes) -> None:
        self._left = iter(prefix)

    def below(self, n: int) -> int:
        return next(self._left, 0) % n

    def of(self, *values: Any) -> Any:
        return values[self.below(len(values))]


def write(folder: Path, name: str, data: bytes) -> str:
    """Write a file, in fewer steps than pathlib."""
    path = f"{folder}/{name}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, data)
    os.close(descriptor)
    return path


class Target(NamedTuple):
    """``run(choices, data, folder)`` returns what came of it: inputs with a new text are kept, to make others of."""

    run: Callable[[Choices, bytes, Path], object]
    seeds: Callable[[Path], list[bytes]]
    mutate: Callable[..., bytes] = mutate


# ---- images


def pick_options(choices: Choices) -> dict[str, Any]:
    """Options that are right; crops may leave the image."""
    side = (lambda: 1 + choices.below(40), lambda: (1 + choices.below(40), 1 + choices.below(50)))
    resized = choices.of(
        {}, {"size": side}, {"resize_shorter": side[:1]}, {"resize_longer": side[:1]}, {"center_crop": side}
    )
    options = {name: choices.of(*makes)() for name, makes in resized.items()}
    options |= {
        "mode": choices.of("RGB", "BGR", "L"),
        "layout": choices.of("CHW", "HWC"),
        "dtype": choices.of("uint8", "float32", "float16"),
        "fit": choices.of("stretch", "cover", "contain") if "size" in options else "stretch",
        "resample": choices.of("bilinear", "box", "hamming", "bicubic", "lanczos"),
        "reducing_gap": choices.of(None, 1.0, 2.0),
        "orient": choices.of(True, False),
        "strict": choices.of(True, False),
        "flip": choices.of(False, True),
        "max_pixels": MAX_PIXELS,
    }
    if choices.below(3) == 0:
        options["crop"] = tuple(choices.below(9) for _ in range(2)) + tuple(
            1 + choices.below(20) for _ in range(2)
        )
    return options


def take_other(source: Any) -> np.ndarray:
    """A fallback, for what is no JPEG."""
    return np.full((5, 7, 3), 99, np.uint8)


def run_decode(choices: Choices, data: bytes, folder: Path) -> object:
    options = pick_options(choices)
    fallback = choices.of(None, None, None, take_other) if "size" in options else None
    try:
        image = fastimg.decode(data, **options, fallback=fallback)
    except fastimg.ImageError as error:
        image, outcome = None, str(error)
    except ValueError as error:
        assert "crop" in options, "a ValueError that is none of the image's"
        return error
    source = choices.of(data, bytearray(data), memoryview(data))
    if image is None:
        with contextlib.suppress(fastimg.ImageError):
            fastimg.decode(source, **options, fallback=fallback)
            raise AssertionError("an image that failed is decoded")
        return outcome
    # Whatever was in an array before, all of it is written.
    for fill in (0, 255):
        out = np.full_like(image, fill)
        assert fastimg.decode(source, out, **options, fallback=fallback) is out
        assert out.tobytes() == image.tobytes(), f"other pixels in an array of {fill}"
    return image.dtype, image.ndim


def run_header(choices: Choices, data: bytes, folder: Path) -> object:
    fallback = choices.of(None, None, take_other)
    header: Any = None
    outcome: object = None
    try:
        header = fastimg.read_header(data, fallback)
    except fastimg.ImageError as error:
        outcome = str(error)
    if choices.below(4) == 0:
        try:
            path = write(folder, "image.jpg", data)
            assert fastimg.read_headers([path], 1, fallback) == [header], "another header from a file"
        except fastimg.ImageError:
            assert header is None, "no header from a file"
    if header is not None:
        assert header.height >= 0 <= header.width
        repr(header)
    return outcome or header


def run_load(choices: Choices, data: bytes, folder: Path) -> object:
    options = pick_options(choices) | {"size": (9, 11), "crop": None}
    for name in ("resize_shorter", "resize_longer", "center_crop"):
        options.pop(name, None)
    fallback = choices.of(None, take_other)
    path = write(folder, "image.jpg", data)
    good = GOOD[0]
    sources = [good, choices.of(data, path, fastimg.FileRange(path, 0, len(data))), good]
    on_error = choices.of("raise", "fill")
    try:
        batch, mask = fastimg.load(
            sources, **options, num_threads=1, on_error=on_error, fallback=fallback, return_mask=True
        )
    except fastimg.ImageError as error:
        assert on_error == "raise" and error.index == 1
        return error
    alone = fastimg.load([good], **options)[0].tobytes()
    assert batch[0].tobytes() == batch[-1].tobytes() == alone, "a damaged image changes the others"
    assert len(batch) == len(mask) == 3
    if not mask[1]:
        assert not batch[1].any(), "a failed image is not zeros"
    return on_error


GOOD = list(itertools.islice(made(), 3, 5))


def image_seeds(folder: Path) -> list[bytes]:
    return [*made(), *itertools.islice(odd(), 8)]


# ---- archives

LONG_NAME = f"{60 * 'm'}/{60 * 'n'}"


def files_of_a_dataset() -> dict[str, bytes]:
    return {
        "a/0.jpg": GOOD[0],
        "a/0.cls": b"3",
        "a/0.txt": "a caption \u00e9".encode(),
        "a/0.json": b'{"key": [1, null, "x"]}',
        "b/1.jpg": GOOD[1],
        "b/1.cls": b"12",
        LONG_NAME + ".jpg": GOOD[0],
        LONG_NAME + ".cls": b"-4",
        "e.jpg": b"",
    }


def archive_seeds(folder: Path) -> list[bytes]:
    return [*tar_seeds(folder), *zip_seeds(folder)]


def tar_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        for codec in ("", ":gz", ":bz2", ":xz") if kind == tarfile.PAX_FORMAT else ("",):
            file = io.BytesIO()
            with tarfile.open(None, "w" + codec, file, format=kind) as tar:
                for name, data in files_of_a_dataset().items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    if kind == tarfile.PAX_FORMAT and name == "b/1.jpg":
                        info.pax_headers = {"size": str(len(data)), "path": name}
                    tar.addfile(info, io.BytesIO(data))
            packed = file.getvalue()
            if not codec:  # without what fills tape records
                packed = packed.rstrip(b"\0")
                packed += bytes(-len(packed) % 512 + 1024)
            seeds.append(packed)
    return [*seeds, seeds[0] + seeds[1]]


def zip_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for method, wide in (
        (zipfile.ZIP_STORED, False),
        (zipfile.ZIP_DEFLATED, False),
        (zipfile.ZIP_STORED, True),
    ):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, data in files_of_a_dataset().items():
                info = zipfile.ZipInfo(name)
                info.compress_type = method
                with archive.open(info, "w", force_zip64=wide) as member:
                    member.write(data)
            archive.comment = b"a comment"
        seeds.append(file.getvalue())
    return [*seeds, b"before" * 9 + seeds[0]]


def mutate_archive(rng: Any, data: bytes, others: list[bytes]) -> bytes:
    is_tar = data[257:262] == b"ustar"
    return (mutate_tar if is_tar and rng.random() < 0.8 else mutate)(rng, data, others)


def check_members(members: Any, size: int) -> None:
    for member, name in zip(members, members.names, strict=True):
        if isinstance(member, fastimg.FileRange):
            assert 0 <= member.offset <= member.offset + member.size <= size, "a member beyond the file"
        assert str(member).endswith(name)
        repr(member)


def run_archive(choices: Choices, data: bytes, folder: Path) -> object:
    path = write(folder, "archive", data)
    try:
        members = fastimg.archive_members(path, choices.of([""], [".jpg"]))
    except ValueError as error:
        return error
    check_members(members, len(data))
    outcome: list[str] = []
    for member in members[:MAX_MEMBERS]:
        try:
            fastimg.decode(member, max_pixels=MAX_PIXELS)
        except (ValueError, OSError) as error:  # of the image, or of damaged compressed data
            outcome.append(str(error))
    return outcome


def run_shard(choices: Choices, data: bytes, folder: Path) -> object:
    path = write(folder, "shard", data)
    names = {
        "label": choices.of(None, (), "cls", "txt", "json"),
        "caption": choices.of(None, (), "txt"),
        "image": choices.of(None, "jpg"),
    }
    seen: list[ValueError] = []
    try:
        shard = fastimg.read_shard(path, **names, on_error=choices.of("raise", "drop", seen.append))
    except ValueError as error:
        return error
    count = len(shard.keys)
    assert len(shard.images) == count
    for field in (shard.labels, shard.metadata, shard.captions):
        assert field is None or len(field) == count
    assert all(isinstance(error, ValueError) for error in seen)
    return seen


# ---- what is read back


def run_archive_index(choices: Choices, data: bytes, folder: Path) -> object:
    path = folder / "archive.tar"
    if not path.exists():
        path.write_bytes(tar_seeds(folder)[choices.below(1)])
        os.utime(path, ns=(CHANGED, CHANGED))
    write(folder, "archive.tar.index", data)
    try:
        members = fastimg.archive_members(path, [""], index=True)
    except ValueError as error:
        return error
    check_members(members, path.stat().st_size)
    return len(members)


def archive_index_seeds(folder: Path) -> list[bytes]:
    path = folder / "archive.tar"
    path.write_bytes(tar_seeds(folder)[0])
    os.utime(path, ns=(CHANGED, CHANGED))
    fastimg.archive_members(path, index=True)
    return [(folder / "archive.tar.index").read_bytes()]


def run_file_index(choices: Choices, data: bytes, folder: Path) -> object:
    path = write(folder, "files.npz", data)
    try:
        index = fastimg.FileIndex.load(path, root=choices.of(None, str(folder)))
    except ValueError as error:
        return error
    count = len(index)
    for part in (index.paths, index.nbytes, index.mtimes, index.labels, index.sizes):
        assert part is None or len(part) == count
    assert len(list(index)) == count
    repr(index)
    if count:
        index[[0, count - 1]].save(folder / "again.npz")
    return index.classes


def file_index_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for i in range(3):
        (folder / f"{i}.jpg").write_bytes(GOOD[0])
    files = [folder / f"{i}.jpg" for i in range(3)]
    for i, options in enumerate(({}, {"labels": [0, 1, 0], "classes": ["a", "b"]}, {"sizes": False})):
        path = folder / f"seed{i}.npz"
        fastimg.FileIndex(files, **options, root=folder).save(path)
        seeds.append(path.read_bytes())
    return seeds


def mutate_index(rng: Any, data: bytes, others: list[bytes]) -> bytes:
    return (mutate_npz if rng.random() < 0.8 else mutate)(rng, data, others)


def make_plan() -> Plan:
    return Plan(["missing/0.jpg", "missing/1.jpg", "missing/2.jpg"], DEFAULTS)


def run_journal(choices: Choices, data: bytes, folder: Path) -> object:
    name = f"{folder}/array.npy"
    write(folder, os.path.basename(working_name(name, ".journal")), data)
    try:
        journal = Journal(name)
    except ValueError as error:
        return error
    try:
        record = journal.read(make_plan())
    except ValueError as error:
        return error
    finally:
        journal.close()
    if record is not None:
        assert len(record.finished) == 3
        assert all(isinstance(side, int) for side in record.shape)
    return record and record.identity


def journal_seeds(folder: Path) -> list[bytes]:
    journal = Journal(str(folder / "array.npy"))
    journal.begin(make_plan(), (3, 3, 8, 8))
    journal.add_finished([(0, 1), (2, 3)])
    journal.close()
    return [Path(journal.path).read_bytes()]


TARGETS = {
    "decode": Target(run_decode, image_seeds),
    "read_header": Target(run_header, image_seeds),
    "load": Target(run_load, image_seeds),
    "archive": Target(run_archive, archive_seeds, mutate_archive),
    "shard": Target(run_shard, archive_seeds, mutate_archive),
    "archive_index": Target(run_archive_index, archive_index_seeds, mutate_index),
    "file_index": Target(run_file_index, file_index_seeds, mutate_index),
    "journal": Target(run_journal, journal_seeds),
}
