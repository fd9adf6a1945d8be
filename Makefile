# `make help` lists the targets.
.DEFAULT_GOAL := help
PYTHON := python3 -B
CARGO_LOCAL := --profile local
# What the main job loads into: postgresql, or hologres, which is its stand-in (PROFILE=2.2|3.1|4.1, EXTENDED_COPY=off).
TARGET :=
PROFILE :=
EXTENDED_COPY :=
STANDIN_OPTIONS = $(if $(PROFILE),--profile $(PROFILE)) $(if $(EXTENDED_COPY),--extended-copy $(EXTENDED_COPY))
TARGET_OPTIONS = $(if $(TARGET),--target $(TARGET)) $(STANDIN_OPTIONS)
SOAK_S := 3600
FUZZ_S := 600
# Where PostgreSQL is not installed, it is found or fetched first.
WITH_POSTGRES := $(PYTHON) scripts/with_postgres.py

# What a backfill loads, and how; `make backfill` without any of it says what there is.
STACK :=
BACKFILL = $(if $(STACK),--stack '$(STACK)') $(if $(BUCKET),--bucket '$(BUCKET)') \
	$(if $(filter undefined,$(origin PREFIX)),,--prefix '$(PREFIX)') \
	$(if $(INVENTORY),--inventory '$(INVENTORY)') $(if $(MANIFEST),--manifest '$(MANIFEST)') $(if $(PLAIN_KEYS),--plain-keys) \
	$(if $(FORCE),--force) $(if $(DRY_RUN),--dry-run) $(if $(TOLERATED),--tolerated $(TOLERATED)) \
	$(if $(CONCURRENCY),--concurrency $(CONCURRENCY))

.PHONY: help run play standin test lint fmt unit test-scripts soak fuzz demo conformance bench validate deploy-local sam-local \
	backfill backfill-local build check-package build-LoaderFunction clean

help: ## List the targets
	@grep -hE '^[a-zA-Z_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-zA-Z_-]+):.*## (.*)/  \1|\2/' | column -t -s '|'

run: ## The main job on this machine: two S3 puts invoke the handler, rows appear in PostgreSQL, or with TARGET=hologres there
	@$(PYTHON) scripts/run.py $(TARGET_OPTIONS)

play: ## The same, and leave everything up to play with
	@$(PYTHON) scripts/run.py --keep $(TARGET_OPTIONS)

standin: ## The stand-in of Hologres with a table, until Ctrl-C; says what to type beside it
	@$(WITH_POSTGRES) $(PYTHON) scripts/standin.py

test: lint test-scripts unit demo validate deploy-local backfill-local ## Everything that CI runs

lint: ## Formatting and clippy
	cargo fmt --check
	cargo clippy $(CARGO_LOCAL) --all-targets -- -D warnings
	cargo clippy $(CARGO_LOCAL) --lib --bin bootstrap --no-default-features --features lambda -- -D warnings

fmt: ## Format the code
	cargo fmt

# Most tests wait for a server most of the time.
unit: ## Tests: pure rooms, and the real binaries against a real PostgreSQL and a real S3 API
	$(WITH_POSTGRES) cargo test $(CARGO_LOCAL) -- --test-threads 4

test-scripts: ## Tests of the check that a package passes before it goes to Lambda
	cd scripts && $(PYTHON) -m unittest -q test_package

# First every message of a conversation with Hologres is cut. A history that does not end right is printed with its seed, which HOLOLOAD_TEST_SEED replays.
soak: ## Random deliveries, faults and kills into both databases against a model, for SOAK_S seconds (3600)
	HOLOLOAD_TEST_POINTS=1000 $(WITH_POSTGRES) cargo test $(CARGO_LOCAL) --test proof -- --nocapture --test-threads 4 cuts::a_
	HOLOLOAD_TEST_SOAK_S=$(SOAK_S) $(WITH_POSTGRES) \
		cargo test $(CARGO_LOCAL) --test proof -- --ignored --nocapture --test-threads 2 soak

fuzz: ## Random bytes into the pure rooms, FUZZ_S (600) seconds for each target, or for TARGET=csv alone (needs a nightly toolchain)
	@$(PYTHON) scripts/fuzz.py --seconds $(FUZZ_S) $(TARGET)

demo: ## `make run` into PostgreSQL and into the stand-in of Hologres, or into TARGET; the results checked
	@set -e; for target in $(or $(TARGET),postgresql hologres); do \
		$(PYTHON) scripts/run.py --target $$target $(STANDIN_OPTIONS); \
		$(PYTHON) scripts/check_result.py --target $$target $(STANDIN_OPTIONS); \
	done

conformance: ## The vendor's own clients (Python, Java) against the stand-in of Hologres: does it take what they send?
	@$(PYTHON) scripts/conformance.py $(if $(PROFILE),--profile $(PROFILE))

bench: ## What a load costs, beside psql \copy + merge; ONLY=decode: decoding and typing alone
	$(WITH_POSTGRES) cargo bench $(CARGO_LOCAL) --bench load $(if $(ONLY),-- $(ONLY))

validate: ## template.yaml through `sam validate --lint` and cfn-lint, every policy in it evaluated, and the backfill's states
	@$(PYTHON) scripts/sam.py validate
	@$(PYTHON) scripts/validate_backfill.py

deploy-local: ## template.yaml deployed into MiniStack, which enforces its permissions: puts that load rows, by every trigger
	@$(PYTHON) scripts/sam.py deploy

sam-local: ## `sam local invoke` with files of events/, or with EVENT alone, against the local stack (needs a container engine)
	@$(PYTHON) scripts/sam.py local $(if $(EVENT),--event '$(EVENT)')

backfill: ## Load in AWS what is under PREFIX, or what an INVENTORY or a MANIFEST names: docs/backfill.md
	@$(PYTHON) scripts/backfill.py start $(BACKFILL)

backfill-local: ## The backfill's state machine executed in the local stack
	@$(PYTHON) scripts/backfill.py local

build: ## The Lambda package for ARCH (x86_64 or arm64; this machine's without it), in build/
	@$(PYTHON) scripts/package.py build $(ARCH) --zip

check-package: ## Run the package for ARCH under a C library older than Lambda's, with Lambda's place for certificates
	@$(PYTHON) scripts/check_package.py $(ARCH)

# `sam build` calls this; ARCH comes through its environment.
build-LoaderFunction:
	@$(PYTHON) scripts/package.py "$(ARTIFACTS_DIR)" $(or $(ARCH),x86_64)

clean: ## Remove what was built and installed here
	cargo clean
	rm -rf .run .venv .tools .aws-sam build
