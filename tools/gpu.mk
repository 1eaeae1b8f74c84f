# gpu.mk - shaders: from their text to SPIR-V, which is committed, so that only those who change a shader need glslc.
#
#   gpu/shaders/x.comp --make spirv--> build/spv/x.spv --lint--> gpu/spv/x.spv --.incbin--> gpu/spirv.c
#
# gpu/shaders.def lists them. "x.f" is x.comp with -DFORMAT_f. glslc's own warnings are left out: it has one for every
# parameter that is `precise`. The lint asks the SPIR-V whether what has to be precise is so.

SPIRV     := $(shell sed -n 's/^VB_SHADER([A-Z0-9_]*, "\([a-z0-9_.]*\)").*/\1/p' gpu/shaders.def)
GLSLC      = glslc --target-env=vulkan1.2 -O -w -mfmt=bin
# What made the committed files; another version may choose other words for the same.
GLSLC_MADE = shaderc 2023.2-1, spirv-tools 2022.4+1.3.236.0-1, glslang 11.13.0-1

$B/gpu/spirv.o: $(SPIRV:%=gpu/spv/%.spv) gpu/shaders.def
$(GPU:%.c=$B/%.o): $B/gpu/vulkan
# Which of the two rooms is built; a change builds it anew.
$B/gpu/vulkan: FORCE
	@mkdir -p $(@D)
	@echo '$(VULKAN)' | cmp -s - $@ || echo '$(VULKAN)' >$@
$B/gpu/none.o: gpu/none.c
	@mkdir -p $(@D)
	@echo "verbatim: built without Vulkan$(if $(VULKAN),,: libvulkan-dev is missing)" >&2
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The command as it is without Vulkan, for its test.
$B/tests/no-vulkan/none.o: gpu/none.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$B/tests/verbatim-no-vulkan: $(CLI_OBJ) $(filter-out $B/gpu/%,$(LIB_OBJ)) $B/tests/no-vulkan/none.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(CLI_LIBS)
tests: $B/tests/verbatim-no-vulkan

define spirv_rule
$B/spv/$(1).spv: gpu/shaders/$(firstword $(subst ., ,$(1))).comp tools/gpu.mk
	@mkdir -p $$(@D)
	$(GLSLC) $(if $(findstring .,$(1)),-DFORMAT_$(lastword $(subst ., ,$(1)))) -MD -MF $$@.d -o $$@ $$<
-include $B/spv/$(1).spv.d
endef
$(if $(filter spirv spirv-made,$(MAKECMDGOALS)),$(foreach s,$(SPIRV),$(eval $(call spirv_rule,$(s)))))

$B/tools/spvlint: tools/spvlint.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $<
spirv: $(SPIRV:%=$B/spv/%.spv) $B/tools/spvlint ## compile the shaders anew (needs glslc), for everybody to commit
	@$B/tools/spvlint $(SPIRV:%=$B/spv/%.spv)
	@mkdir -p gpu/spv
	@for s in $(SPIRV); do cmp -s $B/spv/$$s.spv gpu/spv/$$s.spv || cp $B/spv/$$s.spv gpu/spv/$$s.spv; done
# Whether the committed files are what the shaders' text becomes; the last line counts them.
spirv-fresh:
	@if [ "$$(glslc --version 2>/dev/null | sed '/^$$/,$$d' | paste -sd, | sed 's/,/, /g')" = "$(GLSLC_MADE)" ]; then \
	    $(MAKE) -s --no-print-directory spirv-made; \
	else echo "no glslc, or not $(GLSLC_MADE): not compared"; echo "1 passed, 0 failed"; fi
spirv-made: $(SPIRV:%=$B/spv/%.spv)
	@good=0; bad=0; for s in $(sort $(SPIRV) $(notdir $(basename $(wildcard gpu/spv/*.spv)))); do \
	    if cmp -s $B/spv/$$s.spv gpu/spv/$$s.spv; then good=$$((good + 1)); \
	    else bad=$$((bad + 1)); echo "gpu/spv/$$s.spv is not what its text becomes: make spirv"; fi; done; \
	echo "$$good passed, $$bad failed"; [ $$bad = 0 ]
spirv-lint: $B/tools/spvlint                   ## whether the committed SPIR-V is such that its bits are ours
	@$< $(SPIRV:%=gpu/spv/%.spv)

.PHONY: spirv spirv-lint spirv-fresh spirv-made
