# Slipstream. Everything lands in build/. README.md says what each target is for.
ifeq ($(origin CC),default)
CC       := gcc
endif
BUILD    ?= build
CFLAGS   ?= -O2 -g
LDFLAGS  ?=
SANITIZE ?=# address, undefined or thread; fuzzer: both, and what libFuzzer asks for (clang alone has it)
PREFIX   ?= /usr/local
PROTECTED_MODE ?=# yes or no: the default of that directive; the container image says no
V        ?=# V=1 shows whole command lines
PEERS    := build/peers
IMAGE    := build/slipstream.tar
JOBS     ?= $(shell nproc)

WARN       := -Wall -Wextra -Werror
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -isystem /usr/include/luajit-2.1 $(WARN) -fno-omit-frame-pointer $(CFLAGS)
LIBS       := -lssl -lcrypto -luring -llz4 -llzf -ljemalloc -lmd -lbsd -l:libluajit-5.1.a -lpthread -lm -ldl

ifneq ($(PROTECTED_MODE),)
ALL_CFLAGS += -DPROTECTED_MODE='"$(PROTECTED_MODE)"'
endif

ifeq ($(SANITIZE),address)
ALL_CFLAGS += -fsanitize=address -fno-sanitize-recover=all
LIBS       := $(filter-out -ljemalloc,$(LIBS))# the sanitizer brings its own allocator
else ifeq ($(SANITIZE),undefined)
ALL_CFLAGS += -fsanitize=undefined -fno-sanitize-recover=all
else ifeq ($(SANITIZE),thread)
ALL_CFLAGS += -fsanitize=thread -Wno-tsan# its fences are for other processes, which the sanitizer does not see
LIBS       := $(filter-out -ljemalloc,$(LIBS))
else ifeq ($(SANITIZE),fuzzer)
# The macro is gcc's word for the address sanitizer.
ALL_CFLAGS += -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -D__SANITIZE_ADDRESS__ \
              -Wno-missing-field-initializers
LIBS       := $(filter-out -ljemalloc,$(LIBS))
endif

