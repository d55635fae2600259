# `make run` and `make test` set everything up on a machine with Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
WORKERS ?= auto
STAMPS := $(VENV)/.stamps

.PHONY: run test browser test-newest-gymnasium lint validate bench clean help

help:
	@echo "make run       set up .venv and run the quickstart experiment"
	@echo "make test      set up .venv with test and rl extras and run the whole suite"
	@echo "make test-newest-gymnasium   the environments on the newest Gymnasium 1.x"
	@echo "make browser   install a Chromium for the tests of the report, where there is none"
	@echo "make lint      style, types of the installed package, layers"
	@echo "make validate  compare the cost models with reference figures (REFERENCE=folder)"
	@echo "make bench     print the speed of cost models and agents"

$(STAMPS)/venv:
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/core: $(STAMPS)/venv pyproject.toml constraints.txt
	@echo "Installing archgym into $(VENV) (once) ..."
	$(PIP) -e .
	@touch $@

# torch comes first and pinned: on Linux the CPU build suffices and a plain name may pull CUDA.
$(STAMPS)/test: $(STAMPS)/core
	@echo "Installing the test and rl extras into $(VENV) (once) ..."
	$(PIP) torch==2.13.0
	$(PIP) -e '.[rl,dev]'
	@touch $@

run: $(STAMPS)/core
	$(BIN)/archgym run quickstart --resume

test: $(STAMPS)/test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# Without a Chromium the tests of the report are skipped, so a failure here is only told.
CHROMIUM := command -v chromium || command -v chromium-browser || command -v google-chrome
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -n)
browser: $(STAMPS)/test
	@$(CHROMIUM) || timeout 600 $(BIN)/playwright install --with-deps chromium \
		|| { $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -y -qq chromium; } \
		|| echo "no Chromium could be installed: the tests of the report in a browser are skipped"

# Ray pins an old Gymnasium; the newest release gets an environment of its own.
test-newest-gymnasium: $(STAMPS)/newest
	$(VENV)-newest/bin/python -m pytest -q tests/envs tests/archgym/test_gym.py

$(STAMPS)/newest: $(STAMPS)/venv pyproject.toml constraints.txt
	@echo "Installing archgym with the newest Gymnasium into $(VENV)-newest (once) ..."
	$(PYTHON) -m venv $(VENV)-newest
	grep -v '^gymnasium==' constraints.txt > $(VENV)-newest/constraints.txt
	$(VENV)-newest/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(VENV)-newest/constraints.txt -U -e . 'gymnasium<2' pytest hypothesis scipy
	@touch $@

# mypy and import-linter look at the package as users install it: one tree under one name.
lint: $(STAMPS)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/check && $(PIP) --no-deps --target build/check .
	cd build && MYPYPATH=check ../$(BIN)/python -P -m mypy --config-file ../pyproject.toml -p archgym
	cd build/check && PYTHONPATH=. ../../$(BIN)/lint-imports --config ../../pyproject.toml

validate: $(STAMPS)/core
	$(BIN)/archgym validate dram $(if $(REFERENCE),--reference $(REFERENCE))
	$(BIN)/archgym validate accelerator $(if $(REFERENCE),--reference $(REFERENCE))

bench: $(STAMPS)/test
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/dram.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/accelerator.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/agents.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/ddr5_curve.py

clean:
	rm -rf $(VENV) $(VENV)-newest build dist *.egg-info
