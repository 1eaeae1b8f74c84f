#!/bin/sh
# header.sh - the public header compiles alone, as C99, C11 and C++, without a warning.
set -e
for std in c99 c11; do
    printf '#include "verbatim.h"\nint main(void) { return vb_version() == 0; }\n' |
        ${CC:-cc} -std=$std -Wall -Wextra -Werror -pedantic -Iinclude -x c -fsyntax-only -
done
printf '#include "verbatim.h"\nint main() { return vb_version() == 0; }\n' |
    ${CXX:-c++} -Wall -Wextra -Werror -Iinclude -x c++ -fsyntax-only -
