# What can be done here; `make` alone prints the list. Each line of `## text` is its help.
.DEFAULT_GOAL := help
.PHONY: help setup demo pictures test test-gpu lint package bench clean

help:  ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1	/' | expand -t 18

setup:  ## install what is missing: QGIS (as root on Debian or Ubuntu) and .venv with the backend
	@scripts/setup.sh

demo:  ## repair the sample scene with QGIS: demo/filled.tif and demo/before_after.png
	@scripts/setup.sh use
	@.venv/bin/python scripts/demo.py

pictures: demo  ## make the pictures of the README from the demo's output
	@.venv/bin/python scripts/pictures.py

test: setup  ## run all tests; needs no network service and no GPU
	@scripts/test.sh

test-gpu:  ## run the device tests alone (BACKEND_PYTHON=... takes that Python instead of .venv)
	@scripts/test_gpu.sh

lint: setup  ## check style, types, and that the plugin suits Python 3.9 and Qt 6
	@scripts/lint.sh

package:  ## make dist/qgis_rsinpaint.zip, which QGIS installs from
	@python3 scripts/package.py

bench: setup  ## measure quality and cost (hours); fills in the tables of the README
	@.venv/bin/python bench/quality.py --readme
	@.venv/bin/python bench/cost.py --readme

clean:  ## remove what was made, but not .venv
	@rm -rf demo dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
