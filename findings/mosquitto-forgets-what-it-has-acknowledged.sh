#!/bin/bash
# A mosquitto with `persistence true` loses messages that it has acknowledged, when it is killed.
#
# Expected: a broker with `persistence true` that answers a publish of QoS 1 with PUBACK, or of QoS 2 with PUBCOMP,
#   has the message on disk: after a kill -9 and a start the retained messages, and those that wait for a client
#   with a session of its own, are there. So it is with RabbitMQ's confirms, Redis's `appendfsync always`, and databases.
# Seen: both are gone. The database file is written at a regular end, on SIGUSR1, and every `autosave_interval`
#   (1800 s by default), and never before an acknowledgement. After the first kill there is no file at all. A SIGTERM in
#   place of the kill, and nothing is lost.
# Versions seen: mosquitto 2.0.11-1.2+deb12u2 (Debian 12), Linux 6.18.
# Why it matters: a supervisor that ends a broker that hangs, an OOM kill or a power cut takes half an hour of
#   acknowledged messages with it, and no client sends them again. Every test that stops the broker politely passes.
# Instead: `autosave_on_changes true` with a small `autosave_interval` writes all after so many changes (slow with much
#   data, and still after the acknowledgement); send SIGUSR1, which writes all at once, before whatever may end in a kill;
#   keep what must not be lost in a broker that writes first.
# Needs: apt-get. Any user.
set -euo pipefail

tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null || true; fi; rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root" "$tmp/data"
chmod 755 "$tmp"
chmod 777 "$tmp/data" # as root it changes to the user mosquitto, or nobody
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install mosquitto mosquitto-clients >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/mosquitto_*.deb
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu "$tmp"/root/usr/lib)
export LD_LIBRARY_PATH
host=127.83.17.5 port=18830
cat >"$tmp/conf" <<EOF
listener $port $host
allow_anonymous true
persistence true
persistence_location $tmp/data/
EOF

client() { # WHICH…: prints what it says
  local which=$1
  shift
  timeout 20 "$tmp/root/usr/bin/mosquitto_$which" -h "$host" -p "$port" "$@" 2>&1 || true
}
start() {
  "$tmp/root/usr/sbin/mosquitto" -c "$tmp/conf" >"$tmp/log" 2>&1 &
  server=$!
  local end=$((SECONDS + 20))
  until client pub -d -t probe -m x | grep -q 'CONNACK (0)'; do
    if [ "$SECONDS" -ge "$end" ]; then echo "mosquitto does not start"; cat "$tmp/log"; exit 1; fi
    sleep 0.1
  done
}
end() { # SIGNAL
  kill -"$1" "$server"
  wait "$server" 2>/dev/null || true
  server=
}
# A client that has a session, and is away: what is published for it waits.
subscribe_and_leave() { client sub -i away -c -q 1 -t waits -E >/dev/null; }
publish() { # VALUE: whether all is acknowledged
  client pub -d -q 1 -r -t retained -m "$1" | grep -o 'PUBACK' | head -1
  client pub -d -q 2 -t waits -m "$1" | grep -o 'PUBCOMP' | head -1
}
found() { # what is there of it
  printf 'retained: %s, waiting: %s\n' "$(client sub -q 1 -t retained -C 1 -W 2 | grep -v Timed || true)" \
    "$(client sub -i away -c -q 1 -t waits -C 1 -W 2 | grep -v Timed || true)"
}

start
subscribe_and_leave
acknowledged=$(publish first | tr '\n' ' ')
end KILL
file=$(ls "$tmp/data")
start
killed=$(found)
echo "published, acknowledged by ${acknowledged}; kill -9; file: ${file:-none}; after a start: $killed"

subscribe_and_leave
publish second >/dev/null
end TERM
start
control=$(found)
end TERM
echo "the same with SIGTERM; after a start: $control"
echo "one would have guessed: retained: first, waiting: first"
if [ "$acknowledged" != "PUBACK PUBCOMP " ] || [ "$control" != "retained: second, waiting: second" ]; then
  echo "the control has failed"
  exit 1
fi
if [ "$killed" != "retained: , waiting: " ]; then
  echo "the behaviour has changed"
  exit 1
fi
