# bench.mk - speed, always as a ratio measured in one run; bench/README.md tells how to read it.

BENCH      = $B/bench/measure $B/bench/roofline $B/bench/cpuclock.so $B/tools/mkmodel

$B/bench/speed: $B/bench/speed.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/bench/attention: $B/bench/attention.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/bench/measure $B/bench/roofline $B/bench/load $B/bench/speculate $B/bench/cast: $B/bench/%: $B/bench/%.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/bench/cpuclock.so: bench/cpuclock.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -fPIC -shared -o $@ $<

bench: $(BENCH)                                ## one table beside llama.cpp and ik_llama.cpp; ARGS="--csv F --svg F"
	@python3 bench/table.py --build $B $(ARGS)
bench-quick: $(BENCH)                          ## the same on a tiny model, in seconds: does it work?
	@python3 bench/table.py --build $B --quick $(ARGS)
bench-peers:                                   ## fetch and build llama.cpp's llama-bench for this machine
	@sh bench/peers.sh
bench-attention: $B/bench/attention            ## attention over long contexts beside read bandwidth; ARGS="--kv q8_0"
	@$< $(ARGS)
bench-serve: $B/verbatim                       ## many clients at once beside llama-server; ARGS="MODEL --rounds 5"
	@python3 bench/serve.py --build $B $(ARGS)
bench-load: $B/bench/load                      ## decoding while other programs want the same cores; ARGS="MODEL --rounds 9"
	@$< $(ARGS)
bench-cast: $B/bench/cast                      ## hundreds of speakers of the small model on one core; ARGS="--isa avx2"
	@$< $(ARGS)
bench-gpu: $B/verbatim $(BENCH)                ## a GPU: trust, digests, bandwidth, llama.cpp; ARGS="--device N --bandwidth GB/s"
	@python3 bench/gpu.py --build $B $(ARGS)
bench-speculation: $B/bench/speculate          ## the same answers with and without speculation; ARGS="MODEL --draft MODEL"
	@$< $(ARGS)

.PHONY: bench-gpu bench-cast bench-serve bench-speculation bench-load bench bench-quick bench-peers bench-attention
-include $(wildcard $B/bench/*.d)
