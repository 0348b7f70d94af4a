# Two commands matter to a newcomer: `make demo` and `make test`. The others are for those who change Nightshift.
# One set of flags everywhere, so that every dependency is compiled once: see docs/CONTRIBUTING.md.
CARGO ?= cargo
FLAGS := --workspace --all-targets --locked
DEV_BIN = $(or $(CARGO_TARGET_DIR),target)/debug
REL_BIN = $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: help demo demo-mysql test check build bench soak screenshots tools databases browser

help:
	@echo "make demo    the whole grid on this machine, in three minutes, in a temporary folder"
	@echo "make demo-mysql   the same with a primary database and a replica for each worker"
	@echo "make test    build everything and run every test"
	@echo "make check   formatting and clippy with warnings denied"
	@echo "make bench   figures, each beside its raw limit or peer; ONLY=prefix runs a part"
	@echo "make soak    the randomized tests, long (SEEDS=1000; SEEDS=400..1000 goes on)"
	@echo "make screenshots   the pictures in docs/screenshots anew"

demo: build
	$(DEV_BIN)/nightshift demo $(ARGS)

demo-mysql: build databases
	$(DEV_BIN)/nightshift demo --mysql $(ARGS)

# Tests wait for processes most of their time: four at once keep two cores busy.
TESTS_AT_ONCE ?= $(shell n=$$(nproc); echo $$((n > 4 ? n : 4)))
test: build databases browser
	RUST_TEST_THREADS=$(TESTS_AT_ONCE) $(CARGO) test $(FLAGS)

build: tools
	$(CARGO) build $(FLAGS)

check: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(FLAGS) -- -D warnings

bench: tools
	$(CARGO) build --release $(FLAGS)
	$(REL_BIN)/nightshift-bench $(ONLY)

SEEDS ?= 1000
soak: build databases
	NIGHTSHIFT_SEEDS=$(SEEDS) $(CARGO) test $(FLAGS) -- randomized

screenshots: build browser
	$(CARGO) test --workspace --locked --test browser -- --ignored pictures

# The dashboard is tested in a real browser. Without the right to install one, the tests say that they did not run.
BROWSER := chromium chromium-driver
browser:
	@{ command -v chromium && command -v chromedriver; } >/dev/null || ! command -v apt-get >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else \
	    echo "make: not installing $(BROWSER): that needs root; the dashboard is not tested in a browser" >&2; exit 0; fi; \
	  echo "make: installing $(BROWSER) for the dashboard's tests" >&2; \
	  { $$as_root apt-get update -qq && \
	    $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(BROWSER) >/dev/null; } || \
	  echo "make: could not install $(BROWSER): the dashboard is not tested in a browser" >&2; }

# The store is tested on MariaDB and MySQL too, on private servers that the tests start and end themselves. The packages
# installed here start no service. Without the right to install, the tests say what they did not run.
MARIADB := mariadb-server-core mariadb-client
databases:
	@command -v mariadbd >/dev/null || [ -x /usr/sbin/mariadbd ] || ! command -v apt-get >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else \
	    echo "make: not installing $(MARIADB): that needs root; the store is not tested on MariaDB" >&2; exit 0; fi; \
	  echo "make: installing $(MARIADB) for the store's tests" >&2; \
	  { $$as_root apt-get update -qq && \
	    $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(MARIADB) >/dev/null; } || \
	  echo "make: could not install $(MARIADB): the store is not tested on MariaDB" >&2; }
	@[ -n "$$NIGHTSHIFT_TEST_MYSQLD" ] || \
	  echo "make: NIGHTSHIFT_TEST_MYSQLD names no mysqld: the store is not tested on MySQL" >&2

# Says which package is missing instead of failing in the middle of a build.
tools:
	@command -v $(CARGO) >/dev/null || { echo "make: Rust is missing: install rustup or Rust 1.95 or later" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "make: a C compiler is missing: apt install gcc libc6-dev" >&2; exit 1; }
	@command -v git >/dev/null || { echo "make: git is missing: apt install git" >&2; exit 1; }
