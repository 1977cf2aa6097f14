# SPDX-License-Identifier: BSD-3-Clause
"""``python -m fastimg``."""

import sys

from fastimg.cli import main

sys.exit(main())
