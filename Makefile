# verbatim - plain GNU make, no configure step. `make help` lists the targets.
#
# Bits first: -ffp-contract=off and never -ffast-math. A compiler may not fuse or reorder a float operation that the
# source did not fuse or reorder. Instruction sets differ only in the flags of their one file below. gcc may not let
# locals of inlined functions share memory: it mistakes their addresses in unrolled loops (gcc bug 90348).

CC        ?= cc
OPT       ?= -O2 -g
WARN       = -Wall -Wextra -Wshadow -Wconversion -Wdouble-promotion -Wvla -Wmissing-prototypes -Wstrict-prototypes
ONE_SLOT  := $(shell $(CC) -fstack-reuse=none -x c -c -o /dev/null /dev/null 2>/dev/null && echo -fstack-reuse=none)
CFLAGS    += -std=c11 -ffp-contract=off $(ONE_SLOT) -fno-math-errno -fPIC -fvisibility=hidden -pthread $(WARN) $(OPT)
CPPFLAGS  += -D_GNU_SOURCE -Iinclude -Isrc -I. -MMD -MP
LDLIBS    += -ljansson -lpcre2-8 -lutf8proc -lcrypto -lxxhash -lhwloc -lm -lpthread
VERSION    = 0.1.0
SONAME     = libverbatim.so.0

# Optional, for the command line alone: with libcurl it can ask a live Ollama or llama-server.
CURL_FLAGS := $(shell pkg-config --cflags --libs libcurl 2>/dev/null)
CURL_FLAGS := $(if $(CURL_FLAGS),$(shell $(CC) -include curl/curl.h -shared -fPIC -x c -o /dev/null /dev/null -x none \
              $(CURL_FLAGS) 2>/dev/null && echo $(CURL_FLAGS)))
CLI_LIBS   = -ledit -lmicrohttpd $(CURL_FLAGS)

PREFIX    ?= /usr/local
B         ?= build
MACHINE   := $(shell $(CC) -dumpmachine | cut -d- -f1)

ISAS       = portable $(if $(filter x86_64,$(MACHINE)),avx2 avxvnni avx512) $(if $(filter aarch64,$(MACHINE)),neon)
# Rooms above verbatim.h: part of the command, not of the library.
OUTER      = $(sort $(wildcard src/serve/*.c src/store/*.c src/reply/*.c src/convert/*.c src/quantize/*.c))
# Devices: gpu/none.c alone where Vulkan's headers are missing, or with VULKAN=0.
ifndef VULKAN
VULKAN    := $(shell $(CC) -fsyntax-only -include vulkan/vulkan_core.h -x c /dev/null 2>/dev/null && echo 1)
endif
GPU        = $(if $(filter-out 0,$(VULKAN)),$(sort $(filter-out gpu/none.c,$(wildcard gpu/*.c))),gpu/none.c)
ENGINE     = $(sort $(filter-out $(OUTER),$(wildcard src/*/*.c)) $(wildcard oracle/*.c traces/*.c)) $(GPU) simd/kernels.c simd/attend.c simd/cpu.c
LIB_OBJ    = $(ENGINE:%.c=$B/%.o) $(ISAS:%=$B/simd/isa_%.o)
CLI_OBJ    = $(patsubst %.c,$B/%.o,$(sort $(wildcard cli/*.c page/*.c parity/*.c prove/*.c)) $(OUTER))

# One file per instruction set; these flags are the only difference between them.
$B/simd/isa_avx2.o: CFLAGS += -mavx2 -mf16c
$B/simd/isa_avxvnni.o: CFLAGS += -mavx2 -mf16c -mavxvnni
$B/simd/isa_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mf16c
$B/simd/isa_neon.o: CFLAGS += -march=armv8.2-a+dotprod
$B/parity/http.o $B/src/store/fetch.o: CPPFLAGS += $(if $(CURL_FLAGS),-DVB_HAVE_CURL $(filter-out -l%,$(CURL_FLAGS)))

$B/page/assets.o: page/page.css page/page.js
$B/src/serve/page.o: $(wildcard src/serve/page/*)
$B/src/file/embedded.o: data/tales-1m.gguf

all: verbatim $B/libverbatim.so                ## build ./verbatim and the library (default)

verbatim: $B/verbatim
	@cp -f $< $@
$B/verbatim: $(CLI_OBJ) $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(CLI_LIBS)
$B/libverbatim.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcsD $@ $^
$B/libverbatim.so: $(LIB_OBJ) include/verbatim.map
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=include/verbatim.map -o $@ $(LIB_OBJ) $(LDLIBS)
$B/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

include $(sort $(wildcard tools/*.mk))

clean:                                         ## remove what was built
	rm -rf build verbatim verbatim-mpi
help:                                          ## this list
	@awk -F ':.*## ' '/^[a-z].*:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all clean help
-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d)
