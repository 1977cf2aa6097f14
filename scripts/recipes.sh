#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/recipes.sh [ARGUMENTS OF PYTEST]
#
# Installs the libraries that docs/recipes.md and docs/coming-from.md name, several gigabytes, and runs what these pages
# show. scripts/test.sh runs only what is installed anyway. Settings, besides those of setup-env.sh:
#
#   FASTIMG_TEST_DATA  a folder with photos/ to run them on, instead of generated pictures
#   FASTIMG_VENV       the virtual environment; default: .venv-recipes in the checkout
set -euo pipefail
FASTIMG_VENV=${FASTIMG_VENV:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv-recipes}
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

# PyTurboJPEG 2 needs libjpeg-turbo 3.
libraries=(numpy tqdm pytest pytest-timeout hypothesis torch torchvision datasets webdataset keras jax lightning
    'ray[data]' 'dask[array]' pandas pyarrow batchup Pillow opencv-python-headless simplejpeg
    'PyTurboJPEG>=1.7.7,<2')
[ "$(uname -s)" != Linux ] || libraries+=(nvidia-dali-cuda120) # runs on the CPU, too; there is none for macOS

prepare venv turbojpeg
say "Installing the libraries"
pip_install "${libraries[@]}"
say "Building"
pip_install --force-reinstall --no-deps "$project"

mkdir "$work/run" # the tests must not find fastimg/ beside them
cp -R "$project"/{pyproject.toml,README.md,docs,tests} "$work/run"
cd "$work/run"
say "Recipes"
FASTIMG_RECIPES=all "$venv_python" -m pytest tests/test_recipes.py tests/test_coming_from.py "$@"
