#!/bin/sh
# deps.sh build|model|test - installs the Debian packages that are still missing, or says the one command to type.
# Speaks on stderr alone. On another system it lists what is needed and goes on.
set -eu

build="libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev libssl-dev libxxhash-dev libhwloc-dev libedit-dev libmicrohttpd-dev"
need=""
missing=""

# The first word is a program, the second the package that brings it.
program() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

case "${1:-build}" in
build) need=$build; program cc gcc; program make make ;;
model) program python3 python3; python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip" ;;
test)
    need="$build openmpi-bin libopenmpi-dev libcriterion-dev libopenblas0 libcurl4-openssl-dev zlib1g-dev"
    # Devices: headers, a driver that is a processor, the layers that look over our shoulder; mutants compile shaders.
    need="$need libvulkan-dev mesa-vulkan-drivers vulkan-validationlayers"
    program glslc glslc
    program cc gcc; program make make; program git git; program python3 python3; program pkg-config pkg-config
    program c++ g++; program clang clang; program bash bash; program mandoc mandoc
    program node nodejs; program npm npm
    python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
    program docker-registry docker-registry; program openssl openssl
    # A browser that needs no screen; Debian has one as a package.
    if ! command -v chromium >/dev/null 2>&1 && ! command -v google-chrome >/dev/null 2>&1 &&
        grep -qs '^ID=debian' /etc/os-release; then
        program chromium-headless-shell chromium-headless-shell
    fi
    # AArch64 beside another processor: a compiler and an emulator.
    if [ "$(uname -m)" != aarch64 ]; then
        program aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
        command -v qemu-aarch64-static >/dev/null 2>&1 || program qemu-aarch64 qemu-user
    fi
    # Debian puts clang's sanitizer and fuzzer runtimes into a package of clang's own version from 14 on.
    version=$(clang -dumpversion 2>/dev/null || apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-//p')
    version=${version%%.*}
    if [ "${version:-0}" -ge 14 ]; then need="$need libclang-rt-$version-dev"; fi
    ;;
*) echo "deps.sh: expected build, model or test, found '$1'" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    [ -z "$missing$need" ] || echo "verbatim: this is no Debian; make sure that these are there:$missing $need" >&2
    exit 0
fi
for package in $need; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "verbatim: some packages are missing; type:  sudo apt-get install$missing" >&2
    exit 1
fi
echo "verbatim: installing$missing" >&2
{
    apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
} >&2
