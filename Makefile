# Everything here works on a machine that has only Go, Python 3.11 to 3.13 (venv,
# pip), a C compiler and make. See CONTRIBUTING.md.

SHELL      := /bin/bash
BIN        := bin/trtforge
VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS    := -X main.version=$(VERSION)
# go-nvml compiles NVML's deprecated calls too; nobody here can mend them.
export CGO_CFLAGS ?= -O2 -g -Wno-deprecated-declarations
# Setting this accepts the licences that `trtforge setup` shows (NVIDIA's for TensorRT-RTX).
export TRTFORGE_ACCEPT_LICENCE ?= 1
# live: PyTorch in this run (installs it, 5.6 GB); recorded: the committed bundle.
REFERENCE  ?= live
RUNTIMES   := ort rtx $(if $(filter live,$(REFERENCE)),reference)
DEMO       := build/demo

.PHONY: build demo study test test-full gpu-test bench lint vuln generate check-generated clean

build: ## the binary, bin/trtforge
	@test -x $(BIN) || echo "building $(BIN), a minute or two the first time"
	@go build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/trtforge

demo: build $(DEMO)/text/evaluate.txt ## the whole job on the demo model: build/demo/report.html
	@$(BIN) setup $(RUNTIMES)
	@$(BIN) run examples/demo/pipeline.toml --reference $(REFERENCE)

$(DEMO)/text/evaluate.txt: examples/demo/split/split.json
	@go run ./examples/demo/split $(DEMO)/text

study: build $(DEMO)/text/evaluate.txt ## the study that trtforge answers, anew: build/tr118/report.html; S=--quick for a minute's worth
	@$(BIN) setup ort reference
	@go run ./examples/tr118 $(S)

test: build lint check-generated ## all tests with every runtime installed; what CI runs
	@scripts/test.sh

test-full: build lint check-generated ## the long ones too
	@TRTFORGE_FULL=1 scripts/test.sh

gpu-test: ## what only a GPU can show (docs/gpu-verification.md), with a report to paste
	@nvidia-smi > /dev/null 2>&1 || exec scripts/gpu-test.sh
	@$(MAKE) --no-print-directory demo REFERENCE=recorded
	@scripts/gpu-test.sh

bench: build ## figures against their anchors: make bench, or make bench B=export
	@$(BIN) setup ort rtx oracle oracle-modelopt
	@go run ./internal/benchmark $(B)

lint: ## gofmt, vet, golangci-lint, govulncheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt these:"; gofmt -l .; exit 1; }
	@go vet ./...
	@go tool -modfile=tools/lint/go.mod golangci-lint run ./...
	@scripts/vuln.sh

generate: build ## protobuf, the CLI reference, man pages
	@cd tools/onnxpb && go run . -proto ../../onnx/onnxpb/onnx.proto \
		-go-package github.com/trtforge/trtforge/onnx/onnxpb -out ../../onnx/onnxpb/onnx.pb.go
	@$(BIN) docs --markdown docs/cli.md --man docs/man

check-generated: generate
	@git diff --exit-code -- onnx/onnxpb docs/cli.md docs/man || { echo "generated files differ: run make generate and commit"; exit 1; }

clean: ## what make made here; the runtimes in the user cache stay
	@rm -rf bin build
