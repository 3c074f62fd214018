# Goldcopy's front door: `make demo` and `make test` are all a newcomer needs. Works from any path, as root or not.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-full lint bench lock docs clean setup setup-dev

python := .venv/bin/python
# Half of what the tests do is waiting, for servers mostly. A file's tests share what they start, so they stay together.
side_by_side := -n 2 --dist loadfile --no-loadscope-reorder
compile := $(python) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1~\2/p' Makefile | awk -F'~' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: setup ## Back up a sample database, prove the backup, break a copy and catch it, clean up
	@.ci/system-packages libraries
	@.venv/bin/goldcopy demo

test: setup-dev ## Set up what the tests need and run them all (unit, integration, end to end)
	@.ci/prepare-tests
	@$(python) -m pytest $(side_by_side)

test-full: setup-dev ## The same with the minutes-long sweeps
	@.ci/prepare-tests
	@$(python) -m pytest $(side_by_side) -m 'slow or not slow'

lint: setup-dev ## Format, style, types, architecture, spelling
	@.ci/lint

bench: setup-dev ## Measure Goldcopy beside the plain tools and print the numbers
	@.ci/prepare-tests
	@$(python) -m tests.bench.run

docs: setup ## Write the generated pages of docs/ anew
	@$(python) -m tests.support.errors_page

lock: setup-dev ## Resolve the dependencies anew and write the lock files
	@$(compile) -o .ci/uv.lock .ci/uv.in
	@$(compile) --upgrade --group build -o requirements.lock pyproject.toml
	@$(compile) --upgrade --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## Remove what was made here: .venv, caches, the demo's folder (never a repository of yours)
	@rm -rf .venv build dist goldcopy-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find flows shared tests -name __pycache__ -type d -prune -exec rm -rf {} +

setup: ## Make .venv with the goldcopy command; the other targets do it by themselves
	@.ci/make-venv requirements.lock

setup-dev:
	@.ci/make-venv requirements-dev.lock
