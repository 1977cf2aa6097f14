# SPDX-License-Identifier: BSD-3-Clause
"""The files that the docs and the examples in docstrings name."""

import io
import json
import tarfile
import zipfile

from support import jpegs


def photo_files():
    """Names and bytes: 72 photos of 256 x 256 in two classes."""
    different = [jpegs.jpeg(256, 256, seed=i) for i in range(6)]
    return {f"{('cat', 'dog')[i % 2]}/{i:03d}.jpg": different[i % 6] for i in range(72)}


def furnish_photos(folder):
    """Puts into a folder what examples name: photos, in a folder and in archives."""
    files = photo_files()
    for name, data in files.items():
        path = folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "cat.jpg").write_bytes(jpegs.jpeg(375, 500))
    (folder / "broken.jpg").write_bytes(jpegs.truncated(jpegs.jpeg(256, 256)))
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(folder / "photos", "photos")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for name in files:
            archive.write(folder / "photos" / name, name)
    with tarfile.open(folder / "train-0000.tar", "w") as archive:
        for name, data in files.items():
            label, stem = name.removesuffix(".jpg").split("/")
            fields = {"cls": str(int(label == "dog")), "jpg": data, "json": json.dumps({"kind": label})}
            for field, content in fields.items():
                add_member(archive, f"{stem}.{field}", content)


def add_member(archive, name, content):
    content = content.encode() if isinstance(content, str) else content
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def furnish(folder):
    """Puts everything that the pages name into a folder."""
    furnish_photos(folder)
    files = photo_files()
    (folder / "train").symlink_to("photos")
    lines = [f"photos/{name},{name[:3]}\n" for name in files]
    (folder / "train.csv").write_text("".join(["path,label\n", *lines]))
    (folder / "cats-and-dogs").mkdir()
    for i, (name, data) in enumerate(files.items()):
        (folder / "cats-and-dogs" / f"{name[:3]}.{i}.jpg").write_bytes(data)
