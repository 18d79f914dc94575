# LPMS. `make help` lists the targets.
SHELL := /bin/bash
GO ?= go
BIN := bin
TOOLS := .cache/bin
STATICCHECK_VERSION := v0.8.2
FUZZTIME ?= 5s
PKGS := ./...

.PHONY: help run demo-cluster test build deps test-deps lint unit asan fuzz e2e bench bench-transcode clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## install what is missing, start the server: RTMP 1935, HTTP 8935 (ARGS="-testSignal hello_world")
	$(BIN)/lpms $(ARGS)

demo-cluster: build ## show transcoding on workers: orchestrator, two transcoders, broadcaster on 127.0.0.1
	@./scripts/demo-cluster.sh $(ARGS)

test: test-deps lint unit asan fuzz e2e ## install what is missing, run the whole test suite

build: deps ## build the programs into bin/
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/ ./cmd/...

deps:
	@./install_ffmpeg.sh

test-deps: deps
	@./scripts/test-deps.sh

$(TOOLS)/staticcheck-$(STATICCHECK_VERSION):
	@mkdir -p $(TOOLS)
	GOBIN=$(CURDIR)/$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	mv $(TOOLS)/staticcheck $@

lint: deps $(TOOLS)/staticcheck-$(STATICCHECK_VERSION) ## gofmt, go vet, staticcheck
	@out=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); if [ -n "$$out" ]; then echo "gofmt these files: $$out"; exit 1; fi
	$(GO) vet $(PKGS)
	$(TOOLS)/staticcheck-$(STATICCHECK_VERSION) $(PKGS)

unit: deps ## all package tests, with the race detector
	$(GO) test -race -timeout 15m $$($(GO) list $(PKGS) | grep -v /test/)

e2e: test-deps ## the end-to-end tests: real publishers, players and readers
	$(GO) test -race -count=1 -timeout 15m -skip '^TestCluster' ./test/...
	$(GO) test -race -count=1 -timeout 15m -run '^TestCluster' ./test/...

asan: deps ## the tests of package ffmpeg with the address sanitizer, for the C in it
	ASAN_OPTIONS=detect_leaks=0 $(GO) test -asan -timeout 15m ./ffmpeg

fuzz: deps ## each fuzz target for FUZZTIME (default 5s)
	@FUZZTIME=$(FUZZTIME) ./scripts/fuzz.sh

bench: test-deps ## print the benchmark table of docs/performance.md (takes some minutes)
	@command -v wrk >/dev/null || $$(command -v sudo) apt-get install -y -qq wrk
	$(GO) build -o $(BIN)/ ./cmd/... && $(GO) build -o $(BIN)/lpms-bench ./internal/bench
	$(BIN)/lpms-bench

bench-transcode: deps ## compare transcoding with ffmpeg: CPU, wall time, quality (CLIP=file, ARGS="-quick ...")
	$(GO) build -o $(BIN)/lpms-bench-transcode ./internal/benchtranscode
	$(BIN)/lpms-bench-transcode $(if $(CLIP),-clip "$(CLIP)") $(ARGS)

clean: ## remove what was built
	rm -rf $(BIN) .cache
