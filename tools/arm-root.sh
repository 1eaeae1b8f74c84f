#!/bin/sh
# arm-root.sh FOLDER - unpacks the libraries of verbatim for AArch64 into FOLDER, for cross-building and for qemu.
# Debian's own tools fetch them from this system's package sources and keep their books in FOLDER: nothing is
# installed, nothing outside FOLDER changes, and nobody needs to be root.
set -eu
root=$1
packages="libc6-dev libjansson-dev libpcre2-dev libutf8proc-dev libssl-dev libxxhash-dev libhwloc-dev libedit-dev
libmicrohttpd-dev"
[ ! -e "$root/complete" ] || exit 0
command -v apt-get >/dev/null || {
    echo "arm-root.sh: no Debian; put AArch64 libraries and headers into $root and make $root/complete" >&2
    exit 1
}
rm -rf "$root"
mkdir -p "$root/apt/state/lists/partial" "$root/apt/cache/archives/partial"
apt=$(cd "$root/apt" && pwd)
: >"$apt/installed"

get() {
    apt-get -q -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$apt/state" \
        -o Dir::State::status="$apt/installed" -o Dir::Cache="$apt/cache" -o Debug::NoLocking=1 "$@" >&2
}
echo "verbatim: fetching libraries for AArch64" >&2
get update
# shellcheck disable=SC2086
get install --download-only --no-install-recommends $packages
for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --exclude='./usr/share'
done
rm -rf "$apt"

[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"

# Links to absolute names mean places inside of the folder.
find "$root" -type l -lname '/*' | while read -r link; do
    ln -snf "$(realpath -ms --relative-to="$(dirname "$link")" "$root$(readlink "$link")")" "$link"
done
: >"$root/complete"
