# SPDX-License-Identifier: BSD-3-Clause
"""Pools of BatchUp."""

import contextlib


@contextlib.contextmanager
def opened(kind, processes):
    """A pool that is gone afterwards; BatchUp's own have no way to say so."""
    pool = kind(processes)
    try:
        yield pool
    finally:
        getattr(pool, f"_{kind.__name__}__pool").terminate()
        manager = getattr(pool, f"_{kind.__name__}__manager", None)
        if manager is not None:
            manager.shutdown()
