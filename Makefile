# The one entry point. Each target is a line or two; what it does is in scripts/.
PYTHON ?= python3
PORT ?= $(or $(VOXWIRE_PORT),7860)
VENV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup build dist image run talk test system timing test-pythons test-nodes check gen bench soak screenshots fmt clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv with everything (run, talk, test, ... do this first by themselves)
	@$(PYTHON) scripts/setup.py

build: ## Build the packages to install, into dist/ (npm tarballs, wheels), and the console
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/pack.py

dist: ## Build a release: packages, their sources, SHA256SUMS, notices, SBOM; the same each time
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/dist.py

image: ## Build an image of the server with buildah, podman or docker (BASE="an image with Python")
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/image.py $(if $(BASE),--base $(BASE))

run: ## Start the server with the offline bot on 127.0.0.1:7860 (PORT= to change)
	@$(PYTHON) scripts/setup.py --runtime-only --npm
	@$(PYTHON) scripts/javascript.py --optional
	@PORT=$(PORT) $(PYTHON) scripts/run.py

talk: ## Hold a conversation of four turns with the bot; writes out/bot.wav, events.jsonl, turn.png
	@$(PYTHON) scripts/setup.py --runtime-only
	@PORT=$(PORT) $(VENV)/python scripts/talk.py

test: ## Lint, generated code, every test (ARGS= to pytest, PARTS="cores server", TIMING=0: no timing)
	@$(PYTHON) scripts/setup.py --npm --pipecat
	@$(PYTHON) scripts/test.py $(PARTS) -- $(ARGS)

system: ## Whole programs at length: what make test has no time for; notes the run in tests/
	@$(PYTHON) scripts/setup.py --npm --pipecat --system
	@$(PYTHON) scripts/test.py --system

timing: ## The tests that judge moments of real time, alone (make test ends with them)
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/test.py timing

test-pythons: ## Tests of cores, server and clients on each Python here (PYTHONS="3.12 3.13" picks)
	@$(PYTHON) scripts/setup.py
	@$(PYTHON) scripts/test_pythons.py $(PYTHONS)

test-nodes: ## Unit tests of the JavaScript packages on Node 20, 22 and 24 (NODES="24" picks)
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/test_nodes.py $(NODES)

check: ## Lint, format, types, import rules, schema, generated code, leaks
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/check.py

gen: ## Write the generated code from protocol/proto
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/gen.py

bench: ## Measure against stock Pipecat in the same run; writes out/bench.json (ROWS="P1 P4" picks)
	@$(PYTHON) scripts/setup.py
	@$(VENV)/python -m tests.bench $(ROWS)

soak: ## The long tests
	@$(PYTHON) scripts/setup.py
	@$(VENV)/python -m pytest -m soak --timeout 3600 $(ARGS)

screenshots: ## Draw the console's states into clients/js/apps/console/screenshots
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/javascript.py
	@node clients/js/apps/console/scripts/screenshots.mjs

fmt: ## Format and mend what the tools can
	@$(PYTHON) scripts/setup.py --npm
	@$(PYTHON) scripts/check.py --fix

clean: ## Remove what was built or measured (.venv and node_modules stay)
	@$(PYTHON) scripts/clean.py
