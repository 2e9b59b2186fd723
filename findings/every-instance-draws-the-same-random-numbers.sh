#!/bin/bash
# In a JavaScript component built with jco's QuickJS backend, Math.random() starts with the same numbers in every instance.
#
# Expected: Math.random() differs from run to run, as it does in node and in browsers, even if the host makes
#   a fresh instance for each call. The host offers randomness, after all.
# Seen: the first number of every instance is the same one, on every host, as long as the file is the same; so
#   are the second and all that follow. Two builds of one source differ: the generator is seeded while the
#   component is built, and the memory of that moment is what every instance starts from. A value computed
#   at the top level of the script is fixed in the same way, the time of day included.
# Versions seen: @bytecodealliance/jco 1.35.0 (--backend qjs), wasmtime 50.0.1 for Python, node 20.20, Linux 6.18.
# Why it matters: a checker or restart script that spreads its work with Math.random() (a jitter before a
#   retry, one request in ten, a node drawn by lot) spreads nothing: where each run has an instance of its
#   own, all nodes draw the same number every time, restart in the same second, and never take another branch.
# Instead: take randomness from an import (wasi:random, or a seed that the host hands over with each run), or
#   derive the jitter from something that differs, such as a hash of the node's name and the time of the run.
#   A host of such guests can spread the runs itself. (componentize-js 0.23.0 refuses Math.random() at
#   the top level while building; componentize-py 0.25.1 seeds the module `random` anew in each instance.)
# Needs: node 20 or later with npm, python3 with venv. Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
printf '{"name":"guest","version":"1.0.0","private":true}\n' >package.json
npm install --silent --no-audit --no-fund --save-exact @bytecodealliance/jco@1.35.0 >/dev/null
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check wasmtime==50.0.1
echo "node $(node --version), jco $(node_modules/.bin/jco --version), $(venv/bin/pip list --disable-pip-version-check 2>/dev/null | grep '^wasmtime '), Linux $(uname -r)"

mkdir wit
printf 'package demo:jitter@1.0.0;\nworld guest { export draw: func() -> string; }\n' >wit/guest.wit
cat >guest.js <<'JS'
const atTheTop = Date.now();
export function draw() {
  return JSON.stringify([Math.random(), Math.random(), atTheTop]);
}
JS
for build in 1 2; do
  node_modules/.bin/jco componentize guest.js --wit wit --world-name guest --backend qjs --backend-qjs-disable-async \
    --out "guest-$build.wasm" >/dev/null
done
cat >run.py <<'PY'
import json, sys
from wasmtime import Engine, Store, WasiConfig, component

engine = Engine()
linker = component.Linker(engine)
linker.add_wasip2()
draws = {}
for build in ("1", "2"):
    guest = component.Component.from_file(engine, f"guest-{build}.wasm")
    for _ in range(3):
        store = Store(engine)
        store.set_wasi(WasiConfig())
        draw = linker.instantiate(store, guest).get_func(store, "draw")
        draws.setdefault(build, []).append(json.loads(draw(store)))
for build, lines in draws.items():
    for number, (first, second, _) in enumerate(lines, 1):
        print(f"build {build}, instance {number}: {first}, {second}")
print("one would have guessed: twelve different numbers")
same_in_a_build = all(line == lines[0] for lines in draws.values() for line in lines)
differ_by_build = draws["1"][0][0] != draws["2"][0][0]
if not (same_in_a_build and differ_by_build and draws["1"][0][0] != draws["1"][0][1]):
    sys.exit("the behaviour has changed")
PY
venv/bin/python run.py
