#!/bin/sh
# Build the documentation. A broken link, or a page that the table of contents lacks, is an error.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
# NO_MKDOCS_2_WARNING: the theme's notice about the next MkDocs is of no use to who builds this. Not --quiet:
# with that, warnings are not counted as errors.
if ! NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict >build/docs.log 2>&1; then
    grep -v '^INFO' build/docs.log >&2
    exit 1
fi
echo "The documentation: $PWD/build/docs/index.html"
