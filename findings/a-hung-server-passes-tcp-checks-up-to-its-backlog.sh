#!/bin/bash
# How long a TCP check calls a hung server up depends on the server's backlog, and under HAProxy it never ends.
#
# Expected: the first connection check after a server has hung times out; or, for who knows that the kernel
#   accepts connections on a program's behalf, every check passes for ever, whichever checker makes it.
# Seen: check_tcp passes exactly backlog + 1 times and times out from then on. Each check leaves an entry in
#   the accept queue that only the server could take out; closing the connection, even with a reset, does not
#   remove it. The checks themselves fill the queue, and clients are shut out together with them.
#   HAProxy's plain `check` of the same hung server passes for ever and leaves the queue empty: it answers
#   SYN-ACK with a reset in place of the handshake's last packet, so the connection never enters the queue.
# Versions seen: monitoring-plugins 2.3.3-5+deb12u2, haproxy 2.6.12-1+deb12u4, memcached 1.6.18-1+deb12u1
#   (Debian 12), Linux 6.18.
# Why it matters: a hang is noticed after backlog x interval. With memcached's own backlog (1024) and a check
#   every two seconds that is 34 minutes; with somaxconn's 4096 more than two hours; with traffic, seconds. A
#   test with a backlog of 5 proves nothing for production. And behind HAProxy a hung node with little traffic
#   stays in for good, while a monitoring system beside it may say down: both are right by their own check.
# Instead: a check must read an answer that only the program can give (HTTP, `tcp-check expect`, PING). As a
#   sign of a hang the length of the accept queue (Recv-Q of the listener in `ss -lt`) shows it at once.
# Needs: apt-get, python3, ss (iproute2). Any user.
set -euo pipefail

tmp=$(mktemp -d)
server='' proxy=''
end() {
  for pid in $proxy $server; do
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  server='' proxy=''
}
trap 'end; rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install memcached haproxy monitoring-plugins-basic >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
for name in memcached haproxy monitoring-plugins-basic; do dpkg-deb --show "$tmp/debs/${name}"_*.deb; done
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

fail() {
  echo "$1"
  exit 1
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
check_tcp() { "$tmp/root/usr/lib/nagios/plugins/check_tcp" -H 127.0.0.1 -p "$port" -t 3 >"$tmp/check" 2>&1; }
queue() { ss -Hltn "sport = :$port" | awk '{ print $2 }'; }

hung_server() { # backlog
  local user=()
  if [ "$(id -u)" = 0 ]; then user=(-u root); fi
  port=$(free_port)
  "$tmp/root/usr/bin/memcached" "${user[@]}" -l 127.0.0.1 -p "$port" -U 0 -b "$1" &
  server=$!
  for _ in $(seq 100); do
    if check_tcp; then break; fi
    sleep 0.1
  done
  for _ in $(seq 100); do # until the server has taken that connection
    if [ "$(queue)" = 0 ]; then break; fi
    sleep 0.1
  done
  kill -STOP "$server"
  for _ in $(seq 100); do
    if grep -q '^State:.*T (stopped)' "/proc/$server/status"; then return; fi
    sleep 0.1
  done
  fail "memcached did not stop"
}

for backlog in 16 64; do
  hung_server "$backlog"
  passes=0
  while check_tcp && [ "$passes" -lt 300 ]; do passes=$((passes + 1)); done
  echo "backlog $backlog: check_tcp of the stopped memcached passed $passes times, then: $(head -1 "$tmp/check"); accept queue: $(queue)"
  [ "$passes" = $((backlog + 1)) ] || fail "the behaviour of check_tcp or of the kernel has changed"
  end
done

hung_server 16
cat >"$tmp/haproxy.cfg" <<CFG
defaults
  timeout connect 1s
  timeout check 1s
  timeout client 5s
  timeout server 5s
listen web
  bind 127.0.0.1:$(free_port)
  server a 127.0.0.1:$port check inter 20ms fall 3
CFG
"$tmp/root/usr/sbin/haproxy" -db -f "$tmp/haproxy.cfg" >"$tmp/words" 2>&1 &
proxy=$!
sleep 8 # a stretch of time in which nothing may happen: some 400 checks
if grep -q 'is DOWN' "$tmp/words"; then fail "the behaviour of HAProxy has changed: $(grep -m1 'is DOWN' "$tmp/words")"; fi
waiting=$(queue)
kill -9 "$server"
wait "$server" 2>/dev/null || true
down=
for _ in $(seq 100); do
  if grep -q 'is DOWN' "$tmp/words"; then
    down=yes
    break
  fi
  sleep 0.1
done
echo "backlog 16: HAProxy checked the stopped memcached every 20 ms for 8 s and kept it up; accept queue: $waiting"
echo "            (killed: $(grep -o -m1 'is DOWN, reason: [^,]*' "$tmp/words" || echo 'no word'))"
echo "one would have guessed: both fail at once, or both pass for ever"
if [ "$waiting" != 0 ] || [ -z "$down" ]; then fail "the behaviour of HAProxy has changed"; fi
