#!/bin/bash
# A syslog daemon that hangs stops every program that logs through it; one that is dead stops none.
#
# Expected: logging by syslog(3) is fire and forget. If the daemon hangs, messages are lost or pile up somewhere,
#   and the programs that sent them serve on, as they do when there is no daemon at all.
# Seen: with rsyslogd stopped, redis answers a few more clients and then none: it waits in sendto(2) on /dev/log,
#   without a time limit. The socket is a datagram socket, but a local one: it holds net.unix.max_dgram_qlen
#   messages (10 by default; some distributions raise it to 512), and then the sender waits. When rsyslogd goes
#   on, redis answers; when rsyslogd is killed instead, redis answers too.
# Versions seen: rsyslog 8.2302.0-1+deb12u2, redis 7.0.15-1~deb12u10 (Debian 12), Linux 6.18.
# Why it matters: one hung process takes all applications of a server with it (databases, mail, ssh log-ins,
#   cron), each of which looks like the cause: it accepts connections, gives no answer and uses no processor time. Restarting
#   the application "helps" for the next ten messages, so a supervisor restarts it over and over.
# Instead: check the syslog daemon itself, and restart it before the applications; look for unix_wait_for_peer in
#   /proc/PID/wchan of an application that hangs; let applications log to a file, or by UDP to 127.0.0.1, which
#   drops what is not read.
# Needs: apt-get, and root or user namespaces (exit 77 without): /dev/log is replaced in a mount namespace.
set -euo pipefail

if [ "${1-}" != inside ]; then
  if [ "$(id -u)" = 0 ]; then namespace=(unshare --mount); else namespace=(unshare --user --map-root-user --mount); fi
  if ! "${namespace[@]}" true 2>/dev/null; then
    echo "neither root nor user namespaces"
    exit 77
  fi
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  mkdir -p "$tmp/debs/partial" "$tmp/root"
  apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
    -o Dir::Cache::archives="$tmp/debs" install rsyslog redis-server redis-tools >/dev/null
  for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
  for name in rsyslog redis-server; do dpkg-deb --show "$tmp/debs/${name}"_*.deb; done
  echo "Linux $(uname -r), net.unix.max_dgram_qlen $(cat /proc/sys/net/unix/max_dgram_qlen)"
  "${namespace[@]}" bash "$0" inside "$tmp"
  exit
fi

tmp=$2
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
modules=$(echo "$tmp"/root/usr/lib/*-linux-gnu/rsyslog)
logger='' server=''
end() {
  local pid
  for pid in $server $logger; do kill -9 "$pid" 2>/dev/null || true; done
}
trap end EXIT

# A /dev of this namespace only, with /dev/log.
mkdir "$tmp/dev"
mount -t tmpfs -o mode=755 none "$tmp/dev"
for device in null zero random urandom; do
  : >"$tmp/dev/$device"
  mount --bind "/dev/$device" "$tmp/dev/$device"
done
ln -s "$tmp/log.socket" "$tmp/dev/log"
mount --rbind "$tmp/dev" /dev
cat >"$tmp/rsyslog.conf" <<CONF
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$tmp/log.socket")
*.* action(type="omfile" file="$tmp/messages")
CONF

redis() { timeout 10 "$tmp/root/usr/bin/redis-cli" -s "$tmp/redis.socket" "$@" 2>&1 || true; }
answers() { [ "$(redis ping)" = PONG ]; }
await() { # seconds, command: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.1
  done
}
start_logger() {
  rm -f "$tmp/rsyslog.pid" "$tmp/log.socket"
  "$tmp/root/usr/sbin/rsyslogd" -n -f "$tmp/rsyslog.conf" -i "$tmp/rsyslog.pid" -M "$modules" >"$tmp/rsyslogd.words" 2>&1 &
  logger=$!
  await 20 test -S "$tmp/log.socket" || { cat "$tmp/rsyslogd.words"; exit 1; }
}
answered_until_hung() { # how many clients are answered; each is worth two messages
  local count=0
  while [ "$count" -lt 3000 ] && answers; do count=$((count + 1)); done
  echo "$count"
}

start_logger
"$tmp/root/usr/bin/redis-server" --port 0 --unixsocket "$tmp/redis.socket" --dir "$tmp" --save '' --logfile '' \
  --syslog-enabled yes --loglevel verbose >/dev/null &
server=$!
await 20 answers || { echo "redis does not start"; exit 1; }
await 20 grep -q redis "$tmp/messages" || { echo "no message arrives"; exit 1; }

kill -STOP "$logger"
hung=$(answered_until_hung)
where=$(cat "/proc/$server/wchan" 2>/dev/null || true)
echo "rsyslogd stopped: redis answered $hung more clients, then none for 10 s; it waits in ${where:-(not to be read)}"
kill -CONT "$logger"
resumed=no
if await 20 answers; then resumed=yes; fi
echo "rsyslogd goes on: redis answers: $resumed"

kill -STOP "$logger"
again=$(answered_until_hung)
kill -9 "$logger"
wait "$logger" 2>/dev/null || true
logger=
freed=no
if await 20 answers; then freed=yes; fi
after=0
for _ in $(seq 200); do if answers; then after=$((after + 1)); fi; done
echo "stopped again ($again clients), then killed: redis answers: $freed; of 200 clients without any rsyslogd: $after"
echo "one would have guessed: redis answers all the while"
if [ "$hung" -ge 3000 ] || [ "$again" -ge 3000 ] || [ "$resumed$freed" != yesyes ] || [ "$after" -ne 200 ]; then
  echo "the behaviour has changed"
  exit 1
fi
