# prove.mk - the model that proves a machine, the program that asks machines over MPI, and a command broken on purpose.

$B/prove/embedded.o: prove/model.gguf

# Only verbatim-mpi knows MPI, and only where OpenMPI for this processor is installed.
MPI        := $(shell pkg-config --cflags --libs ompi-c 2>/dev/null)
HAVE_MPI   := $(if $(MPI),$(shell echo 'int MPI_Finalize(void); int main(void) { return MPI_Finalize(); }' | \
              $(CC) -x c -o /dev/null - $(MPI) 2>/dev/null && echo yes))

all: $(if $(HAVE_MPI),verbatim-mpi)
verbatim-mpi: $B/verbatim-mpi
	@cp -f $< $@
$B/verbatim-mpi: prove/mpi/verbatim-mpi.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c11 $(WARN) $(OPT) $(LDFLAGS) -o $@ $< $(MPI) -ljansson

# The command with one mistake in the cpu player, which the proof must find.
$B/tests/verbatim-broken: $(CLI_OBJ) $B/libverbatim.a src/run/state.c
	@mkdir -p $B/tests/broken
	sed 's/(size_t)n \* a.value_stride/(size_t)(n - 1) * a.value_stride/' src/run/state.c >$B/tests/broken/state.c
	! cmp -s src/run/state.c $B/tests/broken/state.c
	$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) -Isrc/run $(CFLAGS) -c -o $B/tests/broken/state.o $B/tests/broken/state.c
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) $B/tests/broken/state.o $B/libverbatim.a $(LDLIBS) $(CLI_LIBS)
tests: prove-programs
prove-programs: $B/verbatim $B/tests/verbatim-broken

.PHONY: prove-programs
