# The developer's commands; `make` lists them.
GO       ?= go
BIN      := bin
TOOLS    := $(CURDIR)/$(BIN)/tools
LINT     := $(TOOLS)/golangci-lint
LINT_VERSION := v2.15.0
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CALLS    ?= 20000
LDFLAGS  := -s -w -X main.version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help build test race postgres lint fmt golden docs faults fuzz bench eval soak image-test mcpb npm compat page interop validate cross clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/exai-mcp
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/exai-mcp ./cmd/exai-mcp

test: ## run every test
	$(GO) test ./...

race: ## run every test under the race detector
	$(GO) test -race ./...

postgres: ## run the store's tests on a temporary PostgreSQL too
	scripts/postgres.sh run $(GO) test -race ./internal/store/... ./cmd/...

lint: $(LINT) ## check the format and run the linters
	$(LINT) fmt --diff
	$(GO) vet -tags faults,image ./...
	$(LINT) run ./...

fmt: $(LINT) ## format everything
	$(LINT) fmt

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

# The packages whose tests have -update.
GOLDEN = $(shell grep -rl --include=*_test.go 'Bool."update"' cmd internal | xargs -n1 dirname | sort -u | sed 's,^,./,')

golden: ## update the golden files; review the diff
	$(GO) test $(GOLDEN) -update

docs: ## update the generated parts of docs and .env.example
	$(GO) test ./internal/config ./internal/packaging ./cmd/exai-mcp -run 'Docs|TestDemo$$|EnvExample|ServerFile|PluginFiles' -update

faults: ## run the fault matrix over real sockets and print the overruns
	$(GO) test -tags faults -count=1 -v -run TestFaults ./internal/providers/calls/

fuzz: ## run every fuzz target for FUZZTIME each (10m); FUZZ=regexp chooses some
	GO=$(GO) scripts/fuzz.sh

bench: ## measure the figures of docs/benchmarks.md in one run
	scripts/bench.sh

eval: ## measure how many planted defects models find (no key: scripted models); EVAL="-models glm" chooses
	$(GO) run ./internal/eval $(EVAL)

soak: ## make CALLS (20000) mixed calls on SQLite and on PostgreSQL, and look for what is lost or left
	$(GO) run ./internal/bench -soak $(CALLS)
	scripts/postgres.sh run $(GO) run ./internal/bench -soak $(CALLS)

image-test: ## build the Docker image and run it (not part of .ci/run)
	scripts/image-test.sh

mcpb: ## build the Claude Desktop bundles and the MCP registry entry into bundles
	scripts/mcpb.sh

npm: ## build the npm packages into bundles/npm, and try them without a network
	scripts/npm.sh

compat: ## run the binary of version 0.1.0 and this one on one store
	scripts/compat.sh

page: ## drive the local page in Chromium (installs it if missing); PICTURES=1 renews the pictures in docs
	scripts/page.sh $(if $(PICTURES),pictures)

interop: ## drive the server with third-party clients (installs Node 22 from npm)
	scripts/interop.sh

validate: ## check action.yml, hooks, templates, SARIF and the release with others' validators
	scripts/validate.sh

cross: ## compile for every released platform
	scripts/cross.sh

clean: ## remove build output
	rm -rf $(BIN) dist bundles
