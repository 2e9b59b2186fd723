#!/bin/bash
# A loop that waits for a local port to be served connects to itself in the end, and then the server cannot start.
#
# Expected: as long as no process listens on a port of 127.0.0.1, every connect is refused.
# Seen: if the port lies in the range from which the kernel takes the ports of outgoing connections (32768 to
#   60999 by default), one of the attempts is given that very port as its own. TCP then connects the socket to
#   itself (a simultaneous open): the connect succeeds with no listener, and whatever is sent comes back. The
#   loop reports the server as up; and the server, which starts a moment later, ends with "Address already in
#   use", for as long as the loop's connection lives and for the 60 seconds of its TIME_WAIT after that,
#   although the server sets SO_REUSEADDR: both sides would have to. The kernel takes the ports of one parity
#   in turn, so a quick loop gets there after some ten thousand attempts: within a second or two.
# Versions seen: bash 5.2, memcached 1.6.18-1+deb12u1 (Debian 12), Linux 6.18.
# Why it matters: scripts that wait for a database, clients that reconnect without a pause, and checkers that
#   probe often all do this. The check passes while the application is dead, and holds the dead application's
#   port. By the same arithmetic a check every 2 s gets a false "up" once in eight hours for each such dead port.
# Instead: let servers listen below the range, or reserve their ports in net.ipv4.ip_local_reserved_ports.
#   In a checker, a connection whose own address equals its peer's is a refusal, and is closed with a zero
#   linger time, which leaves no TIME_WAIT; and an answer of the protocol proves more than a connection.
# Needs: apt-get, bash. Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install memcached >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/memcached_*.deb
echo "bash $BASH_VERSION, Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

user=()
if [ "$(id -u)" = 0 ]; then user=(-u root); fi

# A free port of the range that the kernel tries first: those of the same parity as its lower end.
read -r low high </proc/sys/net/ipv4/ip_local_port_range
in_use() { awk -v want="$(printf '%04X' "$1")" '{ split($2, own, ":"); split($3, peer, ":"); if (own[2] == want || peer[2] == want) found = 1 } END { exit !found }' /proc/net/tcp; }
port=$((low + 2 * ((high - low) / 4)))
while in_use "$port"; do port=$((port + 2)); done

attempts=0
limit=$(((high - low) * 8))
until { exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null; do
  attempts=$((attempts + 1))
  if [ "$attempts" -ge "$limit" ]; then
    echo "the behaviour has changed: $attempts attempts were refused"
    exit 1
  fi
done
echo "no process listens on port $port; connected after $attempts refused attempts"
echo "are you there?" >&3
IFS= read -r -t 10 answer <&3 || answer="(nothing)"
echo "sent \"are you there?\", received \"$answer\""

start_memcached() { # prints how it ended; it would run on if it could bind
  local status=0
  timeout 5 "$tmp/root/usr/bin/memcached" "${user[@]}" -l 127.0.0.1 -p "$port" -U 0 2>"$tmp/words" || status=$?
  echo "exit $status: $(head -1 "$tmp/words")"
}
during=$(start_memcached)
echo "memcached on that port, while the loop's connection is open:  $during"
exec 3>&-
after=$(start_memcached)
echo "memcached on that port, after that connection has been closed: $after"
port=$((port + 2))
while in_use "$port"; do port=$((port + 2)); done
control=$(start_memcached)
echo "memcached on the next free port: $control (ended by the time limit of this script, so it ran)"
echo "one would have guessed: every attempt is refused, and memcached runs on the first port"
for ending in "$during" "$after"; do
  if [[ $ending == "exit 124:"* ]] || [[ $ending != *"in use"* ]]; then
    echo "the behaviour has changed"
    exit 1
  fi
done
if [ "$answer" != "are you there?" ] || [[ $control != "exit 124:"* ]]; then
  echo "the behaviour has changed"
  exit 1
fi
