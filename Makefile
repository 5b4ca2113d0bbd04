# The one door: people, the README and continuous integration call these targets.
#
# Each environment is a target that depends on pyproject.toml and a lock file, so it is built once
# and again when either changes. Installs are quiet; a failed one shows its log.

SHELL := /bin/sh
.SHELLFLAGS := -euc
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
TOOLS := .venv-tools
NODE := .venv-node
PEERS := .venv-peers
BASE ?= HEAD
BIN := $(VENV)/bin
SOURCES := protocol workers bridges supervisor harness testkit
SPELL ?= examples/basic-llm.lua
MODEL ?=
ARGS ?=
JOBS ?= 1
FRAMES ?= 100000000
SECONDS ?= 600

# An import without bytecode takes twice as long, and pip must install into our environment only.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help run test test-all lint format attacks harness ablation soak late-effects docs bench bench-compare leaks crosscheck fuzz fuzz-guided mutants lock wheel clean

help: ## Show this list
	@printf 'make TARGET [PYTHON=python3.12] [VENV=.venv]\n\n'
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) |
	  while IFS="$$(printf '\t')" read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

run: $(VENV)/.run ## Run a spell with the local model, or MODEL=provider/name [SPELL=FILE] [ARGS=...]
	@[ -n "$(MODEL)" ] || $(BIN)/llmspell-supervisor model install >/dev/null
	$(BIN)/llmspell-supervisor run --model "$(or $(MODEL),local)" $(ARGS) $(SPELL)

test: $(VENV)/.dev $(NODE)/.done ## Run the tests, a process per core [ARGS="-k name"]; ARGS="-n 0": in one
	@$(BIN)/llmspell-supervisor model install >/dev/null
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

test-all: ## Run the tests on each of Python 3.11, 3.12 and 3.13 that this machine has
	@failed=
	for version in 3.11 3.12 3.13; do
	  found=
	  for python in python$$version "$$HOME"/.pyenv/versions/$$version.*/bin/python; do
	    if "$$python" -c '' 2>/dev/null; then found=$$python; break; fi
	  done
	  if [ -z "$$found" ]; then echo "Python $$version: not on this machine" >&2; continue; fi
	  echo "Python $$version: $$found" >&2
	  $(MAKE) --no-print-directory test PYTHON="$$found" VENV=.venv-$$version || failed="$$failed $$version"
	done
	[ -z "$$failed" ] || { echo "The tests failed on Python$$failed" >&2; exit 1; }

lint: $(VENV)/.dev ## Check style, types and who imports whom
	@$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-cache --no-logo
	echo "lint: clean"

format: $(VENV)/.dev ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format --quiet .

attacks: $(VENV)/.dev ## Test the whole attack suite, as root and as an ordinary user
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup \
	  tests/security/test_suite.py $(ARGS)

harness: $(VENV)/.run ## Attack this machine's containment [ARGS="--class os"]
	@$(BIN)/llmspell-supervisor harness $(ARGS)

ablation: $(VENV)/.run ## Attack it without each layer in turn, and print the matrix
	@$(BIN)/llmspell-supervisor harness --class os --ablate $(ARGS)

soak: $(VENV)/.dev ## Run ten thousand hostile and healthy spells, with kills [ARGS="--runs 500"]
	@PYTHONPATH=. $(BIN)/python tests/security/soak.py $(ARGS)

late-effects: $(VENV)/.dev ## End a thousand runs amid their calls; no effect may follow [ARGS="--kills 100"]
	@PYTHONPATH=. $(BIN)/python tests/security/late_effects.py $(ARGS)

docs: $(VENV)/.dev ## Write the pages that are made from the code
	@PYTHONPATH=. $(BIN)/python tests/security/ledger.py
	PYTHONPATH=. $(BIN)/python -m tests.support.syscalls_page
	PYTHONPATH=. $(BIN)/python -m tests.support.reference_page
	PYTHONPATH=. $(BIN)/python -m tests.support.compatibility_page

bench: $(VENV)/.dev $(TOOLS)/.tools $(PEERS)/.done ## Measure beside peers and floors, under a quarter of an hour [ARGS=--quick]
	@$(BIN)/python -m benchmarks.speed --deno $(TOOLS)/bin/deno --peers $(PEERS) \
	  --json $(PEERS)/results.json $(ARGS)
	$(PEERS)/bin/python benchmarks/speed/plot.py $(PEERS)/results.json benchmarks/results.svg

bench-compare: $(VENV)/.dev ## Measure this tree beside another commit, in turns [BASE=main] [ARGS="--most 1.2"]
	@$(BIN)/python -m benchmarks.compare $(BASE) $(ARGS)

leaks: $(VENV)/.dev ## Run a hundred thousand trivial spells through the pool, and see what stays [ARGS="--runs 5000"]
	@$(BIN)/python -m benchmarks.leaks $(ARGS)

crosscheck: $(VENV)/.dev ## Compare the languages on 2,000 programs and 20,000 values [ARGS="--seed 7"]
	@PYTHONPATH=. $(BIN)/python -m tests.testkit.crosscheck $(ARGS)

fuzz: $(VENV)/.dev ## Feed the host 100 million mutated frames, on all cores [FRAMES=...]
	@PYTHONPATH=. $(BIN)/python -m tests.protocol.fuzz --frames $(FRAMES) $(ARGS)

