# SPDX-License-Identifier: BSD-3-Clause
"""Calls of a fallback by itself, without the core."""

import pickle

import pytest

import fastimg
from fastimg.fallback import parse_fallback

PILLOW = parse_fallback("pillow")
LIMIT = 178_956_970


def decode(source, fallback=PILLOW, *, data=None, max_pixels=LIMIT, pad_value=(0, 0, 0), mode="RGB"):
    """(pixels, orientation)"""
    return fallback.decode(source, data, max_pixels, pad_value, mode)


def refused(source, fallback=PILLOW, kind=fastimg.FallbackError, **options):
    """The error of this class, which pickles."""
    with pytest.raises(kind) as caught:
        decode(source, fallback, **options)
    assert type(caught.value) is kind
    assert type(pickle.loads(pickle.dumps(caught.value))) is kind
    return caught.value
