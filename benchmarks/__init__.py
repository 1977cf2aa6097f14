# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks: ``python -m benchmarks.decode``, and likewise the other modules; ``report`` runs all of them.

Each checks the pixels of whatever it times, prints the versions, CPU, active kernels and corpus, and explains its
tables in its ``--help``. The peers come with ``pip install -e '.[bench]'``; one that is not installed is named and
left out.
"""
