# SPDX-License-Identifier: BSD-2-Clause
#
#   make            build/pfd and build/pfctl-linux
#   make check      every test (as root); ends with "N passed, N failed"
#   make tests      builds what that runs
#   make deps       installs the Debian packages that all targets need (as root)
#   make install    DESTDIR= PREFIX=/usr/local
#   make demo       the firewall at work in three namespaces (as root)
#   make bench      figures, beside nftables and iptables (as root); SECTIONS="rules load"
#   make lint       clang-format and clang-tidy; make format mends the former
#   make fuzz       fuzzes the parser and the control protocol, FUZZ_SECONDS each
#   make diff-test  random rules and packets against the reference model, for DIFF_SECONDS
#   make spin       searches the model of the state table; make spin-deep for some minutes
#   make stress     the state table under load on every CPU, for STRESS_SECONDS (as root)
#   make clean
#
# SANITIZE=1 builds with AddressSanitizer and UndefinedBehaviorSanitizer.
# BUILD=DIR builds there instead of build/. V=1 shows the commands.

BUILD ?= build
# what the kernel gets, as it is without SANITIZE
GEN ?= $(BUILD)/gen
PREFIX ?= /usr/local
CLANG ?= clang
BPFTOOL ?= $(firstword $(shell command -v bpftool /usr/sbin/bpftool 2>/dev/null) bpftool)
OBJCOPY_BPF ?= llvm-objcopy
SANITIZE ?=
FUZZ_SECONDS ?= 60
STRESS_SECONDS ?= 180

VERSION := 0.1.0
ARCH := $(shell $(CC) -dumpmachine 2>/dev/null)
BPF_ARCH := $(patsubst aarch64%,arm64,$(patsubst x86_64%,x86,$(firstword $(subst -, ,$(ARCH)))))

# -Og: sanitized code compiles in less than half of the time
CFLAGS ?= $(if $(SANITIZE),-Og,-O2) -g
ALL_CFLAGS := -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wundef -fno-common -fno-strict-aliasing $(CFLAGS) \
	-DPF_VERSION='"$(VERSION)"' -D_GNU_SOURCE
ifneq ($(SANITIZE),)
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# linked in, as clang does: each start of a program takes a third less
ALL_LDFLAGS += -fsanitize=address,undefined \
	$(if $(findstring clang,$(CC)),,-static-libasan -static-libubsan)
else
ALL_CFLAGS += -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
ALL_LDFLAGS += -pie -Wl,-z,relro,-z,now
endif
ALL_LDFLAGS += $(LDFLAGS)
INCLUDES := -I$(GEN) -Igrammar
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -fno-strict-aliasing -D__TARGET_ARCH_$(BPF_ARCH) \
	-Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/$(ARCH)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@))

