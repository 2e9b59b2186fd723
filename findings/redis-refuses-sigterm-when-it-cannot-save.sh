#!/bin/bash
# A redis-server whose data folder cannot be written refuses SIGTERM, every timeand keeps serving.
#
# Expected: SIGTERM ends redis: it tries to save, perhaps complains, and exits, with an error code if need be.
# Seen: redis logs "Error trying to save the DB, can't exit" and goes on as if nothing had been asked. A second
#   SIGTERM and SIGINT do the same. PING and even writes are answered all the while, so no check turns. The
#   command SHUTDOWN answers with an error; SHUTDOWN NOSAVE ends it, and so does SIGTERM after the save points
#   were removed (CONFIG SET save "").
# Versions seen: redis 7.0.15-1~deb12u10 (Debian 12), Linux 6.18.
# Why it matters: the moment at which a node is to be restarted or emptied is often the moment of a full or
#   vanished volume. A stop that waits for the end of the process never returns; a stop that reports success
#   after sending the signal is followed by a start that meets the port in use. Whether redis obeys depends on
#   the save points, so a test instance without them never shows it.
# Instead: give the stop a deadline and a SIGKILL after it (the save would not have succeeded anyway), or stop
#   by `redis-cli shutdown nosave` where the data may be lost; watch rdb_last_bgsave_status beforehand; never
#   take the signal that was sent for the stop that was wanted.
# Needs: apt-get. Any user.
set -euo pipefail

tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null || true; fi; rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root" "$tmp/data"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install redis-server redis-tools >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/redis-server_*.deb
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

redis() { timeout 10 "$tmp/root/usr/bin/redis-cli" -s "$tmp/socket" "$@" 2>&1 || true; }
await() { # seconds, command: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.1
  done
}
answers() { [ "$(redis ping)" = PONG ]; }
refusals() { grep -c "can't exit" "$tmp/log" || true; }
refused() { [ "$(refusals)" -ge "$1" ]; }
gone() { ! kill -0 "$server" 2>/dev/null; }
start() {
  mkdir -p "$tmp/data"
  : >"$tmp/log"
  "$tmp/root/usr/bin/redis-server" --port 0 --unixsocket "$tmp/socket" --dir "$tmp/data" --logfile "$tmp/log" \
    --save 3600 1 >/dev/null &
  server=$!
  await 20 answers
  redis set key value >/dev/null
}
fail() {
  echo "the behaviour has changed: $1"
  tail -5 "$tmp/log"
  exit 1
}

start
kill -TERM "$server"
await 20 gone || fail "control: redis did not end"
wait "$server" || fail "control: redis ended with $?"
echo "folder there:       SIGTERM ended redis, exit 0"

start
rm -r "$tmp/data" # as when a volume has gone away
number=0
for signal in TERM TERM INT; do
  number=$((number + 1))
  kill -"$signal" "$server"
  await 20 refused "$number" || fail "SIG$signal was not refused"
done
count=$(refusals)
alive=$(redis ping) written=$(redis set other value) shutdown=$(redis shutdown)
echo "folder gone:        SIGTERM, SIGTERM, SIGINT: refused $count times; PING: $alive; SET: $written"
echo "                    log: $(grep -m1 -o "Error trying to save.*" "$tmp/log")"
echo "                    SHUTDOWN: $shutdown"
redis config set save '' >/dev/null
kill -TERM "$server"
await 20 gone || fail "redis without save points did not end"
status=0
wait "$server" || status=$?
server=
echo "save points removed: SIGTERM ended redis, exit $status"
echo "one would have guessed: the first SIGTERM ends redis each time"
if [ "$alive" != PONG ] || [ "$written" != OK ] || [[ $shutdown != ERR* ]] || [ "$status" -ne 0 ]; then fail "other answers"; fi
