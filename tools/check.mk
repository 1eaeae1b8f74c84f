# check.mk - rules about the source itself.

SOURCES = $(shell git ls-files -co --exclude-standard '*.c' '*.h' '*.inc' '*.def')

layers:                                        ## no include points back up (tools/layers.txt)
	@awk -f tools/layers.awk tools/layers.txt $(SOURCES)
shape:                                         ## functions <= 70 lines, files <= 1,000
	@awk -f tools/shape.awk $(filter-out %_data.inc,$(SOURCES))

.PHONY: layers shape
