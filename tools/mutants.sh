#!/bin/sh
# mutants.sh [N] - breaks the code on purpose, one line at a time, and demands that a test notices. With N only every
# Nth mistake is planted; the commit decides with which to begin, so that over N commits or so all have their turn.
#
# Each line of tests/mutants.txt: the killer, a file, a sed expression. The tree is copied, the expression applied
# (it must change exactly that file), the killer's program built and run: it must fail. What is built in $B is taken
# over, so that only what a mistake changes is compiled. Survivors are printed; none may be left. Killers: kernelcheck,
# matrix, golden, unit, forge, vocab, canon_all, page, partners, parity, faults, kill, traces, family, serve_http,
# lost, serve_leave, serve_ollama, serve_page, serve_tools, serve_traces, serve_hostile, convert, store, pull, dialogue,
# quantize, spvlint, devices, gpu; gpu_* is that lot of tests/gpukernels, for which the shaders are compiled anew
# (glslc); what the lint of SPIR-V refuses is noticed too.
set -u
B=${B:-build}
jobs=$(nproc)
every=${1:-1}
turn=$((0x$(git rev-parse HEAD 2>/dev/null | cut -c1-6 | grep . || echo 0) % every))
here=$(pwd)
work=build/mutants
passed=0
failed=0
rm -rf "$work"
mkdir -p "$work"
git ls-files -co --exclude-standard | grep -vE '^(docs|fuzz)/' |
    tar -cf - -T - | tar -xf - -C "$work"
# Objects keep their names, for make knows of headers by them.
for room in $(git ls-files '*.c' | cut -d/ -f1 | sort -u | grep -vE '^(fuzz|bindings)$'); do
    [ ! -d "$B/$room" ] || find "$B/$room" -type f ! -perm -u+x ! -name '*.gguf'
done | tar -cf - -T - | tar -xf - -C "$work"
[ ! -f "$B/libverbatim.a" ] || cp -p "$B/libverbatim.a" "$work/$B/"

