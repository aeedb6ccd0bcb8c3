# Every target sets up what it needs, from a fresh clone on a machine with Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-frameworks test-clients test-worlds test-world-openai2 test-world-openai3 test-decisions lint types floors check bench bench-allocation format clean

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
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal --cov --cov-report=term-missing:skip-covered

# Each framework in an environment of its own, because their requirements exclude each other: its example, and its
# unchanged client against the proxy.
FRAMEWORKS := pydantic_ai openai_agents smolagents agent_framework anthropic litellm dspy crewai
CLIENTS := pydantic_ai openai_agents litellm dspy
NEEDS_pydantic_ai := pydantic-ai-slim[openai]>=2.60,<3
NEEDS_openai_agents := openai-agents>=0.24,<1
NEEDS_smolagents := smolagents[openai]>=1.26,<2
NEEDS_agent_framework := agent-framework-core>=1.23,<2 agent-framework-openai>=1.17,<2
NEEDS_anthropic := anthropic>=2.14,<3
NEEDS_litellm := litellm>=1.106,<2
NEEDS_dspy := dspy>=3.4,<4
NEEDS_crewai := crewai>=1.15,<2
PLAIN := -m pytest -q -rs --disable-warnings --noconftest -c /dev/null --rootdir=. -p no:cacheprovider

test-frameworks: $(FRAMEWORKS:%=.frameworks/%/.ran) ## the examples of the small adapters, each with its framework

test-clients: $(CLIENTS:%=.frameworks/%/.client) ## frameworks against the proxy, with only their base URL changed

.frameworks/%/.ready: pyproject.toml
	$(PYTHON) -m venv .frameworks/$*
	.frameworks/$*/bin/python -m pip --disable-pip-version-check install -q -e '.[http,server]' pytest $(patsubst %,'%',$(NEEDS_$*))
	@touch $@

.frameworks/%/.ran: .frameworks/%/.ready examples/wrap_%.py examples/adaptive.yaml tests/test_examples.py
	.frameworks/$*/bin/python $(PLAIN) tests/test_examples.py -k 'wrap_$*'
	@touch $@

.frameworks/%/.client: .frameworks/%/.ready tests/clients/test_%.py tests/clients/site.py
	.frameworks/$*/bin/python $(PLAIN) tests/clients/test_$*.py
	@touch $@

# The two worlds of the OpenAI SDK: 2 on httpx, with LlamaIndex's own class for it, and 3 on httpx2, with the newest
# LangChain. Neither has torch.
WORLDS := .worlds/openai2/.ready .worlds/openai3/.ready
WORLD_openai2 := openai>=2,<3 httpx>=0.28,<1 llama-index-llms-openai>=0.8,<0.9
WORLD_openai3 := openai>=3,<4
FREE_openai2 := openai
FREE_openai3 := openai|langchain.*|langgraph.*|langsmith|certifi
WORLD_TESTS := tests/transport tests/worlds tests/clients tests/proxy/test_clients.py integrations/langchain/tests

.PRECIOUS: .frameworks/%/.ready .worlds/%/.ready
.worlds/%/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .worlds/$*
	grep -vE '^($(FREE_$*))==' constraints.txt > .worlds/$*/constraints.txt
	.worlds/$*/bin/python -m pip --disable-pip-version-check install -q --upgrade 'pip>=25.1'
	.worlds/$*/bin/python -m pip --disable-pip-version-check install -q -c .worlds/$*/constraints.txt \
		-e '.[langchain,langchain-agents,llama-index,http,server,tools]' --group test $(patsubst %,'%',$(WORLD_$*))
	@touch $@

test-worlds: test-world-openai2 test-world-openai3 ## the adapters, the transport and the proxy with OpenAI SDK 2, and with 3

test-world-openai2 test-world-openai3: test-world-%: .worlds/%/.ready
	.worlds/$*/bin/python -m pytest -q -p no:cacheprovider $(WORLD_TESTS)

# langchain-core 1.8 wants a newer certifi than constraints.txt has, so its tests have an environment of their own.
CORE18 := .worlds/core18
NEWER := certifi|langchain[a-z-]*|langgraph[a-z-]*|langsmith|openai

test-decisions: $(CORE18)/.ready ## all LangChain tests with langchain-core 1.8 and langchain 1.5, decision models included
	$(CORE18)/bin/python -m mypy integrations/langchain
	$(CORE18)/bin/python -m pytest -q integrations/langchain

$(CORE18)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(CORE18)
	grep -vE '^($(NEWER))==' constraints.txt > $(CORE18)/constraints.txt
	$(CORE18)/bin/python -m pip --disable-pip-version-check install -q --upgrade 'pip>=25.1'
	$(CORE18)/bin/python -m pip --disable-pip-version-check install -q -c $(CORE18)/constraints.txt \
		-e '.[langchain,langchain-agents,http,prm,server,tools]' --group dev 'langchain-core>=1.8,<2' 'langchain>=1.5,<2'
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
	rm -rf $(VENV) .frameworks .worlds .mypy_cache .ruff_cache .pytest_cache .coverage .hypothesis dist build
