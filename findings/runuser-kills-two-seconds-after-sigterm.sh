#!/bin/bash
# runuser and su end their command two seconds after SIGTERM, whatever the supervisor's own time limit is.
#
# Expected: a supervisor runs `runuser -u redis -- redis-server`, sends SIGTERM, and gives it its ten or ninety
#   seconds. The signal reaches redis, redis saves and exits, and runuser exits with redis's code.
# Seen: runuser (and su, which shares the code) does not become the command but stays its parent. On SIGTERM it
#   passes SIGTERM on, waits two seconds, sends SIGKILL, and ends itself by SIGTERM. redis, asked to save first,
#   is killed in the middle and leaves no data. There is no option to change the two seconds. With setpriv, which
#   becomes the command, the same redis saves and exits with 0.
# Versions seen: util-linux 2.38.1 (Debian 12), redis 7.0.15-1~deb12u10, Linux 6.18.
# Why it matters: to run a service as another user this is the first thing that comes to mind, and many service
#   files and agents do so. Everything that needs longer than two seconds to stop (a database's checkpoint,
#   a server draining its connections, a queue writing to disk) is killed at every stop, and starts with a recovery.
#   The supervisor sees a quick end by SIGTERM, just as it wanted, well within its limit.
# Instead: setpriv --reuid USER --regid GROUP --init-groups PROGRAM, or the supervisor's own user setting. Where
#   runuser has to stay, send the signal to the application itself (by its pid file), not to the parent.
# Needs: apt-get, and root (exit 77 without), because runuser wants it.
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
  echo "only root may use runuser"
  exit 77
fi
tmp=$(mktemp -d)
chmod 711 "$tmp"
parent='' server=''
end() {
  local pid
  for pid in $parent $server; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$tmp"
}
trap end EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
chmod 711 "$tmp/root"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install redis-server redis-tools >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
chmod 755 "$tmp/root"
dpkg-deb --show "$tmp"/debs/redis-server_*.deb
runuser --version
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

redis() { timeout 10 "$tmp/root/usr/bin/redis-cli" -s "$tmp/$name/socket" "$@" 2>&1 || true; }
await() { # seconds, command: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.1
  done
}
answers() { [ "$(redis ping)" = PONG ]; }
gone() { # ended; an adopted zombie has
  local state
  state=$(awk '$1 == "State:" { print $2 }' "/proc/$1/status" 2>/dev/null || true)
  [ -z "$state" ] || [ "$state" = Z ]
}

# Starts redis by a command, with 60 keys that take 100 ms each to save, and stops it by SIGTERM to that command.
stop_by() { # name, command...
  name=$1
  shift
  mkdir "$tmp/$name"
  chown nobody "$tmp/$name"
  "$@" "$tmp/root/usr/bin/redis-server" --port 0 --unixsocket "$tmp/$name/socket" --unixsocketperm 777 --dir "$tmp/$name" \
    --save 3600 1 --rdb-key-save-delay 100000 --logfile "$tmp/$name/log" >/dev/null 2>&1 &
  parent=$!
  await 20 answers || { echo "redis does not start under $name"; cat "$tmp/$name/log" || true; exit 1; }
  server=$(redis info server | awk -F: '$1 == "process_id" { print $2 + 0 }')
  local number status=0 began=$SECONDS
  for number in $(seq 60); do echo "set key$number value"; done | "$tmp/root/usr/bin/redis-cli" -s "$tmp/$name/socket" >/dev/null
  began=$SECONDS
  kill -TERM "$parent"
  wait "$parent" 2>/dev/null || status=$?
  took=$((SECONDS - began))
  await 20 gone "$server" || { echo "redis lives on"; exit 1; }
  parent='' server=''
  saved=no
  if [ -s "$tmp/$name/dump.rdb" ]; then saved=yes; fi
  exit=$status
  echo "$name: SIGTERM; exit $status after about $took s; data saved: $saved; last word of redis: $(tail -1 "$tmp/$name/log" | cut -d' ' -f7-)"
}

cd /
stop_by setpriv setpriv --reuid nobody --clear-groups
control="$exit $saved"
stop_by runuser runuser -u nobody --
echo "one would have guessed: the same both times, exit 0 and data saved after some six seconds"
if [ "$control" != "0 yes" ] || [ "$exit" = 0 ] || [ "$saved" != no ] || [ "$took" -gt 5 ]; then
  echo "the behaviour has changed"
  exit 1
fi
