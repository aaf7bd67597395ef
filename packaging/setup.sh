#!/bin/sh
# Set up what a make target needs: Debian packages and the virtual environment .venv.
#
#   packaging/setup.sh run|test|lint|bench|docs
#
# Does nothing, in a few milliseconds and without the network, when nothing is missing. What it did is
# remembered in stamp files inside .venv, keyed on the parts of pyproject.toml that say what to install,
# so that removing .venv always means a fresh start. An interrupted set-up, and a checkout that was moved
# (a virtual environment holds absolute paths), are noticed and repaired.
#
# Environment: PYTHON names the interpreter to use (3.11 or newer).
set -eu

set_name=${1:-run}
cd "$(dirname "$0")/.."
root=$PWD
venv=.venv
packages=packaging/debian-packages.txt
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps ip for everybody but root

case $set_name in
run) sets="run" extra="" ;;
test) sets="run test" extra=dev ;;
lint) sets="run lint" extra=dev ;;
bench) sets="run" extra=dev ;;
docs) sets="run" extra=docs ;;
*)
    echo "setup: no set named '$set_name'; there are run, test, lint, bench and docs" >&2
    exit 2
    ;;
esac

say() { echo "setting up: $*" >&2; }

fail() {
    echo "set-up failed: $*" >&2
    exit 1
}

# --- Debian packages -------------------------------------------------------------------------------

# Names of the packages in the wanted sets whose command is not found, on one line.
missing_packages() {
    while read -r package command set reason; do
        case $package in '' | '#'*) continue ;; esac
        case " $sets " in *" $set "*) ;; *) continue ;; esac
        command -v "$command" >/dev/null 2>&1 || printf '%s ' "$package"
        : "$reason" # for people only
    done <"$packages"
}

# Installs the packages named, or says exactly what to do where that is not possible.
install_packages() {
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "these Debian packages, or what they are called on this system, are missing: $*." \
            "There is no apt-get here: install them by hand and try again ($packages gives the reasons)."
    fi
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        fail "Debian packages are missing, and this is neither root nor a user whom sudo lets in without a" \
            "password. Run this, then try again:
    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    fi
    say "Debian packages: $*"
    mkdir -p build
    log=build/apt.log
    : >"$log"
    # Lists older than a day name versions that the mirror may have dropped.
    if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -1 2>/dev/null | head -n 1)" ]; then
        apt_get update || say "'apt-get update' failed, trying with the package lists that are there"
        updated=yes
    else
        updated=no
    fi
    if ! apt_get install --no-install-recommends "$@"; then
        if [ "$updated" = yes ] || ! { apt_get update && apt_get install --no-install-recommends "$@"; }; then
            tail -n 20 "$log" >&2
            fail "apt-get could not install: $*. What it said stands above and in $log."
        fi
    fi
}

apt_get() {
    # shellcheck disable=SC2086 # as_root is empty or two words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" \
        </dev/null >>"$log" 2>&1 9>&-
}

# --- Python ----------------------------------------------------------------------------------------

runs_at_least_311() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Sets $python to the interpreter for the environment, and $venv_package to the Debian package that it lacks for
# making one, if it does: Debian splits that off.
choose_python() {
    python=""
    venv_package=""
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if ! runs_at_least_311 "$name"; then
            [ "$name" != "${PYTHON:-}" ] || fail "PYTHON=$PYTHON does not run, or is older than Python 3.11."
            continue
        fi
        [ -n "$python" ] || python=$name # the first that is new enough, if none can make environments
        if can_make_venvs "$name"; then
            python=$name
            return
        fi
        [ "$name" != "${PYTHON:-}" ] || break
    done
    if [ -z "$python" ]; then
        fail "Python 3.11 or newer is needed, and $(python3 --version 2>&1 || echo 'no python3') is what is here." \
            "Install a newer one, or name it: make PYTHON=/path/to/python3.12 …"
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    venv_package=python$version-venv
}

