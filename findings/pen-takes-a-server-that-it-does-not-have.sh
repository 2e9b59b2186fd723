#!/bin/bash
# pen, told something about a server that it does not have, takes on an empty server and sends clients to it.
#
# Expected: `penctl PLACE server 2 blacklist 0` at a pen with two servers (they are numbered 0 and 1) is refused, or
#   changes nothing: a server is added by its address and port (`server 2 address …`).
# Seen: penctl exits with 0 and says nothing; the table of servers has a third one from then on, without an address. The
#   round robin gives it its turn, and its clients go on to the next server: of 24 requests one gets 16 and the other 8.
# Versions seen: pen 0.34.1-2+b1 (Debian 12), Linux 6.18.
# Why it matters: a node that leaves tells pen by its number. If the number is wrong by one, the node is told that it has
#   left, keeps its clients, and may get twice as many as before, until it stops and they find nothing there.
# Instead: ask `penctl PLACE servers` first, and look that the line of that number has the node's own address.
# Needs: apt-get, curl, python3. Any user (as root pen changes to nobody).
set -euo pipefail

tmp=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done; rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
chmod 755 "$tmp"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install pen libgeoip1 >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/pen_*.deb
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu "$tmp"/root/usr/lib)
export LD_LIBRARY_PATH
host=127.83.17.9
user=()
[ "$(id -u)" != 0 ] || user=(-u nobody)

for port in 18081 18082; do
  mkdir "$tmp/$port"
  echo "$port" >"$tmp/$port/index.html"
  python3 -m http.server -b "$host" -d "$tmp/$port" "$port" >/dev/null 2>&1 &
  pids+=($!)
  for _ in $(seq 100); do
    if curl -s -m 5 -o /dev/null "http://$host:$port/"; then break; fi
    sleep 0.1
  done
done
answers() { # PORT: what 24 requests get, counted
  for _ in $(seq 24); do curl -s -m 5 "http://$host:$1/" || echo nothing; done | sort | uniq -c | awk '{ printf "%s×%s ", $2, $1 }'
}
penctl() { "$tmp/root/usr/bin/penctl" "$host:$control" "$@"; }
begin() { # PORT OPTION…
  control=$(($1 + 1))
  "$tmp/root/usr/bin/pen" -f -r "${@:2}" "${user[@]}" -C "$host:$control" "$host:$1" "$host:18081" "$host:18082" >"$tmp/log" 2>&1 &
  pids+=($!)
  for _ in $(seq 100); do curl -s -m 5 -o /dev/null "http://$host:$1/" && return; sleep 0.1; done
  echo "pen does not serve"; cat "$tmp/log"; exit 1
}
begin 18083 -P
before=$(answers 18083)
penctl server 2 blacklist 0 && code=0 || code=$?
servers=$(penctl servers | wc -l)
after=$(answers 18083)
echo "before: $before; server 2 blacklist 0: exit code $code; servers now: $servers; after: $after"
if [ "$code" != 0 ] || [ "$servers" != 3 ] || [[ $before != *×12*×12* ]] || [[ $after != *×16* ]]; then
  echo "CHANGED: pen refuses a server that it does not have, or does not use it"
  exit 1
fi
echo "as described"
