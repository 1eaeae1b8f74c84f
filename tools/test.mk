# test.mk - test programs and the targets that run tests/suite.txt.

UNIT       = $(patsubst tests/%.c,$B/tests/%,$(sort $(wildcard tests/unit/*.c)))
PROGRAMS   = $(patsubst tests/%.c,$B/tests/%,$(sort $(wildcard tests/*.c)))
EXAMPLES   = $(patsubst %.c,$B/%,$(sort $(wildcard examples/*.c)))
FUZZERS    = $(patsubst fuzz/%.c,$B/fuzz/%,$(sort $(wildcard fuzz/*.c)))

# Criterion's macros are written for other warnings than ours.
$(UNIT:%=%.o): WARN = -Wall -Wextra
$(UNIT): $B/%: $B/%.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcriterion
$(PROGRAMS) $(EXAMPLES): $B/%: $B/%.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(FUZZERS): $B/%: $B/%.o $B/libverbatim.a
	$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LDLIBS)

tests: $(UNIT) $(PROGRAMS) $(EXAMPLES)
fuzzers: $(FUZZERS)

check: all tests                               ## what must pass before every commit (under 2 minutes)
	@tools/suite.sh check $B
kernels: $B/tests/kernelcheck                  ## every kernel x format x ISA against the oracle; ARGS="--bench"
	@$< $(ARGS)
asan:                                          ## the checks again under ASan and UBSan
	@$(MAKE) -s B=build/asan CC=clang OPT="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" build/asan/verbatim tests
	@tools/suite.sh asan build/asan
tsan:                                          ## the thread pool under ThreadSanitizer
	@$(MAKE) -s B=build/tsan CC=clang OPT="-O1 -g -fsanitize=thread" build/tsan/tests/matrix
	@tools/suite.sh tsan build/tsan

.PHONY: tests fuzzers check kernels asan tsan
.SECONDARY: $(UNIT:%=%.o) $(PROGRAMS:%=%.o) $(EXAMPLES:%=%.o) $(FUZZERS:%=%.o)
-include $(UNIT:%=%.d) $(PROGRAMS:%=%.d) $(EXAMPLES:%=%.d) $(FUZZERS:%=%.d)
