#!/bin/sh
# header.sh - each public header compiles alone, as C99, C11 and C++, without a warning.
set -e
for header in include/*.h; do
    name=$(basename "$header")
    for std in c99 c11; do
        printf '#include "%s"\nint main(void) { return vb_version() == 0; }\n' "$name" |
            ${CC:-cc} -std=$std -Wall -Wextra -Werror -pedantic -Iinclude -x c -fsyntax-only -
    done
    printf '#include "%s"\nint main() { return vb_version() == 0; }\n' "$name" |
        ${CXX:-c++} -Wall -Wextra -Werror -Iinclude -x c++ -fsyntax-only -
done
