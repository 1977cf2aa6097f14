# SPDX-License-Identifier: BSD-3-Clause
"""What `on_error` may be, and telling the caller of images that failed."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from fastimg.torch_errors import in_torch_worker, locate

OnError: TypeAlias = "Literal['raise', 'fill'] | Callable[[Exception], object]"

#: Differs in every process: that of a forked one by its pid, that of others by the number.
_NONCE = os.urandom(8)


def _process() -> tuple[bytes, int]:
    return _NONCE, os.getpid()


class ErrorCallback:
    """The caller's function for errors, which works in the process that it was given in.

    Parameters
    ----------
    function : callable (error)
    """

    def __init__(self, function: Callable[[Exception], object]) -> None:
        self.function = function
        self._process = _process()

    def __call__(self, error: Exception) -> None:
        """Calls the function; raises RuntimeError where what it does would be lost."""
        if in_torch_worker() or self._process != _process():
            refused = RuntimeError(
                "on_error is a callable, which works only in the process that was given it, and not in workers of a "
                "DataLoader: what it is told would be lost with the process. Use on_error='fill', in load with "
                "return_mask=True, which also works in workers. "
                f"The error: {error}"
            )
            raise locate(refused, getattr(error, "source", None), getattr(error, "index", None)) from error
        self.function(error)


def parse_on_error(on_error: Any) -> Any:
    """Checks `on_error`; a function comes back as an ErrorCallback.

    Raises
    ------
    ValueError, TypeError
        If it is something else.
    """
    if callable(on_error):
        return on_error if isinstance(on_error, ErrorCallback) else ErrorCallback(on_error)
    words = "'raise', 'fill' or a callable"
    if not isinstance(on_error, str):
        raise TypeError(f"on_error must be {words}, found {on_error!r}")
    if on_error not in ("raise", "fill"):
        raise ValueError(f"on_error must be {words}, found {on_error!r}")
    return on_error


def warn_caller(message: str) -> None:
    """Issues a UserWarning at the line, outside of this package, that called it."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "fastimg":
        frame = frame.f_back
        level += 1
    warnings.warn(message, stacklevel=level)
