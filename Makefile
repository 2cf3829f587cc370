# Ringfence. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
GO ?= go
# One build cache for everything: a static binary, and tests that reuse its packages. The race detector alone needs cgo.
export CGO_ENABLED := 0
VENDOR := internal/ui/assets/vendor
STATICCHECK := $(GO) tool -modfile=tools/go.mod staticcheck
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# What starts no goroutine, or none that share anything, has no race to detect.
ALONE := $(addprefix ./internal/,audit errs experiment exposure flag fleet health policy resource rollout simulate stat store)
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo CGO_ENABLED=1)

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

assets: ## the browser libraries, from the module cache into the UI
	@mkdir -p $(VENDOR)
	@cd assets && $(GO) mod download github.com/bigskysoftware/htmx github.com/leeoniya/uPlot && \
	  htmx=$$($(GO) list -m -f '{{.Dir}}' github.com/bigskysoftware/htmx) && uplot=$$($(GO) list -m -f '{{.Dir}}' github.com/leeoniya/uPlot) && \
	  install -m 644 $$htmx/dist/htmx.min.js $$uplot/dist/uPlot.iife.min.js $$uplot/dist/uPlot.min.css ../$(VENDOR)/

build: assets ## bin/ringfence
	@$(GO) build -ldflags "-s -w -X github.com/ringfence/ringfence/internal/cli.version=$(VERSION)" -o bin/ringfence ./cmd/ringfence

demo: build ## the main job: three releases through the rings, under traffic
	@bin/ringfence demo

drill-detect: build ## twenty faults and a healthy day: what is detected, how soon, with which cause
	@bin/ringfence drill detect

tools: ## PostgreSQL, chromium and node for the tests, where they are missing and may be installed
	@test/tools.sh

check: assets ## gofmt, vet, staticcheck, architecture rules, unit tests
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	@$(GO) vet ./...
	@$(STATICCHECK) ./...
	@$(GO) test -p 3 -short $(ALONE) ./test/arch/...
	@$(RACE) $(GO) test -p 3 -short $(if $(RACE),-race) $$($(GO) list ./internal/... | grep -v $(foreach p,$(ALONE),-e '/$(notdir $(p))$$'))

test: build tools bin/prometheus ## everything but the slow suites; the demo alone, as it promises times
	@$(GO) test -timeout 30m $$($(GO) list ./... | grep -v /test/demo)
	@$(GO) test ./test/demo
	@$(MAKE) --no-print-directory test-openfeature

test-openfeature: assets ## OpenFeature's SDKs for Go, node and browsers with others' providers against flags serve
	@cd test/openfeature && $(GO) test ./...

testbed: assets ## scenarios of a checkout of flagd-testbed, the evaluator's and each provider's: make testbed DIR=…
	@cd bench/flags && $(GO) run . -testbed $(abspath $(DIR))
	@cd test/openfeature && RINGFENCE_TESTBED=$(abspath $(DIR)) RINGFENCE_TESTBED_ALL=$(ALL) RINGFENCE_TESTBED_SERVER="$(SERVER)" $(GO) test -count=1 -timeout 60m -parallel 4 -run TestTestbed

storm: build ## kill the planes 200 times during rollouts under traffic
	@RINGFENCE_STORM=200 $(GO) test -count=1 -timeout 60m -run TestStorm -v ./test/crash/

FUZZTIME ?= 1m
fuzz: assets ## every fuzz target in turn, a minute each: make fuzz FUZZTIME=10m
	@set -e; for file in $$(git grep -l '^func Fuzz' -- '*_test.go'); do for target in $$(grep -oE '^func Fuzz[A-Za-z0-9_]+' $$file | cut -c6-); do \
	  echo "$$(dirname $$file) $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); done; done

upgrade-proof: build ## 50 upgrades of Ringfence itself under strict clients, to the binary of commit FORMER (default the one before) and back
	@rm -rf bin/former && git worktree add -q --detach bin/former $(or $(FORMER),HEAD~1) && trap 'git worktree remove --force bin/former' EXIT && \
	  if [ -d $(VENDOR) ]; then mkdir -p bin/former/$(VENDOR) && cp -r $(VENDOR)/. bin/former/$(VENDOR)/; fi && \
	  (cd bin/former && $(GO) build -ldflags "-X github.com/ringfence/ringfence/internal/cli.version=former" -o ../ringfence-former ./cmd/ringfence) && \
	  RINGFENCE_UPGRADES=50 RINGFENCE_FORMER=$(abspath bin/ringfence-former) $(GO) test -count=1 -timeout 60m -run TestUpgrades -v ./test/upgrade/

