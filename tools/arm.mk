# arm.mk - the same sources for AArch64, built on another machine and run under qemu. On an AArch64 machine `make` and
# `make check` do all of this by themselves.

ARM        = build/arm
ARM_CC     = aarch64-linux-gnu-gcc --sysroot=$(CURDIR)/$(ARM)/root
ARM_TESTS  = kernelcheck matrix bits

arm-build: $(if $(filter aarch64,$(MACHINE)),,$(ARM)/root/complete)
	@$(if $<,$(MAKE) -s $(ALL_CORES) CC="$(ARM_CC)" B=$(ARM) $(ARM)/verbatim $(ARM_TESTS:%=$(ARM)/tests/%))
$(ARM)/root/complete: tools/arm-root.sh
	@tools/arm-root.sh $(@D)
arm-check: all tests arm-build                 ## NEON under qemu: kernels, matrix and traces beside this machine's
	@tools/suite.sh arm=$B

.PHONY: arm-build arm-check
