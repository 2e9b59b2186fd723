#!/bin/bash
# The top level of a Python component runs once, while it is built; its clocks and draws are those of that moment.
#
# Expected: a module's top level runs when the component starts. `STARTED = time.monotonic()` up there is the
#   start of the instance, and a `random.Random()` made there is seeded anew each time.
# Seen: componentize-py runs the top level at build time and stores the memory. STARTED is a reading of the
#   clock of the build, and later than any reading of the instance, whose monotonic clock begins near zero in
#   each new store: the time elapsed since STARTED is negative. The generator made at the top gives every
#   instance the same numbers, while random.random() is seeded anew. time.time() at the top is the day of the build.
# Versions seen: componentize-py 0.25.1, wasmtime 50.0.1 for Python, Linux 6.18.
# Why it matters: the usual ways to write a time limit (`DEADLINE = time.monotonic() + 2` at the top), an
#   uptime, a cache that expires or a jitter are all wrong at once, and in the harmless direction for a test:
#   nothing is ever late, nothing ever expires, and the numbers look random on each machine taken by itself.
#   A value kept from run to run by the host must not be a monotonic time either, for each run's begins anew.
# Instead: read clocks and make generators inside the exported function; keep wall-clock times
#   across runs. Use the top level only for what may be the same everywhere, such as imports and tables.
# Needs: python3 with venv; takes one to two minutes. Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check componentize-py==0.25.1 wasmtime==50.0.1
venv/bin/pip list --disable-pip-version-check 2>/dev/null | grep -E '^(componentize-py|wasmtime) '
echo "Linux $(uname -r)"

mkdir wit
printf 'package demo:clock@1.0.0;\nworld guest { export look: func() -> string; }\n' >wit/guest.wit
cat >app.py <<'PY'
import json
import random
import time

import wit_world

STARTED = time.monotonic()
TODAY = time.time()
GENERATOR = random.Random()


class WitWorld(wit_world.WitWorld):
    def look(self) -> str:
        return json.dumps({"elapsed": time.monotonic() - STARTED, "monotonic": time.monotonic(),
                           "age": time.time() - TODAY, "of the top": GENERATOR.random(),
                           "of the module": random.random()})
PY
venv/bin/componentize-py -d wit -w guest componentize app -o guest.wasm >/dev/null
cat >run.py <<'PY'
import json, sys
from wasmtime import Engine, Store, WasiConfig, component

engine = Engine()
linker = component.Linker(engine)
linker.add_wasip2()
guest = component.Component.from_file(engine, "guest.wasm")
looks = []
for _ in range(3):
    store = Store(engine)
    store.set_wasi(WasiConfig())
    looks.append(json.loads(linker.instantiate(store, guest).get_func(store, "look")(store)))
for number, look in enumerate(looks, 1):
    print(f"instance {number}: {look['elapsed']:.3f} s since STARTED, monotonic clock {look['monotonic']:.3f} s, "
          f"wall clock of the top level {look['age']:.0f} s ago, top's generator {look['of the top']:.4f}, "
          f"random.random() {look['of the module']:.4f}")
print("one would have guessed: a few milliseconds since STARTED, 0 s ago, and six different numbers")
if not (all(look["elapsed"] < 0 and look["monotonic"] < 60 and look["age"] > 1 for look in looks)
        and len({look["of the top"] for look in looks}) == 1 and len({look["of the module"] for look in looks}) == 3):
    sys.exit("the behaviour has changed")
PY
nice venv/bin/python run.py