GRAMMAR_SRC := $(wildcard grammar/*.c)
COMPILER_SRC := $(wildcard compiler/*.c)
LIB_SRC := $(wildcard lib/*.c)
LOADER_SRC := $(wildcard loader/*.c)
PFCTL_SRC := $(wildcard pfctl-linux/*.c)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
GRAMMAR_OBJ := $(call obj,$(GRAMMAR_SRC))
COMPILER_OBJ := $(call obj,$(COMPILER_SRC))
LIB_OBJ := $(call obj,$(LIB_SRC))
LOADER_OBJ := $(call obj,$(LOADER_SRC))
PFCTL_OBJ := $(call obj,$(PFCTL_SRC))

SKEL := $(patsubst %,$(GEN)/bpf/%.skel.h,datapath rules states)
GRAMMAR_LIBS := -lmnl -lmd -lm
PFCTL_LIBS := -ljansson $(GRAMMAR_LIBS)
LOADER_LIBS := -lbpf -lelf -lz -lmnl -lmd -lpcap -lcap-ng -lm

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

all: $(BUILD)/pfd $(BUILD)/pfctl-linux

$(BUILD)/pfd: $(LOADER_OBJ) $(LIB_OBJ) $(COMPILER_OBJ) $(GRAMMAR_OBJ)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LOADER_LIBS)

$(BUILD)/pfctl-linux: $(PFCTL_OBJ) $(LIB_OBJ) $(GRAMMAR_OBJ)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PFCTL_LIBS)

# Objects are made anew when the flags change; -Werror changes none.
$(BUILD)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' >$@
$(GEN)/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CLANG) $(BPF_CFLAGS)' | cmp -s - $@ || echo '$(CLANG) $(BPF_CFLAGS)' >$@
FORCE:

COMPILE = $(CC) $(ALL_CFLAGS) $(if $(WERROR),-Werror)

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(COMPILE) $(INCLUDES) -MMD -MP -c -o $@ $<

$(GEN)/bpf/%.bpf.o: bpf/%.bpf.c $(GEN)/.flags
	@mkdir -p $(@D)
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(GEN)/bpf/%.skel.h: $(GEN)/bpf/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name pf_$(*F)_skel >$@

$(LOADER_OBJ): $(SKEL)

# Functions as numbers, which the compiler puts into its programs.
INSNS := $(patsubst %,$(GEN)/bpf/%.insns.h,ranges translate limits meter)
$(INSNS): %.insns.h: %.bpf.o
	$(call say,INSNS)
	$(Q)$(OBJCOPY_BPF) -O binary -j .text $< $<.text
	$(Q)od -An -v -tx8 -w8 $<.text | sed 's/ */0x/; s/$$/,/' >$@

$(COMPILER_OBJ): $(INSNS)

# Programs that tests run on the maps of a firewall.
TEST_BPF := $(patsubst selftests/bpf/%.c,$(BUILD)/selftests/%.o,$(wildcard selftests/bpf/*.bpf.c))

$(BUILD)/selftests/%.bpf.o: selftests/bpf/%.bpf.c $(GEN)/.flags
	@mkdir -p $(@D)
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

# Unit tests: each a cmocka program over all that is not a main().
UNIT := $(patsubst selftests/unit/%.c,$(BUILD)/unit/%,$(wildcard selftests/unit/test_*.c))

unit: $(UNIT) $(TEST_BPF) $(BUILD)/selftests/written $(BUILD)/bench/flood

$(BUILD)/unit/%: $(BUILD)/obj/selftests/unit/%.o $(LIB_OBJ) $(COMPILER_OBJ) $(GRAMMAR_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(GRAMMAR_LIBS)

# The reference model, and the test that holds the real programs against it.
MODEL_OBJ := $(call obj,$(addprefix selftests/model/,match.c limits.c sctp.c sources.c tcp.c track.c translate.c walk.c))
DIFF_OBJ := $(call obj,$(wildcard selftests/model/*.c))

$(BUILD)/unit/test_model_rules $(BUILD)/unit/test_model_nat: $(MODEL_OBJ)
$(BUILD)/unit/test_note: $(call obj,loader/note.c loader/say.c)

$(BUILD)/model/diff: $(DIFF_OBJ) $(filter-out %/main.o,$(LOADER_OBJ)) $(LIB_OBJ) $(COMPILER_OBJ) \
		$(GRAMMAR_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LOADER_LIBS)

$(BUILD)/selftests/written: $(call obj,selftests/tables/written.c) \
		$(filter-out %/main.o,$(LOADER_OBJ)) $(LIB_OBJ) $(COMPILER_OBJ) $(GRAMMAR_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LOADER_LIBS)

# Goes on until it is stopped, or for DIFF_SECONDS.
diff-test: $(BUILD)/model/diff
	$< $(if $(DIFF_SECONDS),-t $(DIFF_SECONDS))

# Packets of a few connections on every CPU at once, see its head.
$(BUILD)/stress/churn: $(BUILD)/obj/selftests/stress/churn.o
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lbpf -lpthread

stress: all $(BUILD)/stress/churn
	PF_BUILD=$(BUILD) PF_STRESS_SECONDS=$(STRESS_SECONDS) selftests/run -v \
		-k '^stress.churn' selftests/test_stress.py

# The model of the state table, see bpf/table.pml: what `make check' searches, and more.
spin:
	selftests/pft/spin.py

spin-deep:
	selftests/pft/spin.py --deep

# Fuzzers: libFuzzer's, so all that they reach is compiled once more, by clang.
FUZZ := $(patsubst selftests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard selftests/fuzz/fuzz_*.c))
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_SRC := $(GRAMMAR_SRC) $(COMPILER_SRC) $(LIB_SRC)
FUZZ_OBJ := $(patsubst %.c,$(BUILD)/fuzz/obj/%.o,$(FUZZ_SRC))
FUZZ_CFLAGS = $(filter-out -fstack-protector-strong -D_FORTIFY_SOURCE=2,$(ALL_CFLAGS)) \
	$(if $(WERROR),-Werror) -Wno-unused-function -Wno-unused-but-set-variable \
	-Wno-missing-prototypes $(FUZZ_FLAGS)

fuzzers: $(FUZZ)

$(FUZZ_OBJ): $(INSNS)

$(BUILD)/fuzz/obj/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(call say,FUZZ)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<

$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/obj/selftests/fuzz/fuzz_%.o $(FUZZ_OBJ)
	$(call say,LD)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ $(GRAMMAR_LIBS)

fuzz: fuzzers
	selftests/fuzz/run -t $(FUZZ_SECONDS) $(BUILD)/fuzz

# Everything that is tested is built with the sanitizers.  -O2 warns of more than -Og.
tests:
	$(Q)$(MAKE) --no-print-directory WERROR=1 all
	$(Q)$(MAKE) --no-print-directory SANITIZE=1 WERROR=1 BUILD=$(BUILD)/check GEN=$(GEN) \
		all unit fuzzers $(BUILD)/check/model/diff $(BUILD)/check/stress/churn

check: tests
	PF_BUILD=$(BUILD)/check PF_RELEASE=$(BUILD) selftests/run \
		$(patsubst selftests/unit/%.c,-u $(BUILD)/check/unit/%,$(wildcard selftests/unit/test_*.c))

demo: all
	$(Q)PF_BUILD=$(BUILD) examples/demo

$(BUILD)/bench/flood: $(BUILD)/obj/bench/flood.o
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/bench/%.bpf.o: bench/%.bpf.c $(GEN)/.flags
	@mkdir -p $(@D)
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

# `bench/run -l' names the sections.
bench: all $(BUILD)/bench/flood $(BUILD)/bench/replay.bpf.o
	$(Q)PF_BUILD=$(BUILD) bench/run $(SECTIONS)

DEBIAN_BUILD := make gcc libc6-dev clang llvm bpftool libbpf-dev libelf-dev \
	zlib1g-dev libmnl-dev libmd-dev libpcap-dev libcap-ng-dev libjansson-dev linux-libc-dev
DEBIAN_TEST := libcmocka-dev libclang-rt-dev python3 python3-scapy iproute2 iputils-ping procps tcpdump mandoc \
	ethtool netbase nftables iptables util-linux bsdextrautils spin
DEBIAN_LINT := clang-format clang-tidy
# selftests/test_kernels.py starts other kernels, where there is what starts them
DEBIAN_VM := $(if $(wildcard ../shared/vm/vmtest.sh),qemu-system-x86 busybox-static kmod xz-utils)

# Asks the network only for what is not there.
deps:
	$(Q)missing=; for p in $(DEBIAN_BUILD) $(DEBIAN_TEST) $(DEBIAN_LINT) $(DEBIAN_VM); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || \
			missing="$$missing $$p"; \
	done; \
	if [ -z "$$missing" ]; then echo "all packages are there"; exit; fi; \
	set -ex; apt-get update -q; \
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/examples/pf-linux
	install -m 755 $(BUILD)/pfd $(BUILD)/pfctl-linux $(DESTDIR)$(PREFIX)/sbin/
	install -m 644 man/pfd.8 man/pfctl-linux.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 man/pf.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 examples/*.conf $(DESTDIR)$(PREFIX)/share/examples/pf-linux/

clean:
	rm -rf $(BUILD)

C_FILES := $(wildcard bpf/*.[ch] grammar/*.[ch] compiler/*.[ch] lib/*.[ch] loader/*.[ch] \
	pfctl-linux/*.[ch] selftests/*/*.[ch] bench/*.[ch])
TIDY_FILES := $(GRAMMAR_SRC) $(COMPILER_SRC) $(LIB_SRC) $(LOADER_SRC) $(PFCTL_SRC)

format:
	clang-format -i $(C_FILES)

lint: all
	clang-format --dry-run -Werror $(C_FILES)
	clang-tidy --quiet $(TIDY_FILES) -- $(ALL_CFLAGS) $(INCLUDES)

-include $(shell find $(BUILD) $(GEN) -name "*.d" 2>/dev/null | sort -u)

.PHONY: all unit fuzzers diff-test stress spin spin-deep tests check deps install demo bench lint format fuzz clean FORCE
