#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash scripts/docs.sh [FOLDER]
#
# Builds the site, of an installed wheel, into FOLDER (default: build/docs). A warning is an error, and so is a link
# within the site that leads nowhere. No server is asked but pip's. Settings, besides those of setup-env.sh:
#
#   FASTIMG_INVENTORIES  "python=FILE numpy=FILE": inventories of Sphinx, files or addresses, to link names of others
#   FASTIMG_LINKCHECK=1  follow links to other servers, too
set -euo pipefail
# shellcheck source=scripts/setup-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup-env.sh"

out=${1:-$project/build/docs}
case $out in /*) ;; *) out=$PWD/$out ;; esac
prepare venv
install_fastimg docs

# Beside the pages there is no fastimg/ that could be documented in the wheel's place, and nothing is drawn in the checkout.
mkdir "$work/site"
cd "$project"
cp -R docs pyproject.toml ./*.md "$work/site"
cd "$work"
sphinx() { "$venv_python" -m sphinx --fail-on-warning --keep-going --nitpicky --quiet -d "$work/trees" -b "$@"; }

say "Pages"
rm -rf "$work/site/docs/generated"
sphinx html "$work/site/docs" "$work/html"
say "Links"
"$venv_python" "$project/scripts/check_links.py" "$work/html"
[ -z "${FASTIMG_LINKCHECK:-}" ] || sphinx linkcheck "$work/site/docs" "$work/linkcheck"

[ ! -e "$out" ] || [ -e "$out/objects.inv" ] || die "$out exists and is not a site"
rm -rf "$out"
mkdir -p "$(dirname "$out")"
cp -R "$work/html" "$out"
say "$out/index.html"