SRC         := $(shell find server rdb shm repl -name '*.c' | sort)
OBJ         := $(SRC:%.c=$(BUILD)/obj/%.o)
LIBOBJ      := $(filter-out $(BUILD)/obj/server/main.o,$(OBJ))
HARNESS     := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out %/standalone.c,$(wildcard tests/harness/*.c)))
UNIT        := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*.c))
INTEGRATION := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/integration/*.c))
FUZZ        := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
# What the fuzz targets stand on: everything up to rdb, acl and aof.
FUZZ_OBJ    := $(filter $(addprefix $(BUILD)/obj/server/,base/% resp/% data/% keyspace/% acl/% aof/%),\
                        $(filter-out $(BUILD)/obj/server/aof/journal%,$(OBJ))) \
               $(filter $(BUILD)/obj/rdb/%,$(OBJ)) $(BUILD)/obj/tests/fuzz/exercise.o
SIMULATION  := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/simulation/*.c))
DIFFERENTIAL := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/differential/*.c))
# Servers by command line: what both tools start.
CONTESTANTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/servers/*.c))
REPORT      := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/report/*.c))
PROGRAM     := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/program/*.c bench/parts/*.c))
LAB         := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/lab/*.c bench/lab/faults/*.c))
# The load generator's parts; tests have them too.
LOAD        := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/load/*.c))
# What the lab has of the server: the decision whether a replica may continue.
LAB_BORROWS := $(filter $(BUILD)/obj/repl/history.o $(BUILD)/obj/server/base/%,$(OBJ))
# The harness without Criterion.
PLAIN_HARNESS := $(patsubst %/under_criterion.o,%/standalone.o,$(HARNESS))

Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)

all: $(BUILD)/redis-server $(BUILD)/redis-sentinel $(BUILD)/redis-check-rdb $(BUILD)/redis-check-aof \
     $(BUILD)/slipstream-lab $(BUILD)/slipstream-bench

$(BUILD)/redis-server: $(OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# One binary; the name it is called by says what it is.
$(BUILD)/redis-sentinel $(BUILD)/redis-check-rdb $(BUILD)/redis-check-aof: $(BUILD)/redis-server
	$(call say,LN)
	$(Q)ln -sf redis-server $@

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libslipstream.a: $(LIBOBJ)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

# A unit test is a program of its own: it may bring its own stand-in for a part, and only pulls in what it needs.
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libslipstream.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcriterion $(LIBS)

$(BUILD)/tests/unit/test_load $(BUILD)/tests/unit/test_load_generator: $(LOAD)
$(BUILD)/tests/unit/test_bench_report: $(REPORT)
$(BUILD)/tests/unit/test_load_tls: $(LOAD) $(addprefix $(BUILD)/obj/tests/harness/,certificates.o directory.o)
$(addprefix $(BUILD)/tests/unit/test_,tls_stream tls_keys kernel_tls net_tls_detach): \
                                        $(addprefix $(BUILD)/obj/tests/harness/,certificates.o directory.o)
$(BUILD)/tests/unit/test_event_counter: $(addprefix $(BUILD)/obj/bench/program/,event_counter.o threads.o) \
                                        $(addprefix $(BUILD)/obj/tests/harness/,process.o clock.o)
$(BUILD)/tests/unit/test_journal_deaths: $(BUILD)/obj/tests/harness/clock.o
$(BUILD)/tests/unit/test_harness_process: $(addprefix $(BUILD)/obj/tests/harness/,process.o clock.o)

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_OBJ)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)

# What runs scripts stands on all of the server.
$(BUILD)/tests/fuzz/fuzz_script_values $(BUILD)/tests/fuzz/fuzz_function_restore: $(BUILD)/libslipstream.a

$(BUILD)/tests/integration: $(INTEGRATION) $(HARNESS)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lcriterion -lhiredis -lssl -lcrypto -lpthread -lm

$(BUILD)/tests/differential: $(DIFFERENTIAL) $(PLAIN_HARNESS)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lhiredis -lssl -lcrypto -lpthread -lm

$(BUILD)/tests/simulation: $(SIMULATION) $(BUILD)/libslipstream.a
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/slipstream-lab: $(LAB) $(CONTESTANTS) $(REPORT) $(LAB_BORROWS) $(PLAIN_HARNESS)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lhiredis $(LIBS)

$(BUILD)/slipstream-bench: $(PROGRAM) $(LOAD) $(CONTESTANTS) $(REPORT) $(filter $(BUILD)/obj/server/base/%,$(OBJ)) \
                           $(PLAIN_HARNESS)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ -lhiredis -ljansson $(LIBS)

tests: all $(UNIT) $(BUILD)/tests/integration $(BUILD)/tests/differential $(BUILD)/tests/simulation

deps:
	@tools/deps.sh build test lint
	@$(MAKE) --no-print-directory -j$(JOBS) all

peers:
	@tools/deps.sh peers
	@tools/peers.sh $(PEERS)

# The next two install what is missing before anything is compiled; hence the second make.
run:
	@tools/deps.sh build
	@$(MAKE) --no-print-directory -j$(JOBS) all
	$(BUILD)/redis-server

demo:
	@tools/deps.sh build
	@$(MAKE) --no-print-directory -j$(JOBS) all peers
	@tools/demo.sh $(BUILD)/redis-server $(PEERS)/usr/bin/redis-cli $(BUILD)/slipstream-lab

# TEST=suite/name narrows the integration tests, ENGINES names the event loops they run on.
ENGINES ?= auto epoll
TEST    ?=
# How many commands the differential test generates; the slow sanitizers get fewer.
COMMANDS ?= $(if $(SANITIZE),20000,160000)
# How many worlds the simulator lives through.
WORLDS   ?= $(if $(SANITIZE),100,800)
test:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) tests peers
	@BUILD=$(BUILD) UNIT="$(UNIT)" PEERS=$(PEERS) JOBS=$(JOBS) ENGINES="$(ENGINES)" TEST="$(TEST)" \
		COMMANDS=$(COMMANDS) WORLDS=$(WORLDS) tools/test.sh

# The integration tests with the thread sanitizer's server, on I/O threads; the tests themselves are BUILD's. They take
# seven minutes of processor time, which may be more than BOUND_S's default where others want the processors, too.
test-threads:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) tsan $(BUILD)/tests/integration peers
	@BUILD=$(BUILD) SERVER=build/tsan/redis-server PEERS=$(PEERS) JOBS=$(JOBS) ENGINES=auto+threads BOUND_S=1800 \
		TEST="$(or $(TEST),*/*)" tools/test.sh

# Other worlds each time, for so long; FROM=seed for the same ones.
SECONDS ?= 60
FROM    ?= $(shell date +%s)00000
simulate:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/tests/simulation
	$(BUILD)/tests/simulation --from $(FROM) --seconds $(SECONDS) --jobs $(JOBS)

# Each fuzz target in tests/fuzz for FUZZ_SECONDS, from inputs that our server and Debian's make.
FUZZ_SECONDS ?= 60
FUZZ_BUILD   := $(BUILD)/fuzz
fuzz:
	@tools/deps.sh build test fuzz
	@$(MAKE) --no-print-directory -j$(JOBS) all peers
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(FUZZ_BUILD) CC=clang SANITIZE=fuzzer CFLAGS="-O1 -g" fuzz-targets
	@tests/fuzz/seeds.sh $(FUZZ_BUILD)/seeds $(PEERS)/usr/bin/redis-cli $(BUILD)/redis-server $(PEERS)/usr/bin/redis-server
	@BUILD=$(FUZZ_BUILD) SECONDS_EACH=$(FUZZ_SECONDS) tests/fuzz/run.sh
