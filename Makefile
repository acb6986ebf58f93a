# SPDX-License-Identifier: BSD-2-Clause
# A thin front for Meson: each target installs the packages it needs, then does its job.
BUILD ?= build
PREFIX ?= /usr/local
MESON_ARGS ?=

.PHONY: all demo demo-mail test deb check coverage fuzz bench lint install clean
all: $(BUILD)/build.ninja
	@if [ -t 1 ]; then NINJA_STATUS='Building [%f/%t] ' ninja -C $(BUILD); else ninja -C $(BUILD) --quiet; fi

$(BUILD)/build.ninja:
	@tools/need build
	@echo "Configuring in $(BUILD)"
	@meson setup $(BUILD) --prefix=$(PREFIX) $(MESON_ARGS) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@mv $(BUILD).log $(BUILD)/setup.log

# An emulator that loses the lab is no fault of what runs there: see tests/lab/lab --help.
in_lab = for try in 1 2 3; do $(1); status=$$?; [ $$status = 123 ] && [ $$try != 3 ] || break; echo 'Once more:'; done; \
	exit $$status

demo: all
	@tools/need lab
	@$(call in_lab,tests/lab/demo)

# U-Boot moves I/O BARs over each other on arm64: docs/report.md.
demo-mail:
	@tools/need build lab lab-arm64
	@tests/cross arm64
	@$(call in_lab,tests/lab/demo-mail)

test: all
	@tools/need test lab lab-arm64
	@tests/cross arm64
	@tests/run unit lab

# The unit tests again, under the sanitizers; each fuzz target for FUZZ_SECONDS.
check:
	@tools/need build test check
	@tests/run asan tsan fuzz

# Which share of each room's branches the unit tests take; fails below tests/coverage/floor.
coverage:
	@tools/need build test
	@tests/run coverage
	@tools/coverage

# Debian packages, in build-deb.
deb: all
	@tools/need package
	@tests/run package

bench: all
	@tools/need bench
	@bench/run

lint:
	@tools/need build lint
	@tools/lint

# PREFIX counts even if the build was configured with another one.
install: $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@ninja -C $(BUILD) --quiet
	@meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD) build-*
