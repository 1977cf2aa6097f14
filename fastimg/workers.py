# SPDX-License-Identifier: BSD-3-Clause
"""What a data loader's worker processes know: who they are, and which epoch it is."""

from __future__ import annotations

import sys
from typing import Any


def worker_info() -> Any:
    """What PyTorch's DataLoader tells a worker: its ``id`` of ``num_workers`` and its ``seed``; None elsewhere."""
    data = sys.modules.get("torch.utils.data")  # a worker has imported it
    return data.get_worker_info() if data else None
