# bindings.mk - the library from Python and from Node, as packages that need no compiler where they are used.

# The library with its neighbours beside it: they are looked for where it lies, and so are theirs.
$B/bindings/libverbatim.so.0: $(LIB_OBJ) include/verbatim.map
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -s -shared -Wl,-soname,$(SONAME) -Wl,--version-script=include/verbatim.map \
	    -Wl,--disable-new-dtags,-rpath,'$$ORIGIN' -o $@ $(LIB_OBJ) $(LDLIBS)
# A Python of our own with what the wheel and its tests need.
$B/bindings/python/bin/pytest:
	@rm -rf $B/bindings/python && python3 -m venv $B/bindings/python
	@$B/bindings/python/bin/python -m pip install -q --disable-pip-version-check cffi numpy pytest >&2

wheel: $B/bindings/libverbatim.so.0 $B/bindings/python/bin/pytest   ## the Python package, in build/wheel
	@CC="$(CC)" $B/bindings/python/bin/python bindings/python/build_wheel.py $< $B/wheel
node: $B/bindings/libverbatim.so.0 $B/bindings/python/bin/pytest    ## the Node package, in build/node
	@CC="$(CC)" $B/bindings/python/bin/python bindings/build_node.py $< $B/node/verbatim
	@cd $B/node && npm pack --silent ./verbatim
check-node: node $B/verbatim                   ## that package in a fresh folder, tried
	@sh bindings/node/tests/run.sh $B
check-python: wheel $B/verbatim                ## the wheel in a fresh environment, tried
	@sh bindings/python/tests/run.sh $B

.PHONY: wheel check-python node check-node
