# All that is tested, in pieces that a person can run alone: `make help` lists them, and
# docs/testing.md tells what each is for.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory

GO  ?= go
BIN := $(CURDIR)/.bin

# A number of executions and not a duration: when a duration ends, go1.26 now and then
# reports its own deadline as a failure of the target (go.dev/issue/75804).
# 20000 take a few seconds on two cores.
FUZZTIME ?= 20000x

# How many buckets and stores the nemesis torments in test-all, and from which seed on.
NEMESIS_ROUNDS ?= 9
NEMESIS_SEED   ?= 1

# Which benchmarks `make bench` runs.
BENCH ?= .

# Tests that passed only when they ran again.
FLAKY     := $(BIN)/flaky
GOTESTSUM := $(BIN)/gotestsum
GOTEST    := FLAKY=$(FLAKY) GOTESTSUM=$(GOTESTSUM) internal/tools/gotest.sh

# The race detector watches all code but what does nothing but compute: under it LZ4, the
# database of the engine, the key derivation and io.ReadAll, with which the engine unpacks
# every chunk, spend ten times what all tests take without. They share no memory with us
# that is not locked in code which it does watch.
RACE := -race $(foreach p,io github.com/pierrec/lz4/... modernc.org/... \
	golang.org/x/crypto/argon2 github.com/tink-crypto/...,-gcflags=$(p)=-race=false)

# The race detector keeps four bytes for each byte that the heap ever touched: without a
# limit, which costs no time here, a test binary grows to 12 GB, with it to 3 GB. In small
# pages a third of all time goes into their faults.
LEAN := GOMEMLIMIT=1GiB GORACE=no_huge_pages_for_shadow=0

include plugin/plugin.mk
include internal/e2e/e2e.mk

TEST_STEPS := gofmt build vet unit plugin-test demo
ALL_STEPS  := staticcheck plugin-staticcheck race nemesis fuzz $(E2E_STEPS)

# The modules that hold packages of ours.
MODULES := . plugin $(E2E)

.DEFAULT_GOAL := help
.PHONY: help test test-real gate test-all $(TEST_STEPS) $(ALL_STEPS) cover clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# run STEPS: each step with its time; the first failure ends it.
run = @rm -f $(FLAKY); mkdir -p $(BIN); begin=$$SECONDS; \
	for step in $(1); do \
		printf '\n==> %s\n' $$step; start=$$SECONDS; \
		$(MAKE) $$step || { printf '\n==> %s failed after %d s\n' $$step $$((SECONDS - start)) >&2; exit 1; }; \
		printf '==> %s took %d s\n' $$step $$((SECONDS - start)); \
	done; \
	if [ -s $(FLAKY) ]; then printf '\n==> tests that passed only when they ran again\n'; cat $(FLAKY); fi; \
	printf '\n==> make %s: all steps passed in %d s\n' $@ $$((SECONDS - begin))

test: ## the tests of every change: format, vet, build, unit tests, demonstration
	$(call run,$(TEST_STEPS))

test-real: ## one road each: MinIO, versitygw, and the real plakar
	$(call run,$(REAL_STEPS))

gate: ## make test and make test-real in one: what .ci/run runs
	$(call run,$(TEST_STEPS) $(REAL_STEPS))

test-all: ## everything: make test, make test-real, and all that takes longer
	$(call run,$(TEST_STEPS) $(REAL_STEPS) $(ALL_STEPS))

gofmt: ## check that every file is formatted
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then printf 'not formatted:\n%s\n' "$$files" >&2; exit 1; fi

build: ## compile every package of every module
	@for module in $(MODULES); do echo "go build ./... in $$module"; $(GO) -C $$module build ./...; done

vet: ## go vet of every package of every module, tests included
	@for module in $(MODULES); do echo "go vet ./... in $$module"; $(GO) -C $$module vet ./...; done

demo: ## the demonstration of examples/backup
	$(GO) run ./examples/backup

# On two cores with nothing else to do the longest package takes 8 minutes, on busy ones it
# took more than 20.
$(ALL_STEPS): export TIMEOUT := 60m

staticcheck: $(BIN)/staticcheck ## staticcheck, pinned in internal/tools
	$(BIN)/staticcheck ./...

# Each package runs on one core, and another on the other: on several, every page that the
# race detector touches has to be announced to all of them. go vet is a step of its own.
unit: $(GOTESTSUM) ## unit tests of the root module under the race detector, small ones
	$(LEAN) GOMAXPROCS=1 $(GOTEST) . ./... -p 2 -parallel 4 -short -vet=off $(RACE)

race: $(GOTESTSUM) ## unit tests of the root module under the race detector, at full size
	$(LEAN) $(GOTEST) . ./... $(RACE)

nemesis: $(GOTESTSUM) ## backups, restores and stores under random faults, from NEMESIS_SEED on
	$(LEAN) $(GOTEST) . . -run '^TestNemesis' -nemesis.seed $(NEMESIS_SEED) -nemesis.rounds $(NEMESIS_ROUNDS)

# One binary for the targets of a package: go test would link it again for each of them.
fuzz: ## run each Fuzz target for FUZZTIME executions
	@mkdir -p $(BIN)
	@$(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' ./... | \
	while read -r package dir; do \
		targets=$$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$dir"/*_test.go); \
		if [ -z "$$targets" ]; then continue; fi; \
		$(GO) test -c -fuzz . -o $(BIN)/fuzz.test "$$package"; \
		for target in $$targets; do \
			echo "$$package $$target"; \
			(cd "$$dir" && $(BIN)/fuzz.test -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzminimizetime 1000x -test.fuzzcachedir "$$($(GO) env GOCACHE)/fuzz/$$package" -test.timeout 20m </dev/null); \
		done; \
	done

cover: ## write coverage/root.html and print the total
	@mkdir -p coverage
	$(GO) test -coverpkg=./... -coverprofile=coverage/root.out ./...
	$(GO) tool cover -html=coverage/root.out -o coverage/root.html
	@$(GO) tool cover -func=coverage/root.out | tail -n 1

clean: ## remove built tools, servers and reports
	rm -rf $(BIN) coverage

# The pins decide what the binaries are: nothing else makes them stale.
$(BIN)/staticcheck: internal/tools/go.mod internal/tools/go.sum
	$(GO) -C internal/tools build -o $@ honnef.co/go/tools/cmd/staticcheck

$(GOTESTSUM): internal/tools/go.mod internal/tools/go.sum
	$(GO) -C internal/tools build -o $@ gotest.tools/gotestsum
