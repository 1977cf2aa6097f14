# SPDX-License-Identifier: BSD-3-Clause
"""Files that fsspec opens: object stores, HTTP servers, archives in them. fsspec is imported when it is needed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastimg.folders import SUFFIXES, is_hidden
from fastimg.remote_reader import FileSystem, Group, RemoteSources, portable_errors

# A scheme of one letter would be a Windows drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(://|::)")
_WILD = re.compile(r"[*?\[]")
_WILD_HTTP = re.compile(r"[*\[]")  # a question mark begins the query
_MAX_CONNECTIONS = 64


def is_url(source: str) -> bool:
    """Whether a str is a URL, or a chain of them, and not a path: it begins with a scheme of two letters or more."""
    return "://" in source and _URL.match(source) is not None


def open_sources(
    urlpath: str | os.PathLike[str] | Iterable[str],
    *,
    extensions: Iterable[str] = SUFFIXES,
    storage_options: Mapping[str, Any] | None = None,
) -> RemoteSources:
    """List images wherever fsspec can read them: in an object store, on an HTTP server, in an archive.

    What it returns stands in the place of a list of sources in `load`, `read_headers` and the accessors. Images are
    read when they are needed, many at a time.

    Parameters
    ----------
    urlpath : str, os.PathLike or iterable of str
        A URL with wildcards (``"s3://bucket/train/**/*.jpg"``), of a folder (for HTTP, one that ends in a slash) or of
        a file; or URLs, which are then neither listed nor checked. URLs may be chains, as fsspec has them
        (``"zip://*.jpg::s3://bucket/train.zip"``).
    extensions : iterable of str
        Ends of names that count where files are listed, in any case. ``[""]`` lists every file.
    storage_options : mapping, optional
        Keyword arguments of the file system: credentials, an endpoint. Those of another part of a chain are a mapping
        under its protocol: ``{"s3": {"anon": True}}``.

    Returns
    -------
    RemoteSources
        ``len``, ``read(i)``, ``name(i)``, which is the URL, and ``nbytes(i)``, which is -1 if no listing told the size.
        Where files were listed, they are sorted by the parts of their paths, and hidden files and folders are left out,
        as by `find_images`. It pickles without open files and connections, but with the storage options.

    Raises
    ------
    ImportError
        fsspec is not installed, or the package that it needs for this protocol.
    FileNotFoundError
        No file was found.
    OSError
        The files cannot be listed.
    ValueError
        fsspec does not know the protocol.
    TypeError
        `urlpath` is neither a str nor a path nor several str, or `extensions` are not several str.

    Examples
    --------
    >>> sources = fastimg.open_sources("zip://**/*.jpg::more.zip")  # or "s3://bucket/train/**/*.jpg"
    >>> fastimg.load(sources, size=64).shape
    (72, 3, 64, 64)
    """
    endings = _check_extensions(extensions)
    if isinstance(urlpath, str | os.PathLike):
        url = os.fspath(urlpath)
        if not isinstance(url, str):
            raise TypeError(f"urlpath must be a str or a path of str, found {type(url).__name__}")
        return _list(url, endings, storage_options or {})
    urls = list(urlpath)
    for each in urls:
        if not isinstance(each, str):
            raise TypeError(f"urlpath: expected URLs of type str, found {type(each).__name__}")
    return open_urls(urls, storage_options)


def open_urls(urls: Sequence[str], options: Mapping[str, Any] | None = None) -> RemoteSources:
    """The files at some URLs, in their order. Nothing is read yet.

    Raises
    ------
    ImportError, ValueError
        As for `open_sources`.
    """
    fsspec = _import_fsspec()
    opened: dict[tuple[str, ...], tuple[Any, FileSystem]] = {}
    groups: dict[Group, int] = {}
    paths, members = [], []
    for url in urls:
        lead, head, tail = _split_chain(url)
        cls = fsspec.get_filesystem_class(head.partition("://")[0] if "://" in head else "file")
        # A host, a user or a version may be a setting of the file system.
        key = lead, cls.__module__, cls.__qualname__, tail, repr(cls._get_kwargs_from_urls(head))
        if key not in opened:
            fs = _file_system(url, options or {})[0]
            opened[key] = fs, FileSystem(fs)
        fs, system = opened[key]
        paths.append(fs._strip_protocol(head))
        group = Group(system, lead + _before(fs, head, paths[-1]), tail)
        members.append(groups.setdefault(group, len(groups)))
    return RemoteSources(paths, list(groups), np.array(members, np.uint32) if len(groups) > 1 else None)


def _list(url: str, endings: tuple[str, ...], options: Mapping[str, Any]) -> RemoteSources:
    """The files at a URL with wildcards, or of a folder."""
    lead, head, tail = _split_chain(url)
    fs, path = _file_system(url, options)
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    wild = _WILD_HTTP if "http" in protocols else _WILD
    before = lead + _before(fs, head, path)
    magic = wild.search(path)
    with portable_errors(url):
        fs.invalidate_cache()  # a listing that fsspec kept may be old
        if magic:
            root = path[: path.rfind("/", 0, magic.start()) + 1]
            found = fs.glob(path, detail=True)
        elif head.endswith("/") or fs.info(path)["type"] == "directory":
            root = path
            found = fs.find(path, detail=True)
        else:
            root, endings = path, ("",)
            found = {path: fs.info(path)}
    files = {name: info for name, info in found.items() if info["type"] != "directory"}
    visible = [name for name in files if not any(map(is_hidden, name[len(root) :].split("/")))]
    paths = [name for name in visible if name.lower().endswith(endings)]
    if not paths:
        raise FileNotFoundError(errno.ENOENT, f"none of {len(files)} files found counts as an image", url)
    paths.sort(key=lambda name: name.split("/"))
    groups = [Group(FileSystem(fs), before, tail)]
    sizes = [files[name].get("size") for name in paths]
    known = None if any(size is None for size in sizes) else np.array(sizes, np.int64)
    return RemoteSources(paths, groups, sizes=known)


def _before(fs: Any, head: str, path: str) -> str:
    """What comes before a file's path in its URL: as the user wrote it, if possible."""
    if "://" not in head:
        return ""
    if not path.endswith("/"):
        head = head.rstrip("/")
    return head.removesuffix(path) if head.endswith(path) else fs.unstrip_protocol(path).removesuffix(path)


