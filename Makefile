# radstream: `make demo` and `make test` are all that a newcomer needs. Both install what is missing first.

.PHONY: demo test lint faults fuzz bench down clean lock

RADSTREAM = .venv/bin/radstream

demo:
	@python3 infra/local/bootstrap.py demo
	@$(RADSTREAM) up
	@$(RADSTREAM) demo

test:
	@python3 infra/local/bootstrap.py test
	@$(MAKE) --no-print-directory lint
	.venv/bin/pytest

# The long form of the fault tests: every part killed in each round, in an order and at moments drawn anew; and rounds of
# faults of the router, which print their counts. SEED repeats those, REPORT names a file for their counts in JSON.
ROUNDS = 10
ROUTER_ROUNDS = 500
SEED =
REPORT =
faults:
	@python3 infra/local/bootstrap.py test
	RADSTREAM_FAULT_ROUNDS=$(ROUNDS) RADSTREAM_ROUTER_ROUNDS=$(ROUTER_ROUNDS) RADSTREAM_FAULT_SEED=$(SEED) \
		RADSTREAM_FAULT_REPORT=$(REPORT) .venv/bin/pytest tests/fault

# Readers of foreign bytes are fed with hostile ones, FUZZ_SECONDS for each target; what breaks one is kept in .fuzz/.
FUZZ_SECONDS = 600
TARGETS =
fuzz:
	@python3 infra/local/bootstrap.py test
	RADSTREAM_MUTATED_MB=20 .venv/bin/pytest tests/unit/test_validate_mutations.py
	.venv/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(TARGETS)

bench:
	@python3 infra/local/bootstrap.py demo
	@$(RADSTREAM) up
	@$(RADSTREAM) bench pipeline

lint:
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/mypy --strict --follow-imports=silent clients/python/radstream_results.py

# Stops the stack; its data stays. `radstream down --wipe` removes that too.
down:
	@$(RADSTREAM) down

# Removes what was made in the checkout. The stack's data and the tools folder of the user stay.
clean:
	@if [ -x $(RADSTREAM) ]; then $(RADSTREAM) down; fi
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Makes the locks anew from pyproject.toml. `make lock UPGRADE=--upgrade` takes the newest versions.
UPGRADE =
COMPILE = "$$work/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url --no-emit-find-links $(UPGRADE)

lock:
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	python3 -m venv "$$work"; "$$work/bin/pip" install --quiet --disable-pip-version-check uv; \
	$(COMPILE) pyproject.toml --extra test --group build -o locks/test.txt; \
	$(COMPILE) pyproject.toml --extra stack --group build -c locks/test.txt -o locks/demo.txt; \
	$(COMPILE) pyproject.toml --extra torch -c locks/test.txt -o locks/torch.txt; \
	$(COMPILE) --no-deps --group pyproject.toml:triton -o locks/triton.txt; \
	for group in go pgserver; do \
		$(COMPILE) --group pyproject.toml:$$group -c locks/test.txt -o locks/$$group.txt; \
	done
