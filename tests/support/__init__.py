# SPDX-License-Identifier: BSD-3-Clause
"""What the tests share. Imports nothing: parts of it are used without the packages that the tests need."""
