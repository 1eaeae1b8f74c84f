# cli.mk - the command line and the installed files, tried as a user would.

check-cli: verbatim                            ## the command line as a black box
	@python3 tests/cli/cli.py ./verbatim
check-install: all $(COMPLETION)               ## what make install leaves behind, used by a stranger
	@tests/cli/install.sh $B

.PHONY: check-cli check-install
