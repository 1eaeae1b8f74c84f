# run.mk - from a fresh machine to an answer: packages, model, build, run. Only the answer goes to stdout.

PROMPT    ?= Why is the sky blue?
export PROMPT

deps:                                          ## install the packages that are missing (or say how)
	@sh tools/deps.sh build
	@sh tools/deps.sh model
test-deps:                                     ## the same for `make test`
	@sh tools/deps.sh test
model:                                         ## fetch the small model, smollm2
	@sh tools/model.sh smollm2
model-gemma3:                                  ## fetch a second model, gemma3 (Gemma Terms of Use)
	@sh tools/model.sh gemma3
run: ARGS ?= -n 256
run:                                           ## answer: make run PROMPT='...' ARGS='-n 256'
	@sh tools/deps.sh build
	@sh tools/model.sh smollm2
	@$(MAKE) --no-print-directory -j$$(nproc) verbatim >&2
	@mkdir -p $B/traces
	@./verbatim run smollm2 $(ARGS) --trace "$B/traces/$$(date +%Y%m%d-%H%M%S)-$$$$.trace" -- "$$PROMPT"

.PHONY: deps test-deps model model-gemma3 run