def _split_chain(url: str) -> tuple[str, str, str]:
    """The part of a chain that has the file's path, what comes before it (caches), and what comes after it."""
    parts = url.split("::")
    at = next((i for i, part in enumerate(parts) if "://" in part), len(parts) - 1)
    return (
        "".join(f"{part}::" for part in parts[:at]),
        parts[at],
        "".join(f"::{part}" for part in parts[at + 1 :]),
    )


def _file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    fsspec = _import_fsspec()
    schemes = [part.partition("://")[0] for part in url.split("::")]
    options = dict(options)
    for scheme in {"s3", "s3a"} & set(schemes):
        own = dict(options.pop(scheme, {}))
        if scheme == schemes[0] and "config_kwargs" in options:
            own["config_kwargs"] = options.pop("config_kwargs")
        given = own.get("config_kwargs") or fsspec.config.conf.get(scheme, {}).get("config_kwargs", {})
        # botocore's own limit is 10.
        own["config_kwargs"] = {"max_pool_connections": _MAX_CONNECTIONS, **given}
        options[scheme] = own
    fs, path = fsspec.core.url_to_fs(url, **options)
    return fs, path


def _import_fsspec() -> Any:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        if error.name != "fsspec":
            raise
        raise ModuleNotFoundError("URLs need fsspec: pip install 'fastimg[fsspec]'", name="fsspec") from None
    return fsspec


def _check_extensions(extensions: Iterable[str]) -> tuple[str, ...]:
    endings = () if isinstance(extensions, str) else tuple(extensions)
    if not endings or not all(isinstance(each, str) for each in endings):
        raise TypeError(f"extensions must be several str, found {extensions!r}")
    return tuple(each.lower() for each in endings)
