#!/bin/sh
# The main job on real input: examples/hello.py on hosts that shakeout makes for it, then where to look.
set -eu
cd "$(dirname "$0")/.."
page=build/demo.html
mkdir -p build
rm -f $page
status=0
.venv/bin/shakeout run examples/hello.py --html $page || status=$?
if [ -s $page ]; then
    echo
    echo "The run as a page: $PWD/$page"
elif [ $status = 0 ]; then
    echo "demo: the run passed but wrote no page to $page" >&2
    status=3
fi
exit $status
