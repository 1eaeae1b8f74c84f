# models.mk - models of true shape for measuring: random weights, or the first layers of another model.

$B/tools/mkmodel: $B/tools/mkmodel.o $B/tools/mkweights.o $B/tools/mkvocab.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$B/tools/cutlayers: $B/tools/cutlayers.o $B/libverbatim.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
model-tools: $B/tools/mkmodel $B/tools/cutlayers ## build the programs that make and cut models

.PHONY: model-tools
-include $(wildcard $B/tools/*.d)
