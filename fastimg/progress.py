# SPDX-License-Identifier: BSD-3-Clause
"""The progress bar."""

from __future__ import annotations

from typing import Any


def progress_bar(iterable: Any = None, **options: Any) -> Any:
    """Make a tqdm bar for where this runs: a widget in a notebook that has ipywidgets, text elsewhere.

    Parameters
    ----------
    iterable : iterable, optional
    **options
        As for ``tqdm.tqdm``.
    """
    from tqdm.auto import tqdm  # takes as long to import as all of this package, and few calls need it

    return tqdm(iterable, **options)
