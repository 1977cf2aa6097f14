# SPDX-License-Identifier: BSD-3-Clause
"""`create_array`: a new .npy file, or the old one as it was."""

import errno
import os
import pickle
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cli_common import encoded, is_mapped, npy_header_size, run

import fastimg
import fastimg.npy_files as npy_files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.npy"


@pytest.fixture
def old(path: Path) -> bytes:
    """A file that is there already."""
    np.save(path, np.arange(5))
    return path.read_bytes()


def only(path: Path, content: bytes) -> bool:
    """Whether the folder holds this file alone, as it was."""
    return os.listdir(path.parent) == [path.name] and path.read_bytes() == content


def refuse(code: int) -> Any:
    def fallocate(descriptor: int, start: int, nbytes: int) -> None:
        raise OSError(code, os.strerror(code))

    return fallocate


# ---- what there is then


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), [4, 2], np.array([3, 4]), 9, np.int64(9), (), (0, 3, 4)])
@pytest.mark.parametrize("dtype", ["uint8", np.float32, "float16", np.dtype(">i8"), bool, complex])
def test_the_file(path: Path, shape: Any, dtype: Any) -> None:
    array = fastimg.create_array(path, shape, dtype)
    expected = np.zeros(shape, dtype)
    assert type(array) is np.memmap and array.flags.writeable and array.flags.c_contiguous
    np.testing.assert_array_equal(array, expected, strict=True)
    np.testing.assert_array_equal(np.load(path), expected, strict=True)
    assert os.listdir(path.parent) == ["x.npy"]
    assert path.stat().st_size == npy_header_size(path) + array.nbytes
    array[...] = expected[...] = 1
    array.flush()
    np.testing.assert_array_equal(np.load(path), expected, strict=True)


def test_the_same_file_as_of_open_memmap(path: Path, tmp_path: Path) -> None:
    array = fastimg.create_array(str(path), (2, 3, 5, 7))
    expected = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.uint8, (2, 3, 5, 7))
    assert path.read_bytes() == (tmp_path / "y.npy").read_bytes()
    assert array.offset == expected.offset and array.mode == "r+"
    assert array.filename == os.path.realpath(path) == array[1:].filename
    assert path.stat().st_mode == (tmp_path / "y.npy").stat().st_mode


def test_the_space_is_reserved_before_the_file_has_its_name(
    path: Path, old: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    def reserve(descriptor: int, start: int, nbytes: int) -> None:
        assert path.read_bytes() == old
        steps.extend((start, nbytes))
        os.ftruncate(descriptor, nbytes)

    monkeypatch.setattr(os, "posix_fallocate", reserve, raising=False)
    fastimg.create_array(path, (3, 700, 501))
    assert steps == [0, path.stat().st_size]


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, None])
def test_where_space_cannot_be_reserved_zeros_are_written(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    if code is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse(code), raising=False)
    array = fastimg.create_array(path, (3, 700, 501))
    assert not array.any() and path.stat().st_size == npy_header_size(path) + array.nbytes


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16"])
def test_load_fills_it(path: Path, dtype: str) -> None:
    sources = [encoded(seed) for seed in range(3)]
    array = fastimg.create_array(path, (3, 3, 8, 9), dtype)
    fastimg.load(sources, array, size=(8, 9), dtype=dtype)
    array.flush()
    expected = np.empty((3, 3, 8, 9), np.uint16 if dtype == "bfloat16" else dtype)
    fastimg.load(sources, expected, size=(8, 9), dtype=dtype)
    np.testing.assert_array_equal(np.load(path), expected, strict=True)


def test_bfloat16_is_its_bits(path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16)):
        assert fastimg.create_array(path, 3, dtype).dtype == np.uint16


def test_it_can_be_pickled_and_outlives_its_name(path: Path) -> None:
    array = fastimg.create_array(path, 3)
    path.unlink()
    array[:] = 7
    assert pickle.loads(pickle.dumps(array)).tolist() == [7, 7, 7]


# ---- a file of that name


