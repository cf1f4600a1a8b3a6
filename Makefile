# make demo   installs what is missing, then shows the filter at work
# make test   installs what is missing, then passes the tests
# make bench  what the engine spends, as multiples of one signature
# make soak   half an hour of calls through two workers: memory, descriptors, every packet's verdict
# make fuzz   throws mutants, signed hostile claims and random bytes at it; independent judges look at what leaves
# make differential  shows odd messages and streams that pass to SIP stacks, and what they see that they should not
# make asterisk  passes calls through the relay to a real Asterisk and back
# make mutants changes the product in one place at a time, and shows which changes no test notices
# make deb    installs what the build needs, then builds the Debian package into build/deb
# make deb-test  tries it in fresh Debian trees, booted as well
# make deb-fresh  runs `make deb` in fresh trees of several releases, and installs what it builds in others
# make numbering  makes the tables of telephone numbers again, from the metadata of phonenumbers
# make pcaps  makes the golden captures anew, and accepts what a replay of them gives

BIN := .venv/bin
# Each file of tests stays in one process, with its own hosts, and files begin in the order of tests/conftest.py.
# A process that crashes ends the run: a new one in its place would not take up its files, and the run would hang.
# Most of the time of live tests is waiting, so that four processes suit two processors as well.
BY_FILE := --dist=loadfile --no-loadscope-reorder --max-worker-restart=0
SIDE_BY_SIDE := -n 4 $(BY_FILE)
COMPUTING := -n auto --maxprocesses=4 $(BY_FILE)
# Tests start hundreds of processes of Python: without its cache each compiles the product again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: demo test lint compiled bench deb deb-test deb-fresh pcaps numbering conformance fuzz clean

demo:
	@.ci/bootstrap.sh demo
	@$(BIN)/sbc-filter demo

test:
	@.ci/bootstrap.sh test
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint compiled collected
	$(BIN)/pytest $(SIDE_BY_SIDE)
	PYTHONPATH=build/compiled $(BIN)/pytest -q $(COMPUTING) --compiled tests/packet tests/sip tests/stir tests/rules tests/engine tests/test_goldens.py

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The hot path compiled, as an installation has it; what is tested and measured again. `lint` may run at the same time.
compiled:
	@rm -rf build/compiled
	MYPY_CACHE_DIR=/dev/null $(BIN)/python -W ignore setup.py -q build --build-lib build/compiled

# Fills the cache of what pytest makes of the tests, which otherwise each of its processes would make for itself.
# What is wrong with a test, the run says that follows.
.PHONY: collected
collected:
	@$(BIN)/pytest -q --collect-only >/dev/null || true

bench:
	@.ci/bootstrap.sh test
	@$(MAKE) --no-print-directory compiled
	@$(BIN)/python tests/bench/engine.py
	@PYTHONPATH=build/compiled $(BIN)/python tests/bench/engine.py
	@PYTHONPATH=build/compiled $(BIN)/python tests/bench/workers.py
	@PYTHONPATH=build/compiled $(BIN)/python tests/bench/relay.py
	@PYTHONPATH=build/compiled $(BIN)/python tests/bench/relay_loss.py
	@PYTHONPATH=build/compiled $(BIN)/python tests/bench/hostile_peers.py
	@$(BIN)/python tests/bench/waiting.py
	@$(BIN)/python tests/bench/flood.py
	@$(BIN)/python tests/bench/seen.py
	@$(BIN)/python tests/bench/lists.py
	@PYTHONPATH=build/compiled $(BIN)/python tests/bench/dearest.py
	@$(BIN)/python tests/bench/replay.py
	@$(BIN)/python tests/bench/report.py

deb:
	@.ci/bootstrap.sh deb
	@debian/build.sh

deb-test: deb
	@.ci/bootstrap.sh deb-test
	lintian --fail-on error,warning --allow-root build/deb/*.deb
	@debian/tree.sh build/debian
	$(BIN)/pytest -q tests/host/package.py tests/host/booted.py tests/host/readme.py

# SUITES="bookworm trixie" for other releases than this host's; about ten minutes each
deb-fresh:
	@.ci/bootstrap.sh deb-fresh
	@debian/fresh.sh $(SUITES)

pcaps:
	@.ci/bootstrap.sh test
	$(BIN)/python tests/make_pcaps.py --accept

numbering:
	@.ci/bootstrap.sh test
	$(BIN)/python tests/make_numbering.py

# DATA=FOLDER: captures in FOLDER/pcaps, messages in FOLDER/torture, certificates in FOLDER/certs, identities with
# their keys in FOLDER/identities
conformance:
	@.ci/bootstrap.sh test
	@$(BIN)/python tests/conformance.py $(DATA)

# 10,000 mutants of a true call, 100,000 signed calls with hostile claims, 1,000,000 random ones, 100,000 certificates,
# CRLs and trust lists (see tests/fuzz.py);
# FUZZ="--seed S --start KIND:NUMBER" goes on with a run
fuzz:
	@.ci/bootstrap.sh test
	@$(BIN)/python tests/fuzz.py $(FUZZ)

# The corpus and COUNT mutants of it; DIFFERENTIAL="--corpus-only --stacks osip2,sofia" (see tests/differential.py).
# Then streams over TCP, with STREAMS mutants of them; DIFFERENTIAL_TCP="--stacks kamailio" (see tests/differential_tcp.py)
.PHONY: differential
differential:
	@.ci/bootstrap.sh differential
	@$(BIN)/python tests/differential.py --count $(or $(COUNT),200000) $(DIFFERENTIAL)
	@$(BIN)/python tests/differential_tcp.py --count $(or $(STREAMS),20000) $(DIFFERENTIAL_TCP)

# Only some releases have a package of it: the Asterisk of this host, or else one in a tree of Debian sid.
.PHONY: asterisk
asterisk:
	@.ci/bootstrap.sh asterisk
	@command -v asterisk >/dev/null || debian/tree.sh build/asterisk sid asterisk
	$(BIN)/pytest -q tests/live/test_relay_asterisk.py

# A sample of each module; MUTANTS="--all stir", MUTANTS="--at sbc_filter/stir/path.py:70"
.PHONY: mutants
mutants:
	@.ci/bootstrap.sh test
	@nice $(BIN)/python tests/mutation.py $(MUTANTS)

# SECONDS=600 for another length
.PHONY: soak
soak:
	@.ci/bootstrap.sh test
	@$(MAKE) --no-print-directory compiled
	@PYTHONPATH=build/compiled $(BIN)/python tests/soak.py $(or $(SECONDS),1800)

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
