# Sallyport: make help

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X main.version=$(VERSION)
ARGS      ?=
FUZZTIME  ?= 30s
# The tests' own time limit, for one package.
TIMEOUT   ?= 20m
STATICCHECK := $(GO) tool -modfile=tools/go.mod staticcheck

.DEFAULT_GOAL := help
.PHONY: help build demo test check lint race bench fuzz deps deps-demo deps-ssh proof-slice corpus releases corpus-ssh proof-ssh bench-ssh

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/sallyport
	$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/sallyport ./cmd/sallyport

deps: ## install what the tests and benchmarks need and this machine lacks
	@scripts/install-deps test

deps-ssh:
	@scripts/install-deps ssh

deps-demo:
	@scripts/install-deps demo

demo: deps-demo build ## play the whole story on a real PostgreSQL (ARGS="--keep --json FILE")
	bin/sallyport demo $(ARGS)

test: deps ## run all tests
	@$(GO) run ./test/tally -count=1 -timeout $(TIMEOUT) ./...

lint:
	@unformatted=$$(git ls-files -co --exclude-standard -- '*.go' | xargs gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "gofmt these files:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GO) test ./internal/arch

race: deps
	@$(GO) run ./test/tally -count=1 -race -timeout $(TIMEOUT) ./...

check: lint race ## gofmt, vet, staticcheck, import rules, and all tests with the race detector

bench: deps build ## benchmark side by side with pgbouncer (BENCH_SECONDS=1: smoke run of two minutes)
	@$(GO) build -o bin/sallyport-bench ./test/bench
	bin/sallyport-bench $(ARGS)

fuzz: ## run every fuzz target for FUZZTIME
	@FUZZTIME=$(FUZZTIME) scripts/fuzz

proof-slice: deps build ## prove the vertical slice against real servers, a real provider and five clients
	@$(GO) run ./test/tally -count=1 -timeout $(TIMEOUT) ./test/slice/...

corpus: deps build ## judge cases through the gateway (CASES=FILE for other cases; ARGS="-v --keep")
	@$(GO) run ./test/corpus/judge -gateway bin/sallyport $(if $(CASES),-cases "$(CASES)") $(ARGS)

releases: deps build ## judge the cases on PostgreSQL 13 to 18, whose servers npm fetches
	@scripts/releases $(ARGS)

corpus-ssh: deps-ssh build ## judge SSH cases through the gateway (CASES=FILE for other cases; ARGS="-v --keep")
	@$(GO) run ./test/corpus-ssh/judge -gateway bin/sallyport $(if $(CASES),-cases "$(CASES)") $(ARGS)

proof-ssh: deps-ssh build ## prove SSH against real servers, real clients and hostile ones on either side
	@$(GO) run ./test/tally -count=1 -timeout $(TIMEOUT) ./test/sshtest/... ./test/proof-ssh/...

bench-ssh: deps-ssh build ## benchmark SSH side by side with direct OpenSSH (BENCH_SECONDS=1: smoke run)
	@$(GO) build -o bin/sallyport-bench-ssh ./test/bench-ssh
	bin/sallyport-bench-ssh $(ARGS)