def test_a_file_is_replaced(path: Path, old: bytes) -> None:
    path.chmod(0o640)
    before = np.load(path, mmap_mode="r")
    fastimg.create_array(path, (1, 2))[:] = 3
    assert before.tolist() == [0, 1, 2, 3, 4]  # to truncate it would be SIGBUS
    assert np.load(path).tolist() == [[3, 3]]
    assert os.listdir(path.parent) == ["x.npy"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_followed(path: Path, dangling: bool) -> None:
    target = path.parent / "target.npy"
    if not dangling:
        target.write_text("old")
    path.symlink_to("target.npy")
    array = fastimg.create_array(path, 2)
    assert path.is_symlink() and np.load(target).tolist() == [0, 0]
    assert array.filename == os.path.realpath(target)


def test_what_is_no_file_is_not_replaced(path: Path) -> None:
    path.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        fastimg.create_array(path, 2)
    assert caught.value.filename == str(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file") as other:
        fastimg.create_array(path, 2)
    assert other.value.filename == str(path)
    assert stat.S_ISFIFO(path.stat().st_mode) and os.listdir(path.parent) == ["x.npy"]


def test_a_file_that_may_not_be_written(path: Path, old: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(0o444)
    if os.geteuid() == 0:  # who may
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(PermissionError) as caught:
        fastimg.create_array(path, 2)
    assert caught.value.filename == str(path) and only(path, old)


# ---- a full disk


def test_an_array_that_cannot_fit_is_refused_at_once(path: Path, old: bytes) -> None:
    with pytest.raises(OSError) as caught:
        fastimg.create_array(path, (1 << 20, 1 << 20, 1 << 20))
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    text = str(caught.value)
    assert "cannot reserve 1,152,921,504,606,846,976 bytes, " in text and " are free: " in text
    assert os.strerror(errno.ENOSPC) in text
    assert only(path, old)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
def test_a_failed_reservation_leaves_the_old_file(
    path: Path, old: bytes, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(code), raising=False)
    with pytest.raises(OSError) as caught:
        fastimg.create_array(path, (3, 4))
    assert (caught.value.errno, caught.value.filename) == (code, str(path))
    assert f"cannot reserve 12 bytes: {os.strerror(code)}" in str(caught.value)
    assert only(path, old)
    path.unlink()
    with pytest.raises(OSError):
        fastimg.create_array(path, (3, 4))
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("step", ["reserve", "memmap", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError(errno.ENOMEM, "no memory")])
def test_no_step_loses_the_old_file(
    path: Path, old: bytes, monkeypatch: pytest.MonkeyPatch, step: str, error: Any
) -> None:
    def fail(*args: Any) -> None:
        raise error

    owner = {"reserve": npy_files, "memmap": np, "replace": os}[step]
    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(error if isinstance(error, type) else OSError) as caught:
        fastimg.create_array(path, (3, 4))
    if isinstance(caught.value, OSError):
        assert caught.value.filename == str(path)
    assert only(path, old)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/maps")
def test_it_is_not_mapped_when_it_is_removed(path: Path, old: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    # Windows removes no file that is mapped, and replaces none that another process has open.
    mapped = []

    def refuse(partial: str, target: str) -> None:
        mapped.append(is_mapped(partial))
        raise PermissionError(errno.EACCES, "in use")

    def remove(partial: str) -> None:
        mapped.append(is_mapped(partial))
        unlink(partial)

    unlink = os.unlink
    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "unlink", remove)
    with pytest.raises(PermissionError):
        fastimg.create_array(path, (3, 4))
    assert mapped == [True, False] and only(path, old)


SMALL = """
import sys
import fastimg
path = sys.argv[1]
try:
    fastimg.create_array(path, (3, 8, 1024), "float32")
except OSError as error:
    print(error.errno, error.filename == path, error.strerror)
fastimg.create_array(path, (3, 8, 1024))[:] = 7
print("filled")
"""


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    path = small_disk / "x.npy"
    done = run("-c", SMALL, str(path))
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    words = f"{errno.ENOSPC} True cannot reserve 98,304 bytes, "
    assert first.startswith(words) and first.endswith(f" are free: {os.strerror(errno.ENOSPC)}")
    assert last == "filled" and (np.load(path) == 7).all()
    content = path.read_bytes()
    with pytest.raises(OSError) as caught:  # beside the old file
        fastimg.create_array(path, (3, 8, 1024 + 512))
    assert caught.value.errno == errno.ENOSPC and only(path, content)
    (small_disk / "y.npy").write_bytes(bytes(36864))  # 4 kB are left: for the data, but not with a header
    content_of_both = {name.name: name.read_bytes() for name in small_disk.iterdir()}
    with pytest.raises(OSError) as caught:
        fastimg.create_array(path, 4096)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert {name.name: name.read_bytes() for name in small_disk.iterdir()} == content_of_both


WITHOUT_RESERVING = """
import sys
import numpy as np
np.lib.format.open_memmap(sys.argv[1], "w+", np.uint8, (3, 8, 4096))[:] = 7
"""


def test_what_it_is_for(small_disk: Path) -> None:
    done = run("-c", WITHOUT_RESERVING, str(small_disk / "x.npy"))
    assert done.returncode == -signal.SIGBUS


LIMITED = """
import resource, sys
import fastimg
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    fastimg.create_array(sys.argv[1], (3, 8, 1024))
except OSError as error:
    print(error.errno, error.filename == sys.argv[1])
"""


def test_a_limit_on_the_size_of_files(path: Path, old: bytes) -> None:
    done = run("-c", LIMITED, str(path))
    assert (done.returncode, done.stdout) == (0, f"{errno.EFBIG} True\n"), done.stderr
    assert only(path, old)


INTERRUPTED = """
import os, sys
import fastimg, fastimg.npy_files as npy_files
vars(os).pop("posix_fallocate", None)  # zeros are written, which takes long
npy_files.free_space = lambda path: None
try:
    fastimg.create_array(sys.argv[1], 1 << 38)
except KeyboardInterrupt:
    print("interrupted")
except OSError as error:
    print(error)
"""


def test_ctrl_c_leaves_nothing_behind(path: Path, old: bytes) -> None:
    source = str(Path(fastimg.__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(path)],
        env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        while process.poll() is None and max(f.stat().st_size for f in path.parent.iterdir()) < 1 << 20:
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, b"interrupted\n", b"")
    assert only(path, old)


# ---- arguments


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((5, 3), TypeError, "os.PathLike object, not int"),
        ((b"x.npy", 3), TypeError, "path: expected str or a path of str, found bytes"),
        (("x.npy", 2.5), TypeError, "shape must be an integer or a tuple of integers, found 2.5"),
        (("x.npy", (2, 2.5)), TypeError, r"shape must be .* found \(2, 2.5\)"),
        (("x.npy", (2, True)), TypeError, r"shape must be .* found \(2, True\)"),
        (("x.npy", None), TypeError, "shape must be .* found None"),
        (("x.npy", "33"), TypeError, "shape must be .* found '33'"),
        (("x.npy", (2, -1)), ValueError, r"shape must not be negative, found \(2, -1\)"),
        (("x.npy", (1 << 31, 1 << 32)), ValueError, "of dtype uint8 is too large for a file"),
        (("x.npy", (0, 1 << 70)), ValueError, "of dtype uint8 is too large for a file"),
        (("x.npy", (1,) * 65), ValueError, "dimension"),
        (("x.npy", 3, "uint9"), TypeError, "dtype must be .* found 'uint9'"),
        (("x.npy", 3, 5), TypeError, "dtype must be .* found 5"),
        (("x.npy", 3, None), ValueError, "dtype must be .* found None"),
        (("x.npy", 3, object), ValueError, "dtype must be .* found <class 'object'>"),
        (("x.npy", 3, "U5"), ValueError, "dtype must be .* found 'U5'"),
        (("x.npy", 3, "V5"), ValueError, "dtype must be .* found 'V5'"),
        (("x.npy", 3, "M8[s]"), ValueError, "dtype must be .* found 'M8"),
        (("x\0.npy", 3), ValueError, "null"),
    ],
)
def test_wrong_arguments(
    path: Path, old: bytes, monkeypatch: pytest.MonkeyPatch, arguments: Any, error: Any, words: str
) -> None:
    monkeypatch.chdir(path.parent)
    with pytest.raises(error, match=words):
        fastimg.create_array(*arguments)
    assert only(path, old)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fastimg.create_array(tmp_path / "a" / "x.npy", 3)
    assert caught.value.filename == str(tmp_path / "a" / "x.npy")
    assert list(tmp_path.iterdir()) == []
