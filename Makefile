# Every target sets up what it needs, from a fresh clone on a machine with Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-frameworks lint types floors check bench bench-allocation format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than Python 3.11; run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --disable-pip-version-check install -q --upgrade 'pip>=25.1'

$(VENV)/.ready-demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[prm]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-demo
	$(PIP) -e '.[all]' --group dev
	@touch $@

demo: $(VENV)/.ready-demo ## run the embedded model pair on graded problems and explain one decision
	$(BIN)/adaptive-middleware demo

test: check ## everything that CI runs: lint, types, floors, tests with branch coverage
	$(BIN)/pytest -q --cov --cov-report=term-missing:skip-covered

# Each framework in an environment of its own, because their requirements exclude each other.
FRAMEWORKS := pydantic_ai openai_agents smolagents agent_framework anthropic litellm dspy crewai
NEEDS_pydantic_ai := pydantic-ai-slim[openai]>=2.60,<3
NEEDS_openai_agents := openai-agents>=0.24,<1
NEEDS_smolagents := smolagents[openai]>=1.26,<2
NEEDS_agent_framework := agent-framework-core>=1.23,<2 agent-framework-openai>=1.17,<2
NEEDS_anthropic := anthropic>=2.14,<3
NEEDS_litellm := litellm>=1.106,<2
NEEDS_dspy := dspy>=3.4,<4
NEEDS_crewai := crewai>=1.15,<2

test-frameworks: $(FRAMEWORKS:%=.frameworks/%/.ran) ## the examples of the small adapters, each with its framework

.frameworks/%/.ran: examples/wrap_%.py pyproject.toml
	$(PYTHON) -m venv .frameworks/$*
	.frameworks/$*/bin/python -m pip --disable-pip-version-check install -q -e '.[http,server]' pytest $(patsubst %,'%',$(NEEDS_$*))
	.frameworks/$*/bin/python -m pytest -q --noconftest -c /dev/null -p no:cacheprovider tests/test_examples.py -k 'wrap_$*'
	@touch $@

check: lint types floors

lint: $(VENV)/.ready-dev ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev ## mypy --strict
	$(BIN)/mypy
	$(BIN)/mypy integrations/langchain
	$(BIN)/mypy integrations/llama_index

floors: $(VENV)/.ready-dev ## import-linter: who may import whom
	PYTHONPATH=integrations/langchain:integrations/llama_index $(BIN)/lint-imports --no-cache

bench: $(VENV)/.ready-dev ## overhead and lab figures, written to bench/results.json
	$(BIN)/python -m bench

bench-allocation: $(VENV)/.ready-dev ## every allocation rule on recorded samples, to bench/LEADERBOARD.md (RECORDINGS="a.jsonl.gz ..": on yours)
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.allocation $(RECORDINGS)

format: $(VENV)/.ready-dev ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and caches
	rm -rf $(VENV) .frameworks .mypy_cache .ruff_cache .pytest_cache .coverage .hypothesis dist build