# True when .venv is whole, was made for this folder and its interpreter still runs.
venv_is_good() {
    [ -e $venv/bin/python ] && [ ! -e $venv/.unfinished ] || return 1
    [ "$(cat $venv/.made-in 2>/dev/null || echo "$root")" = "$root" ] || return 1
    real=$(readlink -f $venv/bin/python)
    case ${real##*/} in
    python3.*) [ -d "$venv/lib/${real##*/}" ] || return 1 ;; # the system's Python is another now
    esac
    # `activate` is the last file that venv writes, and holds the absolute path.
    grep -qF -e "$root/$venv" -e "$(printf '%s' "$root/$venv" | sed "s/'/'\"'\"'/g")" $venv/bin/activate 2>/dev/null
}

make_venv() {
    can_make_venvs "$python" || fail "$python cannot make virtual environments (no ensurepip), even with the Debian" \
        "package $venv_package. Name another interpreter: make PYTHON=/path/to/python3 …"
    if [ -e $venv ]; then
        say "virtual environment $venv again (it is unfinished, moved or for another Python)"
        rm -rf $venv
    else
        say "virtual environment $venv"
    fi
    mkdir -p $venv
    : >$venv/.unfinished # removed when all is there: an interrupted set-up starts anew
    "$python" -m venv $venv >build/venv.log 2>&1 9>&- || {
        cat build/venv.log >&2
        fail "'$python -m venv $venv' did not work."
    }
    printf '%s\n' "$root" >$venv/.made-in
}

install_shakeout() {
    what=".${extra:+[$extra]}"
    say "Python packages of shakeout${extra:+ for $extra} (log: build/pip.log)"
    : >$venv/.unfinished
    interrupted=""
    trap 'interrupted=yes' INT TERM HUP
    status=0
    # pip, not a newer tool: it is what every Python brings along.
    $venv/bin/python -m pip --disable-pip-version-check --no-input install --progress-bar off -e "$what" \
        </dev/null >build/pip.log 2>&1 9>&- || status=$?
    trap - INT TERM HUP
    [ -z "$interrupted" ] || exit 130
    rm -f $venv/.unfinished # pip undoes what it cannot finish: only an interruption leaves it half-way
    if [ "$status" != 0 ]; then
        grep -Ev '^(WARNING|INFO|Requirement already|  )' build/pip.log | tail -n 12 >&2 || tail -n 12 build/pip.log >&2
        fail "pip could not install shakeout and what it needs. What it said stands above and in build/pip.log;" \
            "is the Python package index reachable from here?"
    fi
    # Compiled now: where PYTHONDONTWRITEBYTECODE is set, every run would do it again.
    $venv/bin/python -m compileall -q src >/dev/null 2>&1 9>&- || :
    printf '%s\n' "$key" >"$venv/.installed-${extra:-run}"
}

# True when the packages of this set were installed for what pyproject.toml says now. Every extra includes `run`.
is_installed() {
    for stamp in ${extra:-run dev docs}; do
        [ "$(cat "$venv/.installed-$stamp" 2>/dev/null)" != "$key" ] || return 0
    done
    return 1
}

# Only what decides what is installed: editing the settings of a tool must not need the network.
key_of_pyproject() {
    awk '/^\[/ { on = /^\[(build-system|project|tool\.setuptools)/ } on && !/^ *(#|$)/' pyproject.toml | cksum
}

# --- in order --------------------------------------------------------------------------------------

missing=$(missing_packages)
key=$(key_of_pyproject)
if [ -z "$missing" ] && venv_is_good && is_installed; then
    exit 0
fi

# Two targets at once must not set up the same environment: the second waits, then finds all done.
mkdir -p build
exec 9<pyproject.toml
if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
    say "waiting for another set-up of this folder to end"
    flock 9
fi
venv_package=""
venv_is_good || choose_python
missing="$(missing_packages)$venv_package"
# shellcheck disable=SC2086 # a list of words
[ -z "$missing" ] || install_packages $missing
missing=$(missing_packages)
[ -z "$missing" ] || fail "after installing, these still lack their command: $missing(see $packages)."
venv_is_good || make_venv
is_installed || install_shakeout
