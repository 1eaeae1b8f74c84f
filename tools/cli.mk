# cli.mk - the command line, the examples and the installed files, tried as a user would.

EXAMPLES   = $(patsubst %.c,$B/%,$(sort $(wildcard examples/*.c)))

$B/examples/%: examples/%.c include/verbatim.h $B/libverbatim.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $B/libverbatim.a $(LDLIBS)
examples: $(EXAMPLES)                          ## build the example programs
check-examples: examples verbatim              ## run them on a tiny model
	@sh tests/cli/examples.sh $B/examples tests/golden/llama-gqa/model.gguf
check-cli: verbatim                            ## the command line as a black box
	@python3 tests/cli/cli.py ./verbatim
check-install: all $(COMPLETION)               ## what make install leaves behind, used by a stranger
	@sh tests/cli/install.sh $B

.PHONY: examples check-examples check-cli check-install
