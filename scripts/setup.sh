#!/usr/bin/env bash
# Sets up what is missing, and nothing else: QGIS with the tools of its tests, and .venv with the backend.
# `setup.sh use` takes what users need and leaves out what only tests and training do; `setup.sh backend` leaves QGIS
# alone. A second run finds everything in place and ends within a second.
set -euo pipefail
cd "$(dirname "$0")/.."

for_what=${1:-all}
PACKAGES=(qgis python3-qgis python3-venv)
EXTRAS='[demo]'
if [[ $for_what != use ]]; then
    PACKAGES+=(python3-pytest xvfb xauth xdotool openbox)
    EXTRAS='[demo,stac,train,test,lint]'
fi

say() { printf 'setup: %s\n' "$*"; }
stop() { printf 'setup: %s\n' "$@" >&2; exit 1; }

missing_packages() {
    local package
    for package in "${PACKAGES[@]}"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || printf '%s ' "$package"
    done
}

set_up_qgis() {
    if ! command -v apt-get >/dev/null; then
        command -v qgis_process >/dev/null || [[ -x /Applications/QGIS.app/Contents/MacOS/bin/qgis_process ]] || stop \
            "QGIS is not installed, and this script can install it on Debian and Ubuntu only." \
            "Install QGIS 3.22 or later with your system's tools, so that qgis_process can be found, and run this again."
        return
    fi
    local missing
    missing=$(missing_packages)
    [[ -n $missing ]] || return 0
    [[ $(id -u) == 0 ]] || stop "These packages are missing: $missing" \
        "Install them and run this again:  sudo apt-get install --no-install-recommends $missing"
    say "installing $missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of words
    if ! apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1; then
        say "the lists of packages are missing or old: updating them first"
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    fi
}

# A real Python of this system: QGIS's Python first, since it is the one that the tests of the plugin use as well.
base_python() {
    local candidate
    for candidate in "${PYTHON:-}" /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        [[ -n $candidate ]] && command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    stop "No Python 3.11 or later with venv was found." "Install one, or name it:  make setup PYTHON=/path/to/python3"
}

# The folder belongs to it: a venv with an editable install does not survive being moved.
wanted() { { pwd; cat backend/pyproject.toml backend/constraints.txt; } | sha256sum | cut -d ' ' -f 1; }

# A full installation serves users, too; the other way round it does not.
is_set_up() {
    local stamp=.venv/rsinpaint-setup
    [[ -x .venv/bin/python && -f $stamp ]] || return 1
    [[ $(<"$stamp") == "$(wanted)$EXTRAS" || ($for_what == use && $(<"$stamp") == "$(wanted)"*) ]]
}

set_up_backend() {
    if is_set_up; then
        return
    fi
    local python
    python=$(base_python) || exit 1
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        say "making .venv with $python"
        "$python" -m venv --clear .venv
    fi
    say "installing the backend into .venv: up to 2 GB, some minutes"
    .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --root-user-action=ignore \
        -c backend/constraints.txt -e "./backend$EXTRAS"
    printf '%s%s\n' "$(wanted)" "$EXTRAS" >.venv/rsinpaint-setup
}

[[ $for_what == backend ]] || set_up_qgis
set_up_backend
