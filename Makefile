# Every target makes the environment it needs. On the machine: python3 (3.11 or newer, with venv), make and a shell.
#
#   PYTHON     the Python that makes the environment
#   VENV       the folder of the environment
#   PIP_FLAGS  passed to every `pip install`, for example --extra-index-url with the address of
#              the small CPU builds of torch that its web site names
#   WORKERS    processes that the tests run in
#   DEMO_OUT   where `make demo` writes

PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
WORKERS ?= 2
DEMO_OUT ?= runs/demo

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt $(PIP_FLAGS)
# One thread for each process: the test runner starts several, and thread pools on top of them only get in the way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-slower lint types docs notebooks bench clean

help:
	@echo "make demo      train MLC-NC and ERM on the embedded data, measure, plot; writes $(DEMO_OUT)/"
	@echo "make test      all tests but the slow ones"
	@echo "make test-all  all tests"
	@echo "make test-slower  slow tests that CI runs too: figures in the style of papers, UMAP, several processes, every method"
	@echo "make lint      ruff check, ruff format --check, mypy"
	@echo "make types     mypy alone"
	@echo "make docs      build the documentation into docs/_build/html/ and check every link in it"
	@echo "make notebooks execute the notebooks in examples/ from top to bottom"
	@echo "make bench     run every script in analysis/benchmarks/"
	@echo "make clean     remove caches and built documentation (the environment and runs/ stay)"
	@echo "The first call makes $(VENV)/ and installs into it; later calls only when pyproject.toml or constraints.txt changed."

demo: $(STAMP)
	$(BIN)/nctools demo --out "$(DEMO_OUT)" --force

test: $(STAMP)
	$(PYTEST)

test-all: $(STAMP)
	$(PYTEST) -m ''

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

types: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "built docs/_build/html/index.html"

test-slower: $(STAMP)
	$(PYTEST) -m slow tests/plots tests/features/test_reduction.py tests/test_many_devices.py tests/test_metric_over_processes.py tests/methods/test_every_method_trains.py tests/training/test_stages.py tests/training/test_stages_slow.py tests/training/test_processes.py

notebooks: $(STAMP)
	$(PYTEST) -m slow tests/test_notebooks.py

bench: $(STAMP)
	@found=0; failed=0; \
	for script in analysis/benchmarks/*.py; do \
	  case "$$script" in *'*.py' | */_*) continue ;; esac; \
	  found=1; echo "== $$script"; \
	  $(BIN)/python "$$script" || { failed=1; echo "failed: $$script" >&2; }; \
	done; \
	if [ $$found = 0 ]; then echo "no benchmark to run: analysis/benchmarks/ holds no script"; fi; \
	exit $$failed

clean:
	rm -rf docs/_build docs/_generated build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find nctools tests analysis docs examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# .made-here marks a folder that this rule made, .installed one whose last step was reached. Made here and not installed
# means interrupted: it is thrown away and made anew, since an interrupted pip can leave half a package behind. A folder
# without the first mark is somebody else's environment: it is installed into, never removed.
# torch goes first, at its pinned version, so that nothing that needs torch can choose another build of it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nctools needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": call make PYTHON=/path/to/python3.11")'
	@if [ -e "$(VENV)/.made-here" ] && [ ! -e "$(STAMP)" ]; then \
	  echo "removing the unfinished environment $(VENV)/"; rm -rf "$(VENV)"; fi
	@if [ ! -e "$(VENV)" ]; then mkdir -p "$(VENV)" && touch "$(VENV)/.made-here"; fi
	@rm -f "$(STAMP)"
	@echo "[1/3] making the environment $(VENV)/"
	@$(PYTHON) -m venv "$(VENV)"
	@echo "[2/3] installing torch (the largest part; minutes on a slow line)"
	@$(PIP_INSTALL) torch
	@echo "[3/3] installing nctools with its libraries and development tools (a few minutes)"
	@$(PIP_INSTALL) -e '.[dev,docs]'
	@touch "$(STAMP)"
	@echo "installed into $(VENV)/"
