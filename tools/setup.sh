#!/bin/sh
# Makes .venv in the folder of the project: called by make, through .venv/.ready.
#
# Two small files in .venv tell how far it got, so that a set-up which failed or
# was stopped never looks finished:
#   .making  an installation has begun (holds its process id); found at the start,
#            with nobody at work on it, the folder is remade
#   .ready   everything is installed; holds the folder it was installed for, since
#            a virtual environment does not survive a move
# uv installs where it is present, pip otherwise, and pip again if uv fails: uv
# does not read pip's configuration, so it may not find the packages that pip finds.
set -eu
cd "$(dirname "$0")/.."
here=$(pwd -P)
venv=.venv
log=$venv/setup.log

say() { printf '%s\n' "$*"; }

stop() {
    printf '%s\n' "" "$@" "" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

version_of() {
    "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null ||
        echo 'does not run'
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" && python=$PYTHON && return
        stop "PYTHON=$PYTHON is no Python 3.11 or newer ($(version_of "$PYTHON"))."
    fi
    found=
    for python in python3 python3.13 python3.12 python3.11 python3.14 python; do
        command -v "$python" >/dev/null 2>&1 || continue
        new_enough "$python" && return
        found="$found $python ($(version_of "$python"))"
    done
    stop "netlab needs Python 3.11 or newer. Found:${found:- no Python at all}." \
        "Install one (Debian, Ubuntu: apt install python3 python3-venv;" \
        "macOS: brew install python; anywhere: conda env create -f environment.yml)," \
        "or name one that is here: make PYTHON=/path/to/python3.12"
}

base_of() { "$1" -c 'import sys; print(sys.base_prefix, sys.version)'; }

of_this_python_and_folder() {
    [ "$(cat "$venv/.ready" 2>/dev/null)" = "$here" ] &&
        [ "$(base_of "$venv/bin/python" 2>/dev/null)" = "$(base_of "$python")" ]
}

nothing_to_do() {
    of_this_python_and_folder && [ ! -e "$venv/.making" ] &&
        [ -z "$(find pyproject.toml constraints.txt tools/setup.sh \
            -newer "$venv/.ready")" ]
}

# An environment that is here stays if it can: of the wanted Python, in this folder.
keep_or_remove() {
    [ -e "$venv" ] || return 0
    if [ -e "$venv/.making" ]; then
        maker=$(cat "$venv/.making")
        kill -0 "${maker:-none}" 2>/dev/null &&
            stop "Another set-up is at work (process $maker): wait for it to end."
        say "An earlier set-up did not finish: starting it again."
        rm -rf "$venv"
    elif [ -e "$venv/.ready" ]; then
        of_this_python_and_folder || rm -rf "$venv"
    elif ! new_enough "$venv/bin/python"; then
        stop "$venv is here, was not made by make, and has no Python 3.11 or newer." \
            "Remove or rename it, then run make again."
    fi
}

need_venv_module() {
    "$python" -c 'import venv, ensurepip' 2>/dev/null || [ -n "$uv" ] ||
        stop "$python cannot make a virtual environment: its venv module is missing." \
            "Debian and Ubuntu keep it in a package of its own:" \
            "    apt install python3-venv"
}

make_venv() {
    [ -x "$venv/bin/python" ] && return
    if [ -n "$uv" ]; then
        "$uv" venv --quiet --allow-existing --python "$(command -v "$python")" \
            "$venv" >>"$log" 2>&1 && return
        uv=
    fi
    "$python" -m venv "$venv" >>"$log" 2>&1 ||
        stop "$python -m venv $venv failed:" "$(tail -n 20 "$log")"
}

install_with_uv() {
    "$uv" pip install --python "$venv/bin/python" -c constraints.txt -e '.[test,bench,site]' \
        >>"$log" 2>&1
}

install_with_pip() {
    "$venv/bin/python" -c 'import pip' 2>/dev/null ||
        "$venv/bin/python" -m ensurepip >>"$log" 2>&1 || return 1
    "$venv/bin/python" -m pip install --disable-pip-version-check \
        -c constraints.txt -e '.[test,bench,site]' >>"$log" 2>&1
}

find_python
nothing_to_do && exit 0
uv=$(command -v uv || true)
need_venv_module
keep_or_remove
mkdir -p "$venv"
echo $$ >"$venv/.making"
rm -f "$venv/.ready"
: >"$log"
say "Setting up $venv with $python ($(version_of "$python")); the log is $log."
make_venv
if [ -n "$uv" ] && install_with_uv; then
    by=uv
else
    [ -z "$uv" ] || say "uv could not install the packages: trying pip."
    say "Installing takes a minute or two the first time."
    install_with_pip ||
        stop "The installation failed. The end of $log:" "$(tail -n 25 "$log")"
    by=pip
fi
rm -f "$venv/.making"
printf '%s\n' "$here" >"$venv/.ready"
say "Ready (installed by $by)."
