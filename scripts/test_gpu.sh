#!/usr/bin/env bash
# The device tests alone (marked `gpu`). Needs no QGIS. BACKEND_PYTHON names a Python that has the backend's
# libraries already; without it .venv is set up.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${BACKEND_PYTHON:-}
if [[ -z $python ]]; then
    scripts/setup.sh backend
    python=.venv/bin/python
fi
export PYTHONPATH=backend PYTHONDONTWRITEBYTECODE=1

device=$("$python" - <<'PYTHON'
import torch

if torch.cuda.is_available():
    print(torch.cuda.get_device_name())
elif torch.backends.mps.is_available():
    print("Apple GPU (mps)")
PYTHON
)
if [[ -z $device ]]; then
    echo "No GPU is present here: the device tests were left out."
    exit 0
fi
echo "Device tests on $device"
status=0
"$python" -m pytest -m gpu tests/backend || status=$?
if [[ $status == 5 ]]; then  # pytest's code for: nothing was selected
    echo "There is no test marked gpu."
fi
exit $status
