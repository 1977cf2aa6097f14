# SPDX-License-Identifier: BSD-3-Clause
"""What ``fastimg bench`` and the benchmarks of the repository share: contestants, timing, tables and figures."""
