# cspd: `make run` gives a working PKI, `make test` proves it. Everything is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
STATE ?= var
BENCHMARKS ?= http_floor ocsp tsa signing store crl enroll est cmp scep memory
.DEFAULT_GOAL := help
.PHONY: help run install test unit interop fuzz check format conformance bench lock clean

help:
	@echo "make run          a demo PKI in ./$(STATE), on http://localhost:8080 and https://localhost:8443"
	@echo "make test         all checks and tests, against real clients and servers"
	@echo "make unit         the tests that need no socket (seconds)"
	@echo "make interop      the tests with real clients and servers"
	@echo "make check        format, lint, types"
	@echo "make fuzz         long random runs of the codec tests"
	@echo "make bench        measurements, as ratios against a peer or a limit"
	@echo "make conformance  writes docs/conformance.md"
	@echo "make lock         renews the lock files from setup.cfg"

run: $(BIN)/.run
	@test -f $(STATE)/cspd.toml || $(BIN)/cspctl init --demo $(STATE)
	@exec $(BIN)/twistd --nodaemon --pidfile= cspd --config $(STATE)/cspd.toml

install: $(BIN)/.run

$(BIN)/python:
	@.ci/make-venv $(PYTHON)

$(BIN)/.run: requirements.lock setup.cfg pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--config-settings editable_mode=compat -e .
	@touch $@

$(BIN)/.test: requirements-test.lock $(BIN)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

# Its package is compiled at installation, by what .ci/install-counterparts installs.
$(BIN)/.kerberos: requirements-kerberos.lock $(BIN)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-kerberos.lock
	@touch $@

test: check
	@.ci/install-counterparts
	@$(MAKE) --no-print-directory $(BIN)/.kerberos
	@$(BIN)/python -m tests.support.conformance --check
	$(BIN)/python -m pytest

unit: $(BIN)/.test
	$(BIN)/python -m pytest -m "not interop"

interop: $(BIN)/.test
	@.ci/install-counterparts
	@$(MAKE) --no-print-directory $(BIN)/.kerberos
	$(BIN)/python -m pytest -m interop

fuzz: $(BIN)/.test
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest --timeout 3600 tests/fuzz

check: $(BIN)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(BIN)/.test
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

conformance: $(BIN)/.test
	@$(BIN)/python -m tests.support.conformance

bench: $(BIN)/.test
	@.ci/install-counterparts
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m bench.$$name || exit 1; done

lock: $(BIN)/.test
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --extra build --output-file requirements.lock setup.cfg
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --extra build --extra test --constraint requirements.lock \
		--output-file requirements-test.lock setup.cfg
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --extra build --extra kerberos --constraint requirements.lock \
		--output-file requirements-kerberos.lock setup.cfg

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
