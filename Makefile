# Plain verbs over Meson and Ninja. `make help` lists them.
#
#   build/        gcc, release        what `make` builds and `make install` installs
#   build-clang/  clang 14            build-asan/ ASan+UBSan   build-tsan/ TSan
#   build-fuzz/   clang 14, libFuzzer build-cov/  gcov
PREFIX  ?= /usr/local
SECONDS ?= 60
CORES   := $(shell nproc 2>/dev/null || echo 2)
NINJA   = ninja -j $(CORES) -C

.PHONY: all help deps deps-build demo test check bench fuzz coverage format install deb clean

all: build/build.ninja ## build the program (build/src/app/faultline)
	@$(NINJA) build

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 12

build/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run 'make deps' first" >&2; exit 1; }
	@meson setup build >/dev/null

deps-build:
	@scripts/deps build

deps: ## install the Debian packages that are missing (build and check)
	@scripts/deps check

demo: deps-build ## install what is needed, build, analyze a shipped incident
	@$(MAKE) --no-print-directory build/build.ninja
	@$(NINJA) build --quiet src/app/faultline
	@scripts/demo

test: all ## the quick tests: unit, property, golden, fuzz corpora (under a minute)
	@meson test -C build --no-rebuild --print-errorlogs --no-suite slow --num-processes $(CORES)

check: deps ## everything CI runs; the last line is "N passed, N failed"
	@scripts/check

bench: all ## the figures of the README; FAULTLINE_DATA names the directory of evaluation data
	@scripts/bench

fuzz: deps ## fuzz one target: make fuzz T=name [SECONDS=60]
	@scripts/fuzz "$(T)" "$(SECONDS)"

coverage: deps ## coverage table; out/coverage/index.html has the lines
	@scripts/coverage

format: ## rewrite the sources in the project's format
	@git ls-files -z '*.c' '*.h' ':!*.tbl.h' | xargs -0 clang-format-14 -i

install: build/build.ninja ## PREFIX=/usr/local DESTDIR=
	@meson configure build -Dprefix=$(abspath $(PREFIX))
	@$(NINJA) build
	@DESTDIR="$(DESTDIR)" meson install -C build --no-rebuild --quiet

deb: all ## make a Debian package: out/faultline_VERSION_ARCH.deb
	@scripts/deb

clean: ## remove everything that was built
	@rm -rf build build-clang build-asan build-tsan build-fuzz build-cov out
