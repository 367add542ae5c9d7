#!/usr/bin/env bash
# Style, types, and what the plugin must not use. All checks run, so that one run shows everything.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
check() { printf '== %s\n' "$*"; "$@" || failed=1; }

check .venv/bin/ruff check .
check .venv/bin/ruff format --check .
check .venv/bin/mypy backend/rsinpaint training
check .venv/bin/python scripts/check_plugin.py
exit $failed
