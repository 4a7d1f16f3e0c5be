# SPDX-License-Identifier: Apache-2.0
# The front door. Each target installs what it lacks (Debian and Ubuntu: apt-get, with sudo when you are not root) and
# builds with CMake under build/.
#   make         the library and the smelt command, in build/release
#   make demo    the operations of one decoder layer: checked, timed, one table; then three of them as Metal kernels
#   make test    every test, of the Python package too; the last line counts them
#   make test-cuda, make bench-cuda   the operations on an NVIDIA card
#   make bench   every operation beside the machine's limits and the rivals; BENCH_OPTIONS="--quick glu" narrows it
#   make test-python   the Python package alone, in build/python-venv; TORCH=1 with PyTorch and transformers too
#   make wheel         a wheel in build/wheels that passes auditwheel
BUILD = build/release
JOBS ?= $(shell nproc)
PYTHON ?= python3
BENCH_OPTIONS ?=

BUILD_PACKAGES = gcc libc6-dev make cmake
TEST_PACKAGES  = $(BUILD_PACKAGES) g++ pkg-config dpkg-dev file clang libclang-rt-dev \
                 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user python3-venv python3-dev
METAL_PACKAGES = lld-19 llvm-19-dev libclang-19-dev libclang-cpp19-dev clang-19 g++ python3 python3-numpy
BENCH_PACKAGES = $(BUILD_PACKAGES) g++ python3 python3-venv python3-dev

.PHONY: metal-packages all demo test bench test-cuda bench-cuda test-python wheel clean
all:
	@scripts/need $(BUILD_PACKAGES)
	@scripts/build $(BUILD) $(JOBS)

# Without LLVM 19 the demo leaves the Metal kernels out and says so.
demo: metal-packages all
	@$(BUILD)/smelt demo

metal-packages:
	@scripts/need $(METAL_PACKAGES) || echo 'custom Metal kernels are left out' >&2

test:
	@scripts/need $(TEST_PACKAGES)
	@scripts/need $(METAL_PACKAGES) || echo 'custom Metal kernels and their tests are left out' >&2
	@scripts/build $(BUILD) $(JOBS)
	@scripts/test $(BUILD) $(JOBS) $(PYTHON)

# Rivals live in a virtual environment of their own. Their fresh outputs would cost page faults, which is not what is
# compared: the two variables of malloc keep memory warm, and large pages are asked for.
bench: build/venv/.ready
	@scripts/need $(BENCH_PACKAGES)
	@scripts/build $(BUILD) $(JOBS)
	@SMELT_RIVALS=bench/rivals/rival.py SMELT_RIVALS_PYTHON=build/venv/bin/python \
	    $(BUILD)/smelt bench --rivals --json build/bench.json $(BENCH_OPTIONS)
	@build/venv/bin/python bench/plot.py build/bench.json build/bench
	@scripts/need $(METAL_PACKAGES) && cmake --build $(BUILD) --parallel $(JOBS) --target bench_metal >/dev/null && \
	    $(BUILD)/bench/metal/bench_metal || echo 'custom Metal kernels are not measured' >&2
	@echo "build/bench.json has the figures, build/bench the plots"

build/venv/.ready: bench/rivals/requirements.txt
	@scripts/need $(BENCH_PACKAGES)
	@scripts/venv $(PYTHON) build/venv bench/rivals/requirements.txt
	@touch $@

# On a machine with an NVIDIA card and nvcc 13; the second needs a Python with PyTorch for CUDA.
test-cuda:
	@cmake --preset cuda >/dev/null
	@cmake --build --preset cuda --parallel $(JOBS)
	@ctest --preset cuda

bench-cuda:
	@cmake --preset cuda >/dev/null
	@cmake --build --preset cuda --parallel $(JOBS)
	@$(PYTHON) bench/cuda/attention_sweep.py build/cuda/tests/cuda/libattention_shim.so forward masks decode float32
	@$(PYTHON) bench/cuda/rows_rivals.py build/cuda/libsmelt.so

test-python: metal-packages all
	@scripts/need $(BUILD_PACKAGES) python3-venv python3-dev
	@JOBS=$(JOBS) scripts/test-python $(PYTHON) build/python-venv $(BUILD)

wheel:
	@scripts/need $(BUILD_PACKAGES) python3-venv python3-dev
	@scripts/need $(METAL_PACKAGES) || echo 'the wheel will be without the compiler of custom kernels' >&2
	@scripts/wheel $(PYTHON) build/wheel-venv

clean:
	rm -rf build
