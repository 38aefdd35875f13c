# Copyright The ssm-remediator Authors.
# SPDX-License-Identifier: Apache-2.0
#
# `make help` explains the targets. Nothing is needed but Go, make, git and a C compiler (for the race detector): tools are
# pinned by Go modules under hack/, and so is the Kubernetes that the tests run against.

GO      ?= go
GOFLAGS ?=
# Where tools and our own binaries are built.
BIN     := $(CURDIR)/bin
# The Go modules of the repository: the project, and one for each thing that pulls much in.
MODULES := $(patsubst %/,%,$(dir $(wildcard go.mod hack/*/go.mod)))
# Scripts that run on the nodes, under any POSIX shell, and those that run here.
NODE_SCRIPTS = $(shell find controllers -name '*.sh' -not -path '*/testdata/*')
OUR_SCRIPTS  = .ci/run $(shell find hack -name '*.sh' -not -path '*/testdata/*')
# All that `generate` and `manifests` write.
GENERATED := api config/crd/bases

export GOFLAGS

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two compilers at once are slower than one after the other on small machines, and `verify` relies on the order.
.NOTPARALLEL:
# A recipe is one script, so that a variable set in one line is there in the next.
.ONESHELL:

CONTROL_PLANE := hack/controlplane/assets.sh

##@ Use

.PHONY: help
help: ## Explain the targets.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show it on this machine: a cluster, three web servers, one is killed. DEMO=once ends after the story.
	@assets=$$($(CONTROL_PLANE) etcd kube-apiserver kube-controller-manager kubectl)
	echo "Building the manager and the playground"
	$(GO) build -o $(BIN)/ ./cmd/...
	KUBEBUILDER_ASSETS=$$assets exec $(BIN)/playground $(if $(filter once,$(DEMO)),--once)

.PHONY: build
build: ## Build bin/manager, static.
	CGO_ENABLED=0 $(GO) build -o $(BIN)/manager ./cmd/manager

.PHONY: clean
clean: ## Remove what was built here. The control plane stays in ~/.cache/ssm-remediator.
	rm -rf $(BIN)

##@ Test

.PHONY: test
test: ## Run the tests, with the race detector, on a real API server.
	@assets=$$($(CONTROL_PLANE) etcd kube-apiserver kubectl)
	echo "Testing all packages (compiling with the race detector takes some minutes the first time)"
	KUBEBUILDER_ASSETS=$$assets $(GO) test -race -timeout 60m ./...

.PHONY: test-e2e
test-e2e: ## Kill the distribution's Apache and have it brought back. Needs apache2 and root.
	@assets=$$($(CONTROL_PLANE) etcd kube-apiserver kubectl)
	echo "Testing end to end"
	KUBEBUILDER_ASSETS=$$assets $(GO) test -tags e2e -count=1 -v ./hack/e2e/...

.PHONY: chaos
chaos: ## Crash the manager at every point of an incident, with faults all around (20 min). BOUNDED=1: what CI runs (4 min).
	@assets=$$($(CONTROL_PLANE) etcd kube-apiserver kubectl)
	echo "Building the manager on a scaled clock, with the race detector, and the harness"
	$(GO) build -race -tags scaled -o $(BIN)/manager-scaled ./cmd/manager
	$(GO) build -o $(BIN)/chaos ./hack/chaos
	KUBEBUILDER_ASSETS=$$assets exec $(BIN)/chaos -manager $(BIN)/manager-scaled $(if $(BOUNDED),-bounded) $(CHAOS)

.PHONY: model
model: ## Simulate 24 hours of random failures on 200 instances, and 10,000 instances that are down at once (60 min).
	@assets=$$($(CONTROL_PLANE) etcd kube-apiserver kubectl)
	echo "Simulating, against a model of what must hold"
	export KUBEBUILDER_ASSETS=$$assets
	$(GO) test -count=1 -timeout 100m ./controllers/remediationpolicy -run 'TestModel$$' -model.hours=24 -model.nodes=200 -v
	$(GO) test -count=1 -timeout 100m ./controllers/remediationpolicy -run 'TestScale$$' -model.down=10000 -v

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (1m). Findings are kept under testdata/fuzz.
	@assets=$$($(CONTROL_PLANE) etcd kube-apiserver kubectl)
	export KUBEBUILDER_ASSETS=$$assets
	for package in $$($(GO) list ./...); do
	  for target in $$(cd "$$($(GO) list -f '{{.Dir}}' "$$package")" && sed -n 's/^func \(Fuzz[A-Za-z]*\)(f \*testing.F) {$$/\1/p' *_test.go 2>/dev/null); do
	    echo "Fuzzing $$package $$target for $${FUZZTIME:-1m}"
	    $(GO) test "$$package" -run '^$$' -fuzz "^$$target$$" -fuzztime "$${FUZZTIME:-1m}"
	  done
	done

.PHONY: bench
bench: ## Measure calls, CPU, memory and times to recover, beside a naive loop (1 hour). BOUNDED=1: what CI runs (1 min).
	@assets=$$($(CONTROL_PLANE) etcd kube-apiserver kubectl)
	echo "Building the manager on a scaled clock, and the harness"
	$(GO) build -tags scaled -o $(BIN)/manager-bench ./cmd/manager
	$(GO) build -o $(BIN)/bench ./hack/bench
	KUBEBUILDER_ASSETS=$$assets exec $(BIN)/bench -manager $(BIN)/manager-bench $(if $(BOUNDED),-bounded) $(BENCH)

.PHONY: verify
verify: generate manifests fmt vet lint lint-architecture tidy ## Check all that is committed: generated, formatted, linted, tidy.
	@if command -v shellcheck >/dev/null || [[ -n "$${CI:-}" ]]; then
	  $(MAKE) --no-print-directory shellcheck
	else
	  echo "shellcheck is not installed: the scripts were NOT checked (apt-get install shellcheck; with CI=true an error)"
	fi
	git diff --exit-code || { echo "make verify: commit what changed above" >&2; exit 1; }
	new=$$(git ls-files --others --exclude-standard -- $(GENERATED))
	if [[ -n $$new ]]; then echo "make verify: commit these generated files:" $$new >&2; exit 1; fi
	echo "Verified"

##@ Check

.PHONY: lint
lint: $(BIN)/golangci-lint ## Lint Go, import directions included.
	@echo "Linting (some minutes the first time)"
	$(BIN)/golangci-lint run ./...

.PHONY: lint-architecture
lint-architecture: $(BIN)/golangci-lint ## Prove that the lint rules for the import directions bite.
	@GOLANGCI_LINT=$(BIN)/golangci-lint hack/lint/architecture_test.sh

.PHONY: shellcheck
shellcheck: ## Lint the shell scripts, those that run on the nodes above all.
	@command -v shellcheck >/dev/null || { echo "shellcheck is missing: apt-get install shellcheck" >&2; exit 1; }
	echo "Checking shell scripts"
	shellcheck --shell=sh $(NODE_SCRIPTS)
	shellcheck $(OUR_SCRIPTS)

.PHONY: vet
vet: ## Run go vet, on every module.
	@for module in $(MODULES); do
	  echo "Vetting $$module"
	  packages=$$($(GO) -C $$module list -tags e2e ./...)
	  if [[ -n $$packages ]]; then $(GO) -C $$module vet -tags e2e $$packages; fi
	done

##@ Generate

.PHONY: generate
generate: $(BIN)/controller-gen $(BIN)/crd-ref-docs ## Generate deepcopy functions and the API reference (api/README.md).
	@echo "Generating deepcopy functions and api/README.md"
	$(BIN)/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(BIN)/crd-ref-docs --source-path=api --config=hack/api-reference/config.yaml --templates-dir=hack/api-reference/templates \
	  --renderer=markdown --output-path=api/README.md --log-level=ERROR

.PHONY: manifests
manifests: $(BIN)/controller-gen ## Generate the CRDs (config/crd/bases).
	@echo "Generating config/crd/bases"
	$(BIN)/controller-gen crd paths=./api/... output:crd:dir=config/crd/bases

.PHONY: fmt
fmt: $(BIN)/golangci-lint ## Format Go, imports in three groups.
	@echo "Formatting"
	$(BIN)/golangci-lint fmt ./...

.PHONY: tidy
tidy: ## Run go mod tidy, on every module.
	@for module in $(MODULES); do echo "Tidying $$module"; $(GO) -C $$module mod tidy; done

# Tools are built once for each version that their module pins.

$(BIN)/controller-gen: hack/tools/go.mod
	@echo "Building controller-gen"
	$(GO) -C hack/tools build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(BIN)/crd-ref-docs: hack/tools/go.mod
	@echo "Building crd-ref-docs"
	$(GO) -C hack/tools build -o $@ github.com/elastic/crd-ref-docs

$(BIN)/golangci-lint: hack/lint/go.mod
	@echo "Building golangci-lint (2 to 4 minutes, only the first time)"
	$(GO) -C hack/lint build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
