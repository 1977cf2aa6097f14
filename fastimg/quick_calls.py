# SPDX-License-Identifier: BSD-3-Clause
"""Calls of `decode` that name no options, or the same ones as the last call: this matters to small images."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import fastimg._decode as _decode
from fastimg.options import OPTIONS, Options, make_options

_Function = TypeVar("_Function", bound=Callable[..., Any])

_SHARED = frozenset(option.name for option in OPTIONS if option.parse)


def _find(*given: Any) -> Options | None:
    """The options of names, and then as many values; None if they are not all that the call says."""
    count = len(given) // 2
    named = dict(zip(given[:count], given[count:], strict=True))
    return make_options(**named) if named.keys() <= _SHARED else None


def quick(decode: _Function) -> _Function:
    """`decode`, without a look at each option that is not named: Python looks defaults up one by one."""
    defaults = make_options()
    recall: Callable[[tuple[Any, ...]], Options | None] = _decode.Memo(_find)

    @functools.wraps(decode)
    def call(source: Any, out: Any = None, **given: Any) -> Any:
        options = recall((*given, *given.values())) if given else defaults
        if options is None:
            return decode(source, out, **given)
        return _decode.decode(source, out, options, None, False, False, None)

    return cast(_Function, call)
