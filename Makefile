# make demo   set up .venv with what the demo needs, build the LocNet that ships, run it on Loihi's emulator
# make test   set up .venv with all that this Python can have, run the tests
# make lint   ruff and mypy
# make clean  remove what the above made
#
# They find a Python 3.10, 3.11 or 3.12 by themselves; PYTHON=/path/to/python names another.

PYTHON ?= $(shell for v in 3.10 3.11 3.12; do \
	for p in python$$v python3 $$HOME/.pyenv/versions/$$v.*/bin/python; do \
		$$p -c "import sys, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$$v')" 2>/dev/null \
			&& { command -v $$p; exit; }; \
	done; done)
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint clean

demo: .venv/ready-demo
	$(BIN)/snn-deploy build --target loihi-emulator

test: .venv/ready-test
	$(BIN)/pytest -n 2 --dist loadfile

lint: .venv/ready-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "snn-deploy: found no Python 3.10, 3.11 or 3.12 with venv; install one (uv python install 3.10, pyenv install 3.10, or apt-get install python3-venv) or name it: make PYTHON=/path/to/python3.10"; exit 1; }
	$(PYTHON) -m venv .venv
	mkdir -p .venv/src && ln -sfn ../.. .venv/src/snn_deploy  # for mypy and editors

.venv/ready-demo: .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) --no-compile --editable '.[loihi]'  # Python compiles what it imports
	touch $@

.venv/ready-test: .venv/pyvenv.cfg pyproject.toml constraints.txt
	@$(BIN)/python -c "import sys; sys.exit(sys.version_info[:2] != (3, 10))" || echo "snn-deploy: TensorFlow 2.11, NengoDL and Lava need Python 3.10 (uv python install 3.10) and this is $$($(BIN)/python -V); their tests will be skipped."
	$(INSTALL) --editable '.[all,dev]'
	touch .venv/ready-demo $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
