# Each target sets up whatever it needs first (packaging/setup.sh) and works alone, in a fresh clone.
# On Debian or Ubuntu with Python 3.11 or newer, as root or with sudo. PYTHON=… names another interpreter.
.DEFAULT_GOAL := help
.PHONY: help demo test bench docs lint picture clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: ## two hosts made from nothing, a test on them, and where its HTML page is
	@packaging/setup.sh run
	@packaging/demo.sh

test: ## all tests (ARGS="-k name" or ARGS=tests/unit for some of them)
	@packaging/setup.sh test
	@.venv/bin/python -m pytest $(ARGS)

bench: ## the benchmark table (ARGS="--only match" for some rows, --json FILE)
	@packaging/setup.sh bench
	@.venv/bin/python -m benchmarks $(ARGS)

docs: ## the documentation as HTML, into build/docs
	@packaging/setup.sh docs
	@packaging/docs.sh

lint: ## style, types, layers, scripts and the tree itself
	@packaging/setup.sh lint
	@packaging/lint.sh

picture: ## docs/img/run.svg again, from a real run of examples/hello.py
	@packaging/setup.sh run
	@.venv/bin/python docs/make_picture.py

clean: ## remove what the targets made: .venv, build and the caches
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
