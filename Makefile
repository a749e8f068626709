# radstream: `make demo` and `make test` are all that a newcomer needs. Both install what is missing first.

.PHONY: demo test test-timed test-most test-stack test-unit test-alone test-faults lint faults fuzz bench down clean \
	lock

RADSTREAM = .venv/bin/radstream

demo:
	@python3 infra/local/bootstrap.py demo
	@$(RADSTREAM) up
	@$(RADSTREAM) demo

test:
	@python3 infra/local/bootstrap.py test
	@$(MAKE) --no-print-directory lint
	@failed=0; for part in $(PARTS); do $(MAKE) --no-print-directory $$part || failed=1; done; exit $$failed

# Who is timed has the machine to itself. Of the others, those that ask for the one stack of all wait for it most of the
# time, so those that ask for none run beside them. What is run at once says what it has to say when it ends.
PARTS = test-timed test-most test-faults
FAULTS = tests/fault
UNIT = tests/unit tests/contract
AT_ONCE = $(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync
BESIDE = .venv/bin/pytest -n 2 --dist loadfile -m "not stack and not timed"

test-timed:
	.venv/bin/pytest -m timed --ignore=$(FAULTS)

test-most:
	@$(AT_ONCE) test-stack test-unit test-alone

test-stack:
	.venv/bin/pytest -m stack --ignore=$(FAULTS)

# Some count what their process has open: in it are no listeners of others that are about to close.
test-unit:
	$(BESIDE) $(UNIT)

test-alone:
	$(BESIDE) $(addprefix --ignore=,$(FAULTS) $(UNIT))

# With stacks of their own to hurt, one after the other: who is starved as a broker starts misses deadlines.
test-faults:
	.venv/bin/pytest $(FAULTS)

# The long form of the fault tests: a flipped bit in each of a thousand stored objects, which verify has to find; every part
# killed in each round, in an order and at moments drawn anew; an object as large as the router takes (LARGE_BYTES, which needs
# four times as much disk); and rounds of faults of the router, and of what serves readers, which print their counts. SEED
# repeats those, REPORT and READER_REPORT name files for their counts in JSON.
ROUNDS = 10
ROUTER_ROUNDS = 500
READER_ROUNDS = 100
LARGE_BYTES = 4294963200
SEED =
REPORT =
READER_REPORT =
faults:
	@python3 infra/local/bootstrap.py test
	RADSTREAM_VERIFY_OBJECTS=1000 .venv/bin/pytest tests/unit/test_verify.py
	RADSTREAM_FAULT_ROUNDS=$(ROUNDS) RADSTREAM_ROUTER_ROUNDS=$(ROUTER_ROUNDS) RADSTREAM_FAULT_SEED=$(SEED) \
		RADSTREAM_READER_ROUNDS=$(READER_ROUNDS) RADSTREAM_FAULT_REPORT=$(REPORT) \
		RADSTREAM_READER_REPORT=$(READER_REPORT) RADSTREAM_LARGE_BYTES=$(LARGE_BYTES) .venv/bin/pytest tests/fault

# Readers of foreign bytes are fed with hostile ones, FUZZ_SECONDS for each target; what breaks one is kept in .fuzz/. The
# gateway is asked EXAMPLES things of each kind, and each operation of its OpenAPI document as many.
FUZZ_SECONDS = 600
EXAMPLES = 300
TARGETS =
fuzz:
	@python3 infra/local/bootstrap.py test
	RADSTREAM_MUTATED_MB=20 .venv/bin/pytest tests/unit/test_validate_mutations.py tests/unit/test_derive_mutations.py
	RADSTREAM_GATEWAY_EXAMPLES=$(EXAMPLES) .venv/bin/pytest -s tests/integration/gateway
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
	for group in go pgserver node; do \
		$(COMPILE) --group pyproject.toml:$$group -c locks/test.txt -o locks/$$group.txt; \
	done