fuzz-guided: $(TOOLS)/.fuzz ## Let coverage guide the mutations for ten minutes [SECONDS=...]
	@mkdir -p .fuzz
	PYTHONPATH=.:protocol $(TOOLS)/bin/python -m tests.protocol.fuzz_guided \
	  -max_total_time=$(SECONDS) -max_len=2000 -print_final_stats=1 -artifact_prefix=.fuzz/ $(ARGS) \
	  .fuzz tests/protocol/corpus

mutants: $(VENV)/.dev $(TOOLS)/.mutation ## Test mutants of the guards, at idle priority [JOBS=2] [ARGS=_framing]
	@$(TOOLS)/bin/python -m tests.mutants.make $(ARGS) |
	  chrt -i 0 nice -n 19 $(BIN)/python -m tests.mutants.run $(JOBS)

lock: $(TOOLS)/.tools ## Resolve the dependencies again and write the lock files
	@echo "make: resolving" >&2
	for folder in tests/support/mcp benchmarks/peers; do
	  (cd "$$folder" && npm update --package-lock-only --save --ignore-scripts --no-audit \
	    --no-fund --omit-lockfile-registry-resolved=true >/dev/null)
	done
	compile="$(TOOLS)/bin/uv pip compile --quiet --upgrade pyproject.toml"
	$$compile --extra local --group build -o requirements.lock
	$$compile --all-extras --group build --group dev -c requirements.lock -o requirements-dev.lock
	$(TOOLS)/bin/uv pip compile --quiet --upgrade --group tools -o requirements-tools.lock
	$(TOOLS)/bin/uv pip compile --quiet --upgrade --group peers -o requirements-peers.lock
	$(TOOLS)/bin/uv pip compile --quiet --upgrade --group fuzz -o requirements-fuzz.lock
	$(TOOLS)/bin/uv pip compile --quiet --upgrade --group mutation -o requirements-mutation.lock

wheel: $(VENV)/.run ## Build the wheel into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	ls dist/*.whl

clean: ## Remove environments, wheels and caches
	@rm -rf .venv .venv-* dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments -----------------------------------------------------------------------------

# $(call install,DIR,LOCK,WHAT): an environment in DIR that holds what LOCK names. Hashes are
# checked; --no-deps because the lock is complete, and leaves out what it leaves out on purpose.
# Bytecode is compiled on all cores, which pip does on one.
define install
	umask 022
	[ "$$(uname -s)" = Linux ] || {
	  echo "llmspell-supervisor needs Linux: spells are held by seccomp, Landlock and namespaces" >&2
	  exit 1
	}
	# A shim on PATH may stand for a version that is not there: only running it tells.
	"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || {
	  echo "make: '$(PYTHON)' is no Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12" >&2
	  exit 1
	}
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || {
	  echo "make: '$(PYTHON)' cannot make environments; on Debian: apt-get install python3-venv" >&2
	  exit 1
	}
	if ! $(1)/bin/python -m pip --version >/dev/null 2>&1; then
	  echo "make: creating $(1) ($$("$(PYTHON)" --version))" >&2
	  "$(PYTHON)" -m venv --clear $(1)
	fi
	log=$(1)/install.log
	quietly() { "$$@" >"$$log" 2>&1 || { cat "$$log" >&2; exit 1; }; }
	echo "make: installing $(3), a minute or two the first time" >&2
	quietly $(1)/bin/python -m pip install --no-compile --no-deps --require-hashes -r $(2)
endef

$(VENV)/.run: pyproject.toml requirements.lock
	@$(call install,$(VENV),requirements.lock,llmspell-supervisor)
	quietly $(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	# Some packages ship templates that are no Python: those stay as they are.
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib $(SOURCES) >>"$$log" 2>&1 || true
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@$(call install,$(VENV),requirements-dev.lock,what tests and linters need)
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >>"$$log" 2>&1 || true
	touch $@

$(TOOLS)/.tools: requirements-tools.lock
	@$(call install,$(TOOLS),requirements-tools.lock,uv and deno)
	touch $@

# Without npm the tests that talk to these servers are skipped, and say so.
$(NODE)/.done: tests/support/mcp/package.json tests/support/mcp/package-lock.json
	@mkdir -p $(NODE)
	cp tests/support/mcp/package.json tests/support/mcp/package-lock.json $(NODE)
	if command -v npm >/dev/null; then
	  echo "make: installing the MCP servers that tests talk to" >&2
	  npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund >$(NODE)/install.log 2>&1 || {
	    cat $(NODE)/install.log >&2
	    exit 1
	  }
	  touch $@
	fi

# What cannot be installed is left out of the benchmark, which says so.
$(PEERS)/.done: requirements-peers.lock benchmarks/peers/package.json benchmarks/peers/package-lock.json
	@$(call install,$(PEERS),requirements-peers.lock,the peers to compare with)
	cp benchmarks/peers/package.json benchmarks/peers/package-lock.json $(PEERS)
	if command -v npm >/dev/null; then
	  npm ci --prefix $(PEERS) --ignore-scripts --no-audit --no-fund >>"$$log" 2>&1 ||
	    echo "make: workerd cannot be installed here" >&2
	fi
	touch $@

$(TOOLS)/.fuzz: $(TOOLS)/.tools requirements-fuzz.lock
	@$(call install,$(TOOLS),requirements-fuzz.lock,atheris)
	touch $@

$(TOOLS)/.mutation: requirements-mutation.lock
	@$(call install,$(TOOLS),requirements-mutation.lock,cosmic-ray)
	touch $@