fuzz-targets: $(FUZZ)

# Ours among newer and older makes, which it downloads into PEERS_DIR; not a part of `make test`. ROW narrows it.
PEERS_DIR ?= $(BUILD)/newer-peers
ROW       ?=
test-peers:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) all peers
	@tools/newer_peers.sh $(PEERS_DIR)
	@tests/peers/matrix.py $(BUILD) $(PEERS_DIR) "$(ROW)"

# TLS under a kernel that has it: in an emulated machine, whose kernel apt brings. Some minutes; not a part of
# `make test`.
test-kernel-tls:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) tests peers
	@ENGINES="$(ENGINES)" TEST="$(TEST)" JOBS=$(JOBS) tests/kernel_tls/machine.sh $(BUILD) $(PEERS)

# Ours beside Debian's, against our own targets. WHAT=throughput,replicas,... selects parts; ROUNDS sets their rounds;
# OPTIONS='--html FILE' and the like add to it. SERVERS names other servers: --server NAME='COMMAND',
# the baseline first.
WHAT    ?= all
ROUNDS  ?= 5
OPTIONS ?=
SERVERS ?= --server redis='$(PEERS)/usr/bin/redis-server --port {port} --dir {dir}' \
           --server ours='$(BUILD)/redis-server --port {port} --dir {dir}'
bench:
	@tools/deps.sh build test
	@$(MAKE) --no-print-directory -j$(JOBS) all peers
	@SLIPSTREAM_PEERS=$(PEERS) $(BUILD)/slipstream-bench $(SERVERS) --parts $(WHAT) --rounds $(ROUNDS) --keys 1000000 \
		--pipeline 1,16,64 --targets bench/targets.txt $(OPTIONS)

# The image that the Dockerfile describes, as an OCI archive; needs root on a Debian.
image:
	@tools/deps.sh image
	@tools/image.sh $(IMAGE)

# The manifests of k8s-yaml: checked against the schemas, and run in containers of the image where this is root and may
# make namespaces.
test-kubernetes:
	@tools/deps.sh schemas
	@if unshare --mount --net true 2>/dev/null; then tools/deps.sh pods && $(MAKE) --no-print-directory image; fi
	@IMAGE=$(IMAGE) TEST="$(TEST)" tests/kubernetes/suite.py

debug:
	@$(MAKE) --no-print-directory BUILD=build/debug CFLAGS="-Og -g3" all
asan:
	@$(MAKE) --no-print-directory BUILD=build/asan SANITIZE=address CFLAGS="-O1 -g" all
ubsan:
	@$(MAKE) --no-print-directory BUILD=build/ubsan SANITIZE=undefined CFLAGS="-O1 -g" all
tsan:
	@$(MAKE) --no-print-directory BUILD=build/tsan SANITIZE=thread CFLAGS="-O1 -g" all

lint:
	@tools/deps.sh build test lint
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@BUILD=$(BUILD) tools/lint.sh

install: all
	install -D -m 755 $(BUILD)/redis-server $(DESTDIR)$(PREFIX)/bin/redis-server
	ln -sf redis-server $(DESTDIR)$(PREFIX)/bin/redis-sentinel
	ln -sf redis-server $(DESTDIR)$(PREFIX)/bin/redis-check-rdb
	ln -sf redis-server $(DESTDIR)$(PREFIX)/bin/redis-check-aof
	install -D -m 755 $(BUILD)/slipstream-lab $(DESTDIR)$(PREFIX)/bin/slipstream-lab
	install -D -m 755 $(BUILD)/slipstream-bench $(DESTDIR)$(PREFIX)/bin/slipstream-bench

clean:
	rm -rf build

-include $(patsubst %.o,%.d,$(OBJ) $(HARNESS) $(INTEGRATION) $(DIFFERENTIAL) $(SIMULATION) $(LAB) $(LOAD) \
    $(CONTESTANTS) $(REPORT) $(PROGRAM) $(FUZZ_OBJ) \
    $(UNIT:$(BUILD)/tests/%=$(BUILD)/obj/tests/%.o) $(FUZZ:$(BUILD)/tests/%=$(BUILD)/obj/tests/%.o))
.PHONY: all tests deps peers run demo test test-threads simulate test-peers test-kernel-tls fuzz fuzz-targets bench \
        image test-kubernetes debug asan ubsan tsan lint install clean
.SECONDARY:
