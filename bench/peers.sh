#!/bin/sh
# peers.sh - fetches llama.cpp's source, as PyPI's llama-cpp-python carries it, and builds its benchmarks for this machine
# in the user's cache directory: Release, native instruction set. Prints the setting that `make bench` reads.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/verbatim/peers
source=$cache/llama.cpp
build=$cache/llama.cpp-build
programs='llama-bench llama-batched-bench llama-completion'

say() { echo "peers: $*" >&2; }

for tool in python3 cmake tar; do
    command -v $tool >/dev/null || { say "needs $tool"; exit 1; }
done

if [ ! -d "$source" ]; then
    mkdir -p "$cache/download" "$cache/unpacked"
    say 'fetching the source of llama-cpp-python'
    python3 -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$cache/download" llama-cpp-python >&2 || { say 'pip could not fetch llama-cpp-python'; exit 1; }
    tar -xzf "$(ls -t "$cache"/download/llama_cpp_python-*.tar.gz | head -n 1)" -C "$cache/unpacked" --strip-components 1
    mv "$cache/unpacked/vendor/llama.cpp" "$source"
    rm -rf "$cache/unpacked"
fi

say "building in $build"
cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF >"$build.log" 2>&1 ||
    { tail -n 20 "$build.log" >&2; exit 1; }
# shellcheck disable=SC2086
cmake --build "$build" --parallel "${JOBS:-$(nproc)}" --target $programs >>"$build.log" 2>&1 ||
    { tail -n 20 "$build.log" >&2; exit 1; }
echo "VB_PEER_LLAMA=$build/bin/llama-bench"
