# Every target works on a fresh machine with Python >= 3.11: `.venv` is made when it is missing.
PYTHON ?= python3
BIN := .venv/bin
# Tiny models are fastest with one thread a process; two test processes fill two cores.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
TEST := $(BIN)/python -m pytest
JOBS ?= 2

.PHONY: setup demo test check fix lint types slow acceptance gpu bench mutants wheel docs gallery clean

setup: .venv/.ready

# The demo needs torch, transformers and the core alone. Bytecode is not compiled ahead: most modules are never imported.
# torch comes at its pinned version: a looser request would bring a build for another device.
.venv/.demo: pyproject.toml constraints.txt
	@echo "Making .venv: torch and about 60 other packages, under a minute from a near mirror."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt torch -e ".[train,figures]"
	@touch $@

.venv/.ready: .venv/.demo
	@echo "Adding the developers' tools and all extras that the tests use, some minutes the first time."
	$(BIN)/python -m pip install --quiet -c constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[train,lora,web,curate,figures]" --group dev --group docs
	@touch $@
	@echo "Ready. The command 'lima' is in .venv/bin; on your path after: source .venv/bin/activate"

demo: .venv/.demo ## the whole path in the built-in world
	$(BIN)/lima demo

test: setup ## all quick tests
	$(TEST) -n $(JOBS) --dist worksteal -m 'not slow and not acceptance'

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

check: lint ## what every change must pass; the type checker, which takes one core, runs beside the tests
	$(MAKE) --no-print-directory -j 2 types test

fix: setup ## format, mend what the linter can, regenerate docs
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python docs/generate.py

slow: setup ## whole stages on real input; LIMA_DATA names the folder of real data
	LIMA_TEST_DATABASE=postgresql $(TEST) -n $(JOBS) --dist worksteal -m 'not slow and not acceptance' tests/annotate
	$(TEST) -n $(JOBS) --dist loadfile --durations 12 -m slow

acceptance: setup ## full-count kill, load and fuzz tests
	LIMA_EXPLORE=1 $(TEST) -m acceptance

gpu: setup ## at most 10 minutes on one card: tests marked gpu, then MFU, memory and generation; skips without CUDA
	$(TEST) -m gpu --timeout 240 tests
	$(BIN)/python benchmarks/gpu.py --out gpu.json

bench: setup ## every benchmark; each prints ratios against a peer in the same run
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

mutants: setup ## do the tests notice small faults? 400 mutants drawn by a seed; at least 85 % must be killed
	$(BIN)/python tests/mutants.py

wheel: .venv/.demo ## dist/*.whl, with its pages, words and the demo's base
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

docs: setup ## build/site/index.html: all pages, searchable; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "Open build/site/index.html"

gallery: setup ## the pictures of the docs, taken anew from the running tool; needs Chromium
	$(BIN)/python docs/gallery.py

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
