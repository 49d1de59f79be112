# Stillvault. `make demo` shows the whole loop, `make test` holds it against everything that must hold.
# Every target sets up what it needs: the Python environment in .venv, the build of Rust in target/.

PYTHON ?= python3
VENV := .venv/bin
DIR ?= tests/vectors
SECONDS ?= 30

.DEFAULT_GOAL := help
.PHONY: help setup build console wheel image test check fmt vectors demo run bench peers load fuzz e2e screenshots attack abuse faults clean

help: ## this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## the Python environment, with the versions and hashes of requirements.lock

.venv/.ready: requirements.lock console/package-lock.json tools/setup tools/console
	PYTHON=$(PYTHON) tools/setup

build: setup ## the extension (with the feature `vectors`), the front, the web console: for development and tests
	tools/build

console: setup ## the web console alone, into stillvault/console
	tools/console

wheel: setup ## what is released, into dist/: the package, the extension without `vectors`, the front
	$(VENV)/python -m pip wheel -q --no-deps --no-build-isolation -w dist . && ls dist/*.whl

image: $(if $(WHEELHOUSE),,wheel) ## the container image of the relay, by podman, buildah or docker: docs/operations/container.md
	appliance/image

test: ## everything: set up, build, check, vectors, the tests of Rust and of Python; prints its time
	tools/test

check: setup ## lint and types, without running anything
	$(VENV)/ruff check -q . && $(VENV)/mypy
	cd console && node_modules/.bin/tsc --noEmit
	cargo fmt --all --check && cargo clippy -q --workspace --all-targets --features stillvault-core/vectors -- -D warnings

fmt: setup ## what can be put in order without asking: imports, Rust
	$(VENV)/ruff check --fix-only -q . ; cargo fmt --all

vectors: build build/console-vectors/vectors.mjs ## hold the extension, the reference and the console against the vectors in DIR
	$(VENV)/python -m tests.conformance $(DIR)

build/console-vectors/vectors.mjs: console/package-lock.json console/vite.config.ts $(wildcard console/src/protocol/*.ts) | setup
	cd console && npx --no-install vite build --mode vectors --logLevel warn

demo: build wheel ## the whole loop on this machine, each step a command (DEMO_FLAGS=--yes approves by itself)
	$(VENV)/python appliance/demo.py $(DEMO_FLAGS)

run: build wheel ## the same appliance, left running
	$(VENV)/python appliance/demo.py --stay $(DEMO_FLAGS)

bench: build wheel ## the budgets of docs/performance.md, each beside its floor: criterion for the core, then the wheel
	cargo bench -q -p stillvault-core --bench paths && $(VENV)/python -m bench

peers: setup ## OpenBao, into build/peers: `make bench` runs it beside us where it is there
	$(VENV)/python -m bench.peers

load: build wheel ## whole releases under load against the wheel, four minutes: loadtests/README.md
	$(VENV)/python -m loadtests steady --wheel

fuzz: setup ## SECONDS seconds for each parser
	tools/fuzz $(SECONDS)

e2e: build ## real processes: the command line, the daemon, the front
	$(VENV)/python -m pytest tests/cli tests/client tests/front

attack: build ## the hostile relay: its rows one by one, then every leaf of recorded flows, changed (about 20 minutes)
	$(VENV)/python -m pytest tests/hostile tests/blindness -s
	rm -f target/attack.log && $(VENV)/python -m tests.hostile

screenshots: build ## each screen of the console at phone and desktop size, into docs/guides/console/
	$(VENV)/python -m tests.console.shots

abuse: build ## 10,000 malformed requests, floods of connections, bodies without end, against one relay
	MALFORMED=9999 $(VENV)/python -m pytest -s tests/ops/test_abuse.py

faults: build ## kills under load, a full disk, a wrong clock
	$(VENV)/python -m pytest tests/faults -s

clean: ## what the build made; not the environment
	rm -rf target build dist stillvault/_native*.so stillvault/console
