# test.mk - test programs and the targets that run tests/suite.txt.

UNIT       = $(patsubst tests/%.c,$B/tests/%,$(sort $(wildcard tests/unit/*.c)))
PROGRAMS   = $(patsubst tests/%.c,$B/tests/%,$(sort $(wildcard tests/*.c)))
SHIMS      = $(patsubst tests/%.c,$B/tests/%.so,$(sort $(wildcard tests/shims/*.c)))
FUZZERS    = $(patsubst fuzz/%.c,$B/fuzz/%,$(sort $(wildcard fuzz/*.c)))

# Criterion's macros are written for other warnings than ours.
$(UNIT:%=%.o): WARN = -Wall -Wextra
$(UNIT): $B/%: $B/%.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $B/libverbatim.a $(LDLIBS) -lcriterion
$B/tests/unit/own_store: $(patsubst %.c,$B/%.o,$(wildcard src/store/*.c))
$B/tests/unit/own_store: LDLIBS += $(CURL_FLAGS)
$B/tests/unit/pickle $B/tests/unit/mlx $B/tests/unit/vocabulary: $(patsubst %.c,$B/%.o,$(wildcard src/convert/*.c src/quantize/*.c))
$B/tests/unit/gpu_table: $B/gpu/table.o
$B/tests/gpukernels.o: CPPFLAGS += $(if $(filter-out 0,$(VULKAN)),,-DVB_NO_VULKAN)
$B/tests/unit/encode: $(patsubst %,$B/src/quantize/%.o,encode encode_32 encode_256 encode_fit rows)
$(PROGRAMS): $B/%: $B/%.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $B/libverbatim.a $(LDLIBS)
$B/tests/matrix: $B/prove/ask.o $B/prove/walk.o
$B/tests/vocabulary_back: $(patsubst %.c,$B/%.o,$(wildcard src/convert/*.c src/quantize/*.c))
$B/tests/page: $(patsubst %.c,$B/%.o,$(wildcard page/*.c))
$B/tests/serve_twin $B/tests/serve_hooks: $(OUTER:%.c=$B/%.o)
$B/tests/serve_twin $B/tests/serve_hooks: LDLIBS += -lmicrohttpd $(CURL_FLAGS)
$B/tests/unit/reply $B/tests/chat_golden: LDLIBS += -lz
$B/tests/unit/reply: $(patsubst %.c,$B/%.o,$(wildcard src/reply/*.c))
$B/fuzz/http $B/fuzz/json: $(OUTER:%.c=$B/%.o)
$B/fuzz/http $B/fuzz/json: LDLIBS += -lmicrohttpd $(CURL_FLAGS)
# memory.c and cast_memory.c count what the library allocates.
$B/tests/memory $B/tests/cast_memory: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=mmap
$B/tests/cast_memory: LDFLAGS += -Wl,--wrap=free,--wrap=munmap
$(SHIMS:%.so=%.o): CFLAGS += -fvisibility=default
$(SHIMS): $B/%.so: $B/%.o
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $^ -ldl
$B/fuzz/modelfile: $(patsubst %.c,$B/%.o,$(wildcard src/store/*.c))
$B/fuzz/modelfile: LDLIBS += $(CURL_FLAGS)
$B/fuzz/safetensors $B/fuzz/pickle $B/fuzz/tokenizer_json: $(patsubst %.c,$B/%.o,$(wildcard src/convert/*.c src/quantize/*.c))
$B/fuzz/reply: $(patsubst %.c,$B/%.o,$(wildcard src/reply/*.c))
$(FUZZERS): $B/%: $B/%.o $B/libverbatim.a
	$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $(filter %.o,$^) $B/libverbatim.a $(LDLIBS)

tests: $(UNIT) $(PROGRAMS) $(SHIMS) $B/bench/speed examples model-tools $B/tools/spvlint $(BENCH)
unit-programs: $(UNIT)
fuzzers: $(FUZZERS)
faults-programs: $B/verbatim $(SHIMS)

# The same sources under sanitizers, in folders of their own, each built by all processors.
ALL_CORES  = -j$$(nproc)
asan-build:
	@$(MAKE) -s $(ALL_CORES) CC=gcc B=build/asan OPT="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" build/asan/verbatim tests
tsan-build:
	@$(MAKE) -s $(ALL_CORES) CC=clang B=build/tsan OPT="-O1 -g -fsanitize=thread" build/tsan/tests/matrix build/tsan/tests/pool build/tsan/tests/serve_twin build/tsan/tests/serve_hooks build/tsan/verbatim build/tsan/tools/mkmodel
# Unrolled kernels under checks take compilers minutes. gcc makes the sanitized ones: its checks of addresses are calls,
# and those of UBSan that ask again what ASan asks are left out. Fuzzing asks nothing of kernels.
build/asan/simd/%.o: CFLAGS += --param asan-instrumentation-with-call-threshold=0 -fno-sanitize=null,pointer-overflow,object-size
build/fuzz/simd/%.o: CFLAGS += -fno-sanitize=all -O0
fuzz-build:
	@$(MAKE) -s $(ALL_CORES) CC=clang B=build/fuzz OPT="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION" fuzzers

check: all tests                               ## what must pass before every commit (under 2 minutes)
	@tools/suite.sh check=$B commands=$B
kernels: $B/tests/kernelcheck                  ## every kernel x format x ISA against the oracle; ARGS="--bench"
	@$< $(ARGS)
asan: asan-build                               ## the checks again under ASan and UBSan
	@tools/suite.sh asan=build/asan
tsan: tsan-build                               ## the thread pool and the server under ThreadSanitizer
	@tools/suite.sh tsan=build/tsan
fuzz: fuzz-build                               ## every fuzz target on its corpus; RUNS=100000
	@tools/fuzz.sh build/fuzz $(RUNS)
bits:                                          ## the oracle's bits at every optimisation level and compiler
	@tools/bits.sh
mutants:                                       ## break the code on purpose: a test must notice each time
	@tools/mutants.sh
RUNS      ?= 100000
MODELS     = $(or $(VERBATIM_MODELS),$(or $(XDG_DATA_HOME),$(HOME)/.local/share)/verbatim/models)
REAL_MODELS = SMOLLM2=$(MODELS)/smollm2.gguf GEMMA3=$(MODELS)/gemma3.gguf VB_SMOLLM2=$(MODELS)/smollm2.gguf VB_GEMMA3=$(MODELS)/gemma3.gguf

# Minutes under sanitizers; `make asan` has them too.
SLOW_UNITS = prefix speculate

# Everything, on a fresh machine too: packages, both real models, all builds, all tests.
test: test-deps model model-gemma3                  ## prove everything (about 25 minutes on 2 cores)
	@$(MAKE) -s $(ALL_CORES) all tests
	@$(REAL_MODELS) ASAN_UNITS="$(SLOW_UNITS:%=-%)" LIMIT=900 tools/suite.sh test=$B asan=build/asan fuzz=$B tsan=build/tsan arm=$B check=$B commands=$B
soak: all tests fuzz-build model model-gemma3  ## long loops, for a night
	@$(REAL_MODELS) tools/suite.sh soak=$B

.PHONY: tests unit-programs fuzzers faults-programs asan-build tsan-build fuzz-build check kernels asan tsan fuzz bits mutants test soak
.SECONDARY: $(UNIT:%=%.o) $(PROGRAMS:%=%.o) $(SHIMS:%.so=%.o) $(FUZZERS:%=%.o)
-include $(UNIT:%=%.d) $(PROGRAMS:%=%.d) $(SHIMS:%.so=%.d) $(FUZZERS:%=%.d)
