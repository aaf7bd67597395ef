#!/bin/sh
# Every check of `make lint`, all of them even when one fails, so that one run tells everything.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PWD/.venv/bin:$PATH
failed=""

check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        printf '%-14s ok\n' "$name"
        printf '%s\n' "$output" | grep '^warning:'
    else
        printf '%-14s FAILED: %s\n%s\n' "$name" "$*" "$output"
        failed="$failed $name"
    fi
}

# Tools find their own files and leave out what .gitignore names; the scripts are listed by name.
check style ruff check .
check format ruff format --check .
check types mypy
check layers lint-imports --no-cache
check scripts shellcheck packaging/*.sh .ci/run
check tree python packaging/check_tree.py
check changes towncrier build --draft --version draft

if [ -n "$failed" ]; then
    printf '\nlint: failed:%s\n' "$failed"
    exit 1
fi
