# make demo   set up .venv with what the demo needs, build the LocNet that ships, run it on Loihi's emulator,
#             and say where the page is that shows it
# make test   set up .venv with all that this Python can have, run the tests but the slow ones
# make test-slow  the slow ones: thorough searches, larger networks, more drawn examples
# make test-all   both
# make lint   ruff and mypy
# make clean  remove what the above made
#
# They find a Python 3.10, 3.12, 3.11 or 3.13 by themselves, in this order: 3.10 has all, 3.13 the least.
# PYTHON=/path/to/python names another.

PYTHON ?= $(shell for v in 3.10 3.12 3.11 3.13; do \
	for p in python$$v python3 $$HOME/.pyenv/versions/$$v.*/bin/python; do \
		$$p -c "import sys, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$$v')" 2>/dev/null \
			&& { command -v $$p; exit; }; \
	done; done)
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
VERSION = $(shell $(BIN)/python -c "import sys; print('%d.%d' % sys.version_info[:2])")

LACKED_BY_3.11 := NengoDL and Lava
LACKED_BY_3.12 := NengoDL and Lava
LACKED_BY_3.13 := NengoDL, Lava and nengo-loihi
DEMO_TARGET = $(if $(filter 3.13,$(VERSION)),reference,loihi-emulator)

unexport PYTHONDONTWRITEBYTECODE  # the tests' many processes import the same files

.PHONY: demo test test-slow test-all lint clean

demo: .venv/ready-demo
	@test $(DEMO_TARGET) != reference || echo "snn-deploy: there is no nengo-loihi for Python $(VERSION), so the target reference runs the same integers; for the emulator, make clean demo PYTHON=/path/to/python3.12."
	$(BIN)/snn-deploy build --target $(DEMO_TARGET)

test: .venv/ready-test
	@test -z "$(LACKED_BY_$(VERSION))" || echo "snn-deploy: there is no $(LACKED_BY_$(VERSION)) for Python $(VERSION), so their tests are skipped; for all tests, make clean test PYTHON=/path/to/python3.10 (uv python install 3.10)."
	$(BIN)/pytest -n 2 --dist loadfile -m 'not slow'

test-slow: .venv/ready-test
	$(BIN)/pytest -n 2 --dist loadfile -m slow

test-all: test test-slow

lint: .venv/ready-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@test $(VERSION) != 3.13 || echo "snn-deploy: mypy knows the code by NumPy 1's types and Python $(VERSION) has NumPy 2, so it is not run."
	test $(VERSION) = 3.13 || $(BIN)/mypy

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "snn-deploy: found no Python 3.10 to 3.13 with venv; install one (uv python install 3.10, pyenv install 3.10, or apt-get install python3-venv) or name it: make PYTHON=/path/to/python3.10"; exit 1; }
	$(PYTHON) -m venv .venv
	mkdir -p .venv/src && ln -sfn ../.. .venv/src/snn_deploy  # for mypy and editors

.venv/ready-demo: .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) --no-compile --editable '.[loihi]'  # Python compiles what it imports
	touch $@

.venv/ready-test: .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(INSTALL) --editable '.[all,dev]'
	touch .venv/ready-demo $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
