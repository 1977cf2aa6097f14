# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks: ``python -m benchmarks.decode``; ``.load``, ``.loader``, ``.memory``, ``.resize``, ``.stages`` likewise.

Each verifies the pixels of what it times, prints versions, CPU, active kernels and corpus, and explains
in its ``--help`` how to read its output. The peers come with ``pip install -e '.[bench]'``; whichever is not
installed is named and left out.
"""
