#!/bin/bash
# rustix's getsid() panics in a process whose session was begun outside its PID namespace.
#
# Expected: getsid(None) asks for this very process's own session. It cannot fail, so its `io::Result<Pid>` is `Ok`,
#   or at worst an error that the caller handles.
# Seen: in a process that was put into a PID namespace from outside (`unshare --pid --fork`, a job of a CI sandbox,
#   `nsenter --pid`), the kernel returns 0, because the session's leader has no number there. A `Pid` is never 0. A debug
#   build panics inside rustix; a release build hands out a `Pid` that must not exist. getppid(), where the
#   same happens, returns `Option<Pid>` and is correct.
# Why: getsid(2) does not mention 0. The wrapper turns the number into a `Pid` without looking at it.
# Versions seen: rustix 1.1.6, rustc 1.95, Linux 6.18.
# Why it matters: a container's first process is usually made the leader of a session by the container's runtime, so all tests in
#   containers pass. A supervisor that a shell script, a sandbox or a CI job puts into a namespace meets it at once.
# Instead: read the sixth field of /proc/self/stat, where 0 is a number like any other.
# Needs: cargo, unshare(1), and root or permission to make user namespaces.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/src"
cat >"$tmp/Cargo.toml" <<'TOML'
[package]
name = "session"
version = "0.0.0"
edition = "2024"

[dependencies]
rustix = { version = "=1.1.6", features = ["process"] }
TOML
cat >"$tmp/src/main.rs" <<'RUST'
use rustix::process::{getppid, getsid};

fn main() {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("proc is mounted");
    let session = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(3)).expect("a sixth field");
    println!("sixth field of /proc/self/stat is zero: {}", session == "0");
    println!("getppid() is None: {}", getppid().is_none());
    std::panic::set_hook(Box::new(|_| ()));
    match std::panic::catch_unwind(|| getsid(None).is_ok()) {
        Ok(ok) => println!("getsid(None).is_ok(): {ok}"),
        Err(_) => println!("getsid(None) panicked"),
    }
}
RUST
cargo build --quiet --manifest-path "$tmp/Cargo.toml" --target-dir "$tmp/target"
cargo --version
echo "rustix 1.1.6, Linux $(uname -r)"
session=$tmp/target/debug/session

flags=(--pid --fork --mount-proc)
[ "$(id -u)" = 0 ] || flags=(--user --map-root-user "${flags[@]}")
echo "-- a session from outside the namespace:"
outside=$(unshare "${flags[@]}" "$session")
echo "$outside"
echo "-- a session begun inside it, by setsid(1):"
inside=$(unshare "${flags[@]}" sh -c 'setsid --wait "$1"' sh "$session")
echo "$inside"

[ "$outside" = $'sixth field of /proc/self/stat is zero: true\ngetppid() is None: true\ngetsid(None) panicked' ]
grep -qx 'getsid(None).is_ok(): true' <<<"$inside"
