# bench.mk - speed, always as a ratio measured in one run.

MODEL     ?= smollm2

$B/bench/speed: $B/bench/speed.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/bench/attention: $B/bench/attention.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
bench: $B/bench/speed                          ## tokens per second of MODEL (default smollm2) beside the oracle
	@$< $(MODEL) $(ARGS)
bench-attention: $B/bench/attention            ## attention over long contexts beside read bandwidth; ARGS="--kv q8_0"
	@$< $(ARGS)

.PHONY: bench bench-attention
-include $B/bench/speed.d $B/bench/attention.d
