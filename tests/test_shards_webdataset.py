# SPDX-License-Identifier: BSD-3-Clause
"""WebDataset's shards: `read_shard` gives what webdataset itself reads back."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support import jpegs
from support.archive_files import bytes_of
from support.jpegs import assert_same

import fastimg
from fastimg import Shard, read_shard

IMAGES = [jpegs.jpeg(24, 31, seed=i) for i in range(6)]
PNG = b"\x89PNG\r\n\x1a\n"
LONG = "long/" + "é" * 90 + "/" + "n" * 150

Sample = tuple[str, dict[str, Any]]  # a key, and values by field: bytes, str, int, or what becomes JSON


class Layout(NamedTuple):
    samples: list[Sample]
    image: str | None = None
    label: str | None = None
    caption: str | None = None
    format: str = "USTAR_FORMAT"  # the default of webdataset
    left_out: int = 0


def make_samples(keys: str, **fields: list[Any]) -> list[Sample]:
    """A sample for each key; ``a__b`` is the field ``a.b``, and its values are one for each key."""
    columns = {field.replace("__", "."): values for field, values in fields.items()}
    return [
        (key, {field: values[i] for field, values in columns.items()}) for i, key in enumerate(keys.split())
    ]


JSON = [{"width": 31, "tags": ["ä"]}, None, [1.5]]
NAMES = ["cat", "Golden Retriever", "größer"]
LAYOUTS = {
    "classes": Layout(make_samples("0000 0001 0002", jpg=IMAGES[:3], cls=[3, 0, 999], json=JSON)),
    "folders": Layout(make_samples("train/n01/7 train/n02/7 val/n01/7", jpg=IMAGES[:3], cls=[1, 2, 1])),
    "folders with dots": Layout(make_samples("v1.0/a.b/7 v1.0/a.c/7 ./x.y/7", jpg=IMAGES[:3], cls=[1, 2, 3])),
    "input and target": Layout(
        make_samples("a b/c d", input__jpg=IMAGES[:3], target__jpg=IMAGES[3:], cls=[3, 2, 1]), "input.jpg"
    ),
    "target": Layout(make_samples("a b/c d", input__jpg=IMAGES[:3], target__jpg=IMAGES[3:]), "target.jpg"),
    "stereo": Layout(
        make_samples("a b c", left__rgb__jpg=IMAGES[:3], right__rgb__jpg=IMAGES[3:], cls=[1, 2, 3]),
        "right.rgb.jpg",
    ),
    "captions": Layout(
        make_samples("0 1 2", jpg=IMAGES[:3], txt=["a cat\n", " Größe", "日本語"], json=[{}, {"a": 1}, {}])
    ),
    "names of classes": Layout(make_samples("0 1 2", jpg=IMAGES[:3], cls=NAMES, txt=NAMES)),
    "masks": Layout(make_samples("0 1 2", jpg=IMAGES[:3], seg__png=[PNG] * 3, cls=[5, 6, 7])),
    "upper case": Layout(make_samples("A b C", JPG=IMAGES[:3], CLS=[5, 6, 7], Json=JSON, TXT=NAMES)),
    "either image": Layout(
        [
            ("0", {"jpg": IMAGES[0], "cls": 1}),
            ("1", {"jpeg": IMAGES[1], "cls": 2}),
            ("2", {"jpeg": IMAGES[3], "jpg": IMAGES[2], "cls": 3}),
        ],
        "jpg;jpeg",
    ),
    "long names": Layout(
        make_samples(f"{LONG}0 {LONG}1 {LONG}2", jpg=IMAGES[:3], cls=[1, 2, 3]), format="PAX_FORMAT"
    ),
    "long names of GNU tar": Layout(
        make_samples(f"{LONG}0 {LONG}1 {LONG}2", jpg=IMAGES[:3], cls=[1, 2, 3]), format="GNU_FORMAT"
    ),
    "other fields": Layout(
        make_samples("0 1 2", img__jpg=IMAGES[:3], index=[7, 8, 9], alt__text=NAMES, cls=[0, 0, 0], txt=NAMES[::-1]),
        None,
        "class;index",
        "alt.text",
    ),
    "other formats": Layout(
        [
            ("README", {"md": "text"}),
            ("0", {"jpg": IMAGES[0], "cls": 1}),
            ("1", {"png": PNG, "cls": 2}),
            ("2", {"cls": 3, "json": {}}),
            ("3", {"jpg": IMAGES[1], "cls": 4, "seg.jpg": IMAGES[2]}),
            ("4", {"cls": 5, "seg.jpg": IMAGES[3]}),
        ],
        left_out=4,
    ),
}  # fmt: skip


def encode(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def write_by_tarfile(path: Path, layout: Layout) -> None:
    with tarfile.open(path, "w", format=getattr(tarfile, layout.format)) as tar:
        for key, values in layout.samples:
            for field, value in sorted(values.items()):
                info = tarfile.TarInfo(f"{key}.{field}")
                info.size = len(encode(value))
                tar.addfile(info, io.BytesIO(encode(value)))


def write_by_webdataset(path: Path, layout: Layout) -> None:
    webdataset = pytest.importorskip("webdataset")
    with open(path, "wb") as file, webdataset.TarWriter(file, format=layout.format) as writer:
        for key, values in layout.samples:
            writer.write({"__key__": key, **values})


def read_by_webdataset(path: Path) -> list[Sample]:
    webdataset = pytest.importorskip("webdataset")
    return [
        (sample["__key__"], {field: data for field, data in sample.items() if not field.startswith("__")})
        for sample in webdataset.WebDataset(str(path), shardshuffle=False)
    ]


def find(values: dict[str, bytes], fields: str) -> bytes | None:
    return next((values[field] for field in fields.split(";") if field in values), None)


def check(shard: Shard, samples: list[Sample], layout: Layout) -> None:
    """The shard has all samples with an image; values are bytes, by field in lower case."""
    image = layout.image or next(f for f in ("jpg", "img.jpg") if any(f in values for _, values in samples))
    samples = [(key, values) for key, values in samples if find(values, image)]
    assert len(samples) == len(layout.samples) - layout.left_out
    assert shard.keys == [key for key, _ in samples]
    assert [bytes_of(source) for source in shard.images] == [find(values, image) for _, values in samples]
    assert_same(
        fastimg.ImageFileAccessor(shard.images)[:],
        np.stack([jpegs.reference(bytes_of(source)) for source in shard.images]),
    )
    labels = [find(values, layout.label or "cls") for _, values in samples]
    if labels[0] is None:
        assert shard.labels is None
    elif labels[0].isdigit():
        assert_same(shard.labels, np.array([int(label or "") for label in labels], np.int64))
    else:
        assert shard.labels is not None and shard.labels.dtype == object
        assert shard.labels.tolist() == [(label or b"").decode() for label in labels]
    captions = [find(values, layout.caption or "txt") for _, values in samples]
    assert shard.captions == (None if captions[0] is None else [(text or b"").decode() for text in captions])
    metadata = [find(values, "json") for _, values in samples]
    assert shard.metadata == (None if metadata[0] is None else [json.loads(data or b"") for data in metadata])


def read(path: Path, layout: Layout) -> Shard:
    errors: list[ValueError] = []
    shard = read_shard(
        path, image=layout.image, label=layout.label, caption=layout.caption, on_error=errors.append
    )
    assert len(errors) == layout.left_out
    return shard


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path: Path, name: str) -> None:
    layout, path = LAYOUTS[name], tmp_path / "shard.tar"
    write_by_tarfile(path, layout)
    samples = [
        (key, {field.lower(): encode(value) for field, value in values.items()})
        for key, values in layout.samples
    ]
    check(read(path, layout), samples, layout)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_webdataset_writes_and_reads(tmp_path: Path, name: str) -> None:
    layout, path = LAYOUTS[name], tmp_path / "shard.tar"
    write_by_webdataset(path, layout)
    check(read(path, layout), read_by_webdataset(path), layout)


# ---- which files are of a sample ---------------------------------------------------------------

STRAY = [
    "README",
    "d.x/Makefile",
    ".hidden.txt",
    "._0.jpg",
    "__index__",
    "__a.jpg__",
    "__cache__/0.jpg",
    "__cache__/d.x/0.jpg",
    "folder.jpg/",
]
ODD = {  # key and field
    "a..jpg": ("a", ".jpg"),
    "b.": ("b", ""),
    "__c.jpg": ("__c", "jpg"),
    "__d__.jpg": ("__d__", "jpg"),
    "x/__e__/f.jpg": ("x/__e__/f", "jpg"),
    "f.tar.gz.JPG": ("f", "tar.gz.jpg"),
    "g h.jpg": ("g h", "jpg"),
    "i\tj.jpg": ("i\tj", "jpg"),
    "/k.jpg": ("/k", "jpg"),
    "../k.jpg": ("../k", "jpg"),
    "v.1/k.l.jpg": ("v.1/k", "l.jpg"),
}


def write_names(path: Path, name: str) -> Path:
    with tarfile.open(path / "shard.tar", "w") as tar:
        for each in ("first.jpg", name, "last.jpg"):
            info = tarfile.TarInfo(each.rstrip("/"))
            info.type = tarfile.DIRTYPE if each.endswith("/") else tarfile.REGTYPE
            tar.addfile(info)
    return path / "shard.tar"


@pytest.mark.parametrize("name", STRAY)
def test_files_that_are_of_no_sample(tmp_path: Path, name: str) -> None:
    path = write_names(tmp_path, name)
    assert read_shard(path, on_error=pytest.fail).keys == ["first", "last"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(tmp_path: Path, name: str) -> None:
    path, (key, field) = write_names(tmp_path, name), ODD[name]
    if field:
        assert read_shard(path, image=["jpg", f".{field}"], on_error=pytest.fail).keys == [
            "first",
            key,
            "last",
        ]
    else:
        with pytest.warns(UserWarning, match=f"key {key!r} has no image: expected one of .jpg, found .$"):
            assert read_shard(path, image="jpg").keys == ["first", "last"]


@pytest.mark.parametrize("name", [*STRAY, *ODD])
def test_names_as_webdataset_has_them(tmp_path: Path, name: str) -> None:
    found = [(key, list(fields)) for key, fields in read_by_webdataset(write_names(tmp_path, name))]
    expected = [] if name in STRAY else [(ODD[name][0], [ODD[name][1]])]
    assert found == [("first", ["jpg"]), *expected, ("last", ["jpg"])]