bench: ## ring lookup, Next, e-process update, event append on both stores
	@$(GO) test -run '^$$' -bench '^Benchmark(Lookup|Next|Add|Append|Proxy)' -benchmem ./internal/exposure ./internal/rollout ./internal/health ./internal/store/... ./internal/gateway

bench-gateway: build ## the gateway beside nginx, HAProxy, Caddy and kamal-proxy
	@$(GO) run ./bench/gateway

soak: ## 1,000 switches under mixed load, each old instance killed at once: what is lost
	@$(GO) run ./test/soak -switches 1000

bench-swap: build ## requests lost in 100 switches of a version, beside kamal-proxy, HAProxy, nginx and Caddy
	@$(GO) run ./bench/swap -modes kill,graceful

h2spec: ## the gateway against summerwind/h2spec, in clear and within TLS
	@$(GO) run ./test/h2spec

sigstore: build ## artifact verify against the cases of a checkout of sigstore-conformance: make sigstore DIR=…
	@$(GO) run ./test/sigstore -checkout $(abspath $(DIR))

bench-flags: ## flag evaluation beside flagd's, GO Feature Flag's and LaunchDarkly's, and random definitions against flagd for a minute
	@cd bench/flags && $(GO) run . -bench && $(GO) run . -for 60s

bench-ofrep: ## single evaluations by OFREP beside other servers: make bench-ofrep SERVERS="http://127.0.0.1:8016 http://127.0.0.1:9016"
	@$(GO) run ./bench/ofrep $(SERVERS)

# The server of the version whose packages go.mod names, without service discovery of clouds and without pages.
bin/prometheus: bench/prometheus/go.mod bench/prometheus/go.sum
	@cd bench/prometheus && $(GO) build -tags remove_all_sd -o ../../bin/prometheus github.com/prometheus/prometheus/cmd/prometheus

prometheus: bin/prometheus ## bin/prometheus, the server that ours is compared with; some minutes the first time

bench-monitor: build bin/prometheus ## metrics: taking in, memory and queries beside a Prometheus server of the same version
	@$(GO) run ./bench/monitor

compliance: build bin/prometheus ## PromQL cases of a checkout of prometheus/compliance, against Ringfence beside Prometheus: make compliance DIR=…
	@$(GO) run ./bench/compliance -checkout $(abspath $(DIR))

bench-streams: build ## how soon an off switch reaches 10,000 open streams
	@$(GO) run ./bench/streams

bench-controller: ## 10,000 rollouts in flight: how late decisions are, and what they cost
	@$(GO) run ./bench/controller

bench-track: ## exposures and metric events over loopback, flushed to disk; summaries of a million exposures
	@$(GO) run ./bench/track -users 1000000

schema-proof: ## a database's schema changed under traffic of two versions, taken back, done again: make schema-proof ROWS=5000000
	@$(GO) run ./bench/schema -rows $(or $(ROWS),5000000)

verdict-table: ## verdicts on simulated releases, beside thresholds, Kayenta and Wald
	@$(GO) run ./bench/verdict-table

experiment-table: ## experiments on simulated users: false alarms, coverage, power
	@$(GO) run ./bench/experiment-table

deps: build ## direct dependencies, modules, binary size
	@$(GO) list -m -f '{{if not (or .Indirect .Main)}}{{.Path}} {{.Version}}{{end}}' all | sed '/^$$/d'
	@echo "modules in the binary: $$($(GO) version -m bin/ringfence | grep -c $$'^\tdep')"
	@echo "binary: $$(( $$(stat -c %s bin/ringfence) / 1048576 )) MB"

clean: ## remove what was built
	@rm -rf bin $(VENDOR)

.PHONY: help assets build demo drill-detect tools check test test-openfeature testbed storm upgrade-proof fuzz schema-proof bench bench-gateway bench-swap soak h2spec sigstore bench-flags bench-ofrep prometheus bench-monitor compliance bench-streams bench-controller bench-track verdict-table experiment-table deps clean
