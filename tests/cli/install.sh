#!/bin/sh
# install.sh BUILD - installs into an empty folder and uses what is there as a stranger would: pkg-config, the shared
# library, the header, the man pages, the completions.
set -u
B=$1
MAKE=${MAKE:-make}
CC=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix passed=0 failed=0

check() {
    name=$1
    shift
    if "$@" >"$work/out" 2>&1; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -5 "$work/out"
    fi
}
has_soname() { readelf -d "$prefix/lib/libverbatim.so" | grep -q 'SONAME.*\[libverbatim\.so\.0\]'; }
exports_the_header() {
    grep -oh 'vb_[a-z0-9_]*(' include/*.h | tr -d '(' | sort -u >"$work/header"
    nm -D --defined-only "$prefix/lib/libverbatim.so" | grep -o 'vb_[a-z0-9_]*' | sort -u >"$work/library"
    cmp "$work/header" "$work/library"
}
compiles() {
    flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs verbatim) || return 1
    # shellcheck disable=SC2086
    $CC -std=c11 -Wall -Werror examples/logits.c $flags -lm -o "$work/logits"
}
runs() { LD_LIBRARY_PATH=$prefix/lib "$work/logits" tests/golden/llama-gqa/model.gguf Hello; }
stages() { "$MAKE" -s B="$B" install DESTDIR="$work/stage" PREFIX=/usr && test -x "$work/stage/usr/bin/verbatim"; }
same_files() {
    (cd "$prefix" && find . ! -type d | sort) >"$work/a"
    (cd "$work/stage/usr" && find . ! -type d | sort) >"$work/b"
    cmp "$work/a" "$work/b"
}
leaves_nothing() {
    "$MAKE" -s B="$B" uninstall PREFIX="$prefix" && [ -z "$(find "$prefix" ! -type d)" ]
}
lints() { mandoc -T lint -W warning "$prefix"/share/man/man*/*; }

check "make install" "$MAKE" -s B="$B" install PREFIX="$prefix"
check "the program runs" "$prefix/bin/verbatim" version
check "SONAME is libverbatim.so.0" has_soname
check "the library exports what the header declares" exports_the_header
check "a program compiles by pkg-config" compiles
check "and runs with the shared library" runs
check "bash completion parses" bash -n "$prefix/share/bash-completion/completions/verbatim"
if command -v zsh >/dev/null; then check "zsh completion parses" zsh -n "$prefix/share/zsh/site-functions/_verbatim"; fi
if command -v fish >/dev/null; then
    check "fish completion parses" fish -n "$prefix/share/fish/vendor_completions.d/verbatim.fish"
fi
if command -v mandoc >/dev/null; then check "man pages are clean" lints; fi
check "DESTDIR stages" stages
check "DESTDIR has the same files" same_files
check "uninstall leaves nothing" leaves_nothing
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
