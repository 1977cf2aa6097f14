# SPDX-License-Identifier: BSD-3-Clause
"""A file that is written at once."""

from fastimg.cli.output import FileSet


def write_whole(path: str, data: bytes) -> None:
    """Write a file that has its name only when it is complete.

    Parameters
    ----------
    path : str
        A file of that name is replaced.
    data : bytes

    Raises
    ------
    OSError
        The file cannot be written; it names the file.
    """
    try:
        with FileSet() as files:
            files.create(path).write(data)
            files.publish()
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
