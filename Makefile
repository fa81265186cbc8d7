# SPDX-License-Identifier: GPL-2.0-or-later
# datasnoop: targets all check demo bench install clean; see README.md.
include version.mk

CC         ?= cc
CLANG      ?= clang
PKG_CONFIG ?= pkg-config
CFLAGS     ?= -O2 -g
PREFIX     ?= /usr/local
SBINDIR    ?= $(PREFIX)/sbin
MANDIR     ?= $(PREFIX)/share/man
INSTALL    ?= install

# SAN=1: AddressSanitizer and UndefinedBehaviorSanitizer, in a tree of its own.
ifeq ($(SAN),1)
BUILD    := build/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -fno-omit-frame-pointer
else
BUILD    := build
SANFLAGS :=
endif

ifneq ($(V),1)
Q := @
say = @echo "  $(1) $(2)";
else
Q :=
say =
endif

PACKAGES := libelf capstone libbpf libcap-ng yajl libpcap libnghttp2 zlib \
	    libbrotlidec libzstd liblz4 libbson-1.0
# Expanded late: `make check` on a bare machine installs pkg-config first.
PACKAGE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
PACKAGE_LIBS   = -lbcc -lpg_query -lsnappy $(shell $(PKG_CONFIG) --libs $(PACKAGES))

WARNINGS   := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes \
	      -Wmissing-prototypes -Wparentheses
ALL_CFLAGS = -std=gnu11 $(WARNINGS) -I. -D_GNU_SOURCE= $(PACKAGE_CFLAGS) \
	     -DDATASNOOP_VERSION='"$(VERSION)"' $(CPPFLAGS) $(CFLAGS) \
	     $(SANFLAGS) -MMD -MP
ALL_LDFLAGS = $(SANFLAGS) $(LDFLAGS)

ROOMS   := probes streams parsers access sinks
SOURCES := $(sort $(filter-out %.bpf.c,$(wildcard $(addsuffix /*.c,$(ROOMS))))) options.c
BPF     := $(sort $(wildcard probes/*.bpf.[ch])) probes/batch.h
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/probes/embedded.o
LIBRARY := $(BUILD)/libdatasnoop.a

UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test_*.c)))
TOOLS      := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tools/*.c)))
FUZZERS    := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
LIVE_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/live/*.c)))


.PHONY: all setup tools unit-tests check check-all demo run-demo bench run-bench install \
	clean dist
.DELETE_ON_ERROR:

all: $(BUILD)/datasnoop
ifneq ($(SAN),1)
all: datasnoop

datasnoop: $(BUILD)/datasnoop
	$(Q)ln -sf $< $@
endif

$(BUILD)/datasnoop: $(BUILD)/tracer.o $(LIBRARY)
	$(call say,LINK,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PACKAGE_LIBS) $(LIBS)

$(LIBRARY): $(OBJECTS)
	$(call say,AR,$@)rm -f $@; $(AR) rcs $@ $^

$(BUILD)/%.o: %.c version.mk
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The assembler does not say what .incbin reads: name it here.
$(BUILD)/probes/embedded.o: probes/embedded.S $(BPF)
	@mkdir -p $(@D)
	$(call say,AS,$<)$(CC) $(CPPFLAGS) -I. -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< \
		$(LIBRARY) $(shell $(PKG_CONFIG) --cflags --libs check libbrotlienc) \
		$(PACKAGE_LIBS) $(LIBS)

# Programs of the live tests that use the capture without the tracer.
$(BUILD)/tests/live/%: tests/live/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< \
		$(LIBRARY) -lssl -lcrypto -lpthread -luring $(PACKAGE_LIBS) $(LIBS)

$(BUILD)/tools/%: tools/%.c
	@mkdir -p $(@D)
	$(call say,TOOL,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< \
		-lssl -lcrypto -lpthread -lm $(LIBS)

# What the fuzzers run is compiled for them, once for all.
FUZZFLAGS = -std=gnu11 -I. -D_GNU_SOURCE= -g -O1 -MMD -MP $(PACKAGE_CFLAGS) \
	    -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_OBJECTS := $(patsubst %.c,build/fuzz/%.o,$(filter parsers/%.c streams/%.c,$(SOURCES)))

.SECONDARY: $(FUZZ_OBJECTS)

build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CLANG) $(FUZZFLAGS) -fsanitize=fuzzer-no-link \
		-c -o $@ $<

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_OBJECTS)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)$(CLANG) $(FUZZFLAGS) -fsanitize=fuzzer -o $@ $< \
		$(FUZZ_OBJECTS) $(PACKAGE_LIBS)

# Seeds are made of the captures there are when the fuzzers are run.
$(BUILD)/fuzz/seeds: tests/fuzz/seeds.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,TOOL,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< \
		$(LIBRARY) $(PACKAGE_LIBS) $(LIBS)

tools: $(TOOLS) $(LIVE_TESTS)

# What is missing comes from apt; a second make sees what the first installed.
setup:
	$(Q)tools/setup.sh

# On all processors, unless it was said on how many.
check: setup
	$(Q)$(MAKE) --no-print-directory \
		$(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc)) check-all

check-all: all tools $(UNIT_TESTS) $(FUZZERS) build/fuzz/seeds
	$(Q)$(MAKE) --no-print-directory SAN=1 unit-tests
	$(Q)tests/run.sh

unit-tests: $(UNIT_TESTS)

demo: setup
	$(Q)$(MAKE) --no-print-directory run-demo

run-demo: all tools
	$(Q)tools/demo.sh

bench: setup
	$(Q)$(MAKE) --no-print-directory run-bench

run-bench: all tools
	$(Q)tools/bench.py $(BENCH)

install: all
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 755 $(BUILD)/datasnoop $(DESTDIR)$(SBINDIR)/datasnoop
	$(INSTALL) -m 644 man/datasnoop.8 $(DESTDIR)$(MANDIR)/man8/datasnoop.8

dist:
	git archive --prefix=datasnoop-$(VERSION)/ \
		-o datasnoop-$(VERSION).tar.gz HEAD

clean:
	rm -rf build datasnoop

-include $(shell find $(BUILD) build -name '*.d' 2>/dev/null)
