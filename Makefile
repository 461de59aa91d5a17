# Everything a developer types. `make` alone lists it.
GO       ?= go
BIN      := bin
TOOLS    := $(CURDIR)/$(BIN)/tools
LINT     := $(TOOLS)/golangci-lint
LINT_VERSION := v2.15.0
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help build test race postgres lint fmt golden docs faults bench image-test mcpb interop cross clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/exai-mcp
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/exai-mcp ./cmd/exai-mcp

test: ## run every test
	$(GO) test ./...

race: ## run every test under the race detector
	$(GO) test -race ./...

postgres: ## run the store's tests on a throw-away PostgreSQL too
	scripts/postgres.sh run $(GO) test -race ./internal/store/... ./cmd/...

lint: $(LINT) ## check format and house rules
	$(LINT) fmt --diff
	$(GO) vet ./...
	$(LINT) run ./...

fmt: $(LINT) ## format everything
	$(LINT) fmt

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

# The packages whose tests know -update.
GOLDEN = $(shell grep -rl --include=*_test.go 'Bool."update"' cmd internal | xargs -n1 dirname | sort -u | sed 's,^,./,')

golden: ## rewrite the golden files from what the program does now; read the diff
	$(GO) test $(GOLDEN) -update

docs: ## rewrite the generated parts of README.md, docs and .env.example
	$(GO) test ./internal/config ./cmd/exai-mcp -run 'Docs|EnvExample' -update

faults: ## the fault matrix over real sockets, with a table of overruns
	$(GO) test -tags faults -count=1 -v -run TestFaults ./internal/providers/calls/

bench: ## the figures of the README, side by side in one run
	scripts/bench.sh

image-test: ## build the Docker image and run it (not part of .ci/run)
	scripts/image-test.sh

mcpb: ## build the bundles for Claude Desktop, and the MCP registry's entry, into bundles
	scripts/mcpb.sh

interop: ## drive the server with clients that others wrote (installs Node 22 from npm)
	scripts/interop.sh

cross: ## compile for every system that we release for
	scripts/cross.sh

clean: ## remove what was built
	rm -rf $(BIN) dist bundles
