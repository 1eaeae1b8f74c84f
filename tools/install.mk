# install.mk - the GNU way: make install PREFIX=/usr DESTDIR=/tmp/package

BINDIR     = $(PREFIX)/bin
LIBDIR     = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
MANDIR     = $(PREFIX)/share/man
BASHDIR    = $(PREFIX)/share/bash-completion/completions
ZSHDIR     = $(PREFIX)/share/zsh/site-functions
FISHDIR    = $(PREFIX)/share/fish/vendor_completions.d
HEADERS    = $(notdir $(wildcard include/*.h))
SO         = libverbatim.so.$(VERSION)
PAGES      = $(notdir $(wildcard docs/man/*.[135]))
COMPLETION = $B/completion/verbatim.bash $B/completion/_verbatim $B/completion/verbatim.fish

INSTALLED  = $(BINDIR)/verbatim $(LIBDIR)/$(SO) $(LIBDIR)/$(SONAME) $(LIBDIR)/libverbatim.so $(LIBDIR)/libverbatim.a \
             $(LIBDIR)/pkgconfig/verbatim.pc $(HEADERS:%=$(INCLUDEDIR)/%) $(foreach p,$(PAGES),$(MANDIR)/man$(subst .,,$(suffix $p))/$p) \
             $(if $(HAVE_MPI),$(BINDIR)/verbatim-mpi) $(BASHDIR)/verbatim $(ZSHDIR)/_verbatim $(FISHDIR)/verbatim.fish

$B/completion/verbatim.bash: SHELL_NAME = bash
$B/completion/_verbatim:     SHELL_NAME = zsh
$B/completion/verbatim.fish: SHELL_NAME = fish
$(COMPLETION): verbatim
	@mkdir -p $(@D)
	./verbatim help --completion $(SHELL_NAME) >$@.new && mv $@.new $@
$B/verbatim.pc: tools/verbatim.pc.in Makefile tools/install.mk FORCE
	@mkdir -p $(@D)
	@sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|; s|@LIBS@|$(LDLIBS)|' $< >$@

install: all $(COMPLETION) $B/verbatim.pc      ## install under PREFIX (/usr/local), staged in DESTDIR
	install -D -m 755 verbatim $(DESTDIR)$(BINDIR)/verbatim
	$(if $(HAVE_MPI),install -m 755 verbatim-mpi $(DESTDIR)$(BINDIR)/verbatim-mpi)
	install -D -m 755 $B/libverbatim.so $(DESTDIR)$(LIBDIR)/$(SO)
	ln -sf $(SO) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libverbatim.so
	install -m 644 $B/libverbatim.a $(DESTDIR)$(LIBDIR)/libverbatim.a
	install -D -m 644 $B/verbatim.pc $(DESTDIR)$(LIBDIR)/pkgconfig/verbatim.pc
	$(foreach h,$(HEADERS),install -D -m 644 include/$h $(DESTDIR)$(INCLUDEDIR)/$h &&) true
	$(foreach p,$(PAGES),install -D -m 644 docs/man/$p $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $p))/$p &&) true
	install -D -m 644 $B/completion/verbatim.bash $(DESTDIR)$(BASHDIR)/verbatim
	install -D -m 644 $B/completion/_verbatim $(DESTDIR)$(ZSHDIR)/_verbatim
	install -D -m 644 $B/completion/verbatim.fish $(DESTDIR)$(FISHDIR)/verbatim.fish
uninstall:                                     ## remove what install put there
	rm -f $(INSTALLED:%=$(DESTDIR)%)

.PHONY: install uninstall FORCE