run_killer() {
    case $1 in
    kernelcheck) "$B/tests/kernelcheck" --isa portable && "$B/tests/kernelcheck" ;;
    matrix) "$B/tests/matrix" tests/golden/quant/q-llama-Q4_K/model.gguf tests/golden/quant/q-llama-Q4_K/tokens.json --quick &&
        "$B/tests/matrix" tests/golden/gemma3/model.gguf tests/golden/gemma3/tokens.json --quick &&
        "$B/tests/matrix" tests/golden/bert-mean/model.gguf tests/golden/bert-mean/tokens.json --quick ;;
    golden) "$B/tests/golden" $(dirname tests/golden/*/model.gguf) ;;
    unit) for test in tests/unit/*.c; do tests/unit.sh "$B" "$(basename "$test" .c)" || return 1; done ;;
    cast_schedules) "$B/tests/cast_schedules" tests/golden/gptneo/model.gguf 40 ;;
    forge) "$B/tests/forge" tests/golden/llama-gqa/model.gguf 1000 ;;
    vocab) tests/vocab.sh "$B" ;;
    prove) python3 tests/cli/prove.py "$B" --killer ;;
    canon_all) "$B/tests/canon_all" --stride 61 ;;
    parity) python3 tests/cli/parity.py "$B/verbatim" "$SMOLLM2" tests/recordings/smollm2.json --planted ;;
    partners) SMOLLM2= python3 tests/cli/partners.py "$B/verbatim" ;;
    faults) python3 tests/cli/faults.py "$B/verbatim" "$B/tests/shims/faults.so" tests/golden/llama-gqa/model.gguf ;;
    kill) python3 tests/cli/kill.py "$B/verbatim" tests/golden/llama-gqa/model.gguf 100 ;;
    family) python3 tests/cli/family.py "$B/verbatim" ;;
    traces) python3 tests/cli/traces.py "$B/verbatim" ;;
    convert) python3 tests/cli/convert.py "$B/verbatim" ;;
    dialogue) python3 tests/cli/dialogue.py "$B/verbatim" "$B/examples" say_is_a any_order golden tables full_disk ;;
    lost) make -s B="$B" OPT=-O1 "$B/tools/mkmodel" && "$B/tools/mkmodel" tiny --layers 12 --format Q8_0 -o "$B/lost.gguf" &&
        python3 tests/cli/lost.py "$B/verbatim" "$B/lost.gguf" ;;
    store) python3 tests/cli/store.py "$B/verbatim" ;;
    embedded) python3 tests/cli/embedded.py "$B" ;;
    quantize) make -s B="$B" OPT=-O1 "$B/tools/mkmodel" && python3 tests/cli/quantize.py "$B/verbatim" "$B/tools/mkmodel" mixes experts keys broken ;;
    pull) python3 tests/cli/pull.py "$B/verbatim" ;;
    serve_http) python3 tests/cli/serve_http.py "$B/verbatim" ;;
    serve_ollama) python3 tests/cli/serve_ollama.py "$B/verbatim" ;;
    serve_tools) python3 tests/cli/serve_tools.py "$B/verbatim" ;;
    serve_leave) python3 tests/cli/serve_leave.py "$B/verbatim" "$SMOLLM2" 4 ;;
    serve_page) make -s B="$B" OPT=-O1 "$B/tools/mkmodel" && "$B/tools/mkmodel" tiny --layers 12 --format Q8_0 -o "$B/deep.gguf" &&
        python3 tests/cli/serve_page.py "$B/verbatim" "$B/deep.gguf" policy ids test_stop test_branch counts markdown ;;
    serve_traces) make -s B="$B" OPT=-O1 "$B/tools/mkmodel" && "$B/tools/mkmodel" tiny --layers 12 --format Q8_0 -o "$B/slow.gguf" &&
        python3 tests/cli/serve_traces.py "$B/verbatim" "$B/slow.gguf" ;;
    serve_hostile) python3 tests/cli/serve_hostile.py "$B/verbatim" ;;
    spvlint) python3 tests/cli/spvlint.py "$B/tools/spvlint" ;;
    devices) python3 tests/cli/devices.py "$B" some_lies ;;
    gpu) POINTS=10 python3 tests/cli/gpu.py "$B" whole_runs verify_names ;;
    layers_gpu) python3 tests/cli/gpu_layers.py "$B/verbatim" "$B/tests/shims/vulkan.so" ;;
    matrix_gpu) tests/matrix.sh "$B" --gpu llvmpipe --must tests/golden/quant/q-llama-Q4_K ;;
    gpu_*) "$B/tests/gpukernels" "${1#gpu_}" ;;
    page) python3 tests/cli/page.py verbatim "$B/tests/page" test_markup test_policy ;;
    esac
}

# The mutant's shaders; 1: they do not compile, 2: the lint refuses them.
shaders() {
    make -s -j"$jobs" B="$B" spirv >make.log 2>&1 && return 0
    grep -q 'passed, [1-9][0-9]* failed' make.log && return 2
    return 1
}

kill_one() {
    export B
    program=tests/$1
    case $1 in
    gpu_*)
        program=tests/gpukernels
        shaders
        case $? in 1) echo "FAIL does not compile: $2: $3"; return 1 ;; 2) return 0 ;; esac
        ;;
    esac
    target="$B/$program"
    case $1 in
    unit) target=unit-programs ;;
    vocab) target="$B/tests/tokenizer_golden $B/tests/vocabulary_back $B/tests/vocab_pairs" ;;
    prove) target=prove-programs ;;
    spvlint) target="$B/tools/spvlint" ;;
    devices | gpu | layers_gpu) target=faults-programs ;;
    matrix_gpu) target="$B/tests/matrix" ;;
    partners | parity | kill | traces | family | serve_http | serve_leave | serve_ollama | serve_page | serve_tools | serve_traces | serve_hostile | convert | lost | store | embedded | pull | quantize | dialogue) target="$B/verbatim" ;;
    faults) target=faults-programs ;;
    esac
    # shellcheck disable=SC2086
    if ! make -s -j"$jobs" B="$B" OPT=-O1 $target >make.log 2>&1; then
        echo "FAIL does not compile: $2: $3"
        return 1
    fi
    if timeout 120 sh -c ". ./killer.sh; run_killer $1" >run.log 2>&1; then
        echo "FAIL survived $1: $2: $3"
        return 1
    fi
}

sed -n '/^run_killer()/,/^}/p' "$0" >"$work/killer.sh"
cd "$work" || exit 1
cp -r gpu/spv spv.original
while read -r killer file expression; do
    case $killer in '' | '#'*) continue ;; esac
    turn=$(((turn + 1) % every))
    [ "$turn" = 0 ] || continue
    cp "$file" original
    sed -i "$expression" "$file"
    if cmp -s "$file" original; then
        echo "FAIL changes nothing: $file: $expression"
        failed=$((failed + 1))
        continue
    fi
    if kill_one "$killer" "$file" "$expression"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    cp original "$file"
    case $killer in gpu_*) cp spv.original/* gpu/spv/ ;; esac
done <"$here/tests/mutants.txt"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
