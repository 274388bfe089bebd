# Every target sets up what it needs, once. PYTHON is only used to make .venv: `make demo PYTHON=python3.12`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Processes that run tests side by side; 0 runs them in one, for a debugger.
JOBS ?= auto
# Tests that `make test` leaves to `make test-rest`, by their markers: pyproject.toml lists them.
REST := board or campaign or emulator or opencl or sanitizer or slow or tuning
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
MINUTES ?= 10

# What the shipped tuning logs are made of; `make tuning-logs TUNED="zoo:xlsr_x3"` for some of it.
TUNED ?= $(wildcard toolchain/zoo/models/*.onnx)
TUNED_TARGETS ?= x86-avx512vnni x86-avx2 x86-sse4
TUNED_SIZES ?= 180x320 270x480 360x640 540x960

.PHONY: help demo test test-rest test-train test-all coverage check docs fuzz tuning-logs clean

help:
	@echo "make demo    deploy a network, verify it, enlarge a photograph, compare with onnxruntime: out/demo (210 MB, a minute)"
	@echo "make test    run the tests but the longest (ARGS='-k tiles' for some of them)"
	@echo "make test-rest   run the others: boards, OpenCL, tuning, emulators, sanitizers, random inputs"
	@echo "make test-train  run those of the trainer and of PyTorch's files, for which PyTorch is installed"
	@echo "make test-all    run them all"
	@echo "make coverage    run all but the trainer's, and say which lines of the package ran"
	@echo "make check   ruff (rules and format), mypy and the contract between layers"
	@echo "make docs    build the pages of docs/ into out/docs, where index.html is the first"
	@echo "make fuzz    random networks, damaged files, signals (MINUTES=10, or SEED=, COUNT=, ONLY=graphs): docs/campaigns.md"
	@echo "make tuning-logs  tune every embedded network on this machine, which must be idle; goes on where it was stopped"
	@echo "make clean   remove $(VENV) and out"

demo: $(VENV)/.demo
	$(BIN)/clipfree demo -o out/demo

test: $(VENV)/.dev
	$(PYTEST) -m 'not ($(REST) or train)' $(ARGS)

test-rest: $(VENV)/.dev
	$(PYTEST) -m '($(REST)) and not train' $(ARGS)

test-train: $(VENV)/.train
	$(BIN)/python -m pytest -m train tests/test_shown_commands.py tests/zoo tests/training tests/frontend $(ARGS)

test-all: test test-rest test-train

coverage: $(VENV)/.dev
	$(PYTEST) -m 'not train' --cov --cov-report=term:skip-covered $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

# Warnings are errors: links and anchors that lead nowhere, pages that no menu has.
docs: $(VENV)/.docs
	@$(BIN)/python -c 'import mkdocstrings' 2>/dev/null || { echo "make docs needs Python 3.11 or later" >&2; exit 1; }
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.campaigns --minutes $(MINUTES) $(SEED:%=--seed %) $(COUNT:%=--count %) $(ONLY:%=--only %) \
	    $(VERBOSE:%=--verbose)

tuning-logs: $(VENV)/.dev
	for target in $(TUNED_TARGETS); do \
	    $(BIN)/clipfree tune $(TUNED) --target $$target $(TUNED_SIZES:%=--size %) --threads 1 --threads 2 \
	        --resume --logs out/tuning --curve out/tuning/$$target.png || exit 1; \
	done
	$(BIN)/clipfree logs best out/tuning -o tuning_logs

clean:
	rm -rf $(VENV) out

# A stamp is touched after its step went well: an interrupted set-up is taken up again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "clipfree needs Python 3.10 or later; name one: make demo PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "this Python cannot make virtual environments: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@command -v "$${CXX:-$${CC:-cc}}" >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || \
	    { echo "no C compiler here: installing zig to link with"; $(BIN)/python -m pip install --quiet ziglang; }
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo "downloading about 210 MB into $(VENV), once: TVM 104, onnxruntime 28, NumPy 17, photographs 14, others 47"
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m pip install --quiet --no-deps 'scikit-image>=0.24'  # for its photographs; nothing of it is imported
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo,dev,docs,opencl]'
	@touch $@ $(VENV)/.demo $(VENV)/.docs

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

$(VENV)/.train: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[train,torch]'
	-$(BIN)/python -m pip install --quiet --editable '.[spandrel]'
	@touch $@
