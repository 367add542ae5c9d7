#!/usr/bin/env bash
# All tests: the backend's in .venv, the plugin's in QGIS's Python. Both run even if the first fail.
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONDONTWRITEBYTECODE=1 PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV RSINPAINT_PYTHON RSINPAINT_MODELS

summary=$(mktemp)
trap 'rm -f "$summary"' EXIT
failed=0

# run NAME COMMAND ...: shows the output as it comes and keeps pytest's last line.
run() {
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$summary.out" || failed=1
    printf '%s: %s\n' "$name" "$(grep -aE '(passed|failed|error|no tests ran).* in [0-9]' "$summary.out" | tail -n 1 | tr -d '=' | xargs)" >>"$summary"
    rm -f "$summary.out"
}

existing() { for path in "$@"; do [[ -e $path ]] && printf '%s\n' "$path"; done; }

mapfile -t backend < <(existing tests/backend tests/training tests/test_*.py)
run backend .venv/bin/python -m pytest "${backend[@]}"
QT_QPA_PLATFORM=offscreen run plugin /usr/bin/python3 -m pytest tests/plugin
if [[ -d tests/gui ]]; then
    QT_QPA_PLATFORM=xcb run windows xvfb-run -a -s '-screen 0 1600x1000x24 -nolisten tcp' /usr/bin/python3 -m pytest tests/gui
fi

printf '\n'
cat "$summary"
count() { grep -oE "[0-9]+ $1" "$summary" | awk '{n += $1} END {print n + 0}'; }
printf '%d tests passed, %d failed\n' "$(count passed)" "$(($(count failed) + $(count error)))"
exit $failed
