#!/bin/sh
# Build the documentation. A broken link, or a page that the table of contents lacks, is an error.
set -eu
cd "$(dirname "$0")/.."
# NO_MKDOCS_2_WARNING: the theme's advertisement about the next MkDocs, of no use to who builds this.
NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict
echo "The documentation: $PWD/build/docs/index.html"
