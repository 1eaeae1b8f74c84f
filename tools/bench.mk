# bench.mk - speed, always as a ratio measured in one run.

MODEL     ?= smollm2

$B/bench/speed: $B/bench/speed.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
bench: $B/bench/speed                          ## tokens per second of MODEL (default smollm2) beside the oracle
	@$< $(MODEL) $(ARGS)

.PHONY: bench
-include $B/bench/speed.d
