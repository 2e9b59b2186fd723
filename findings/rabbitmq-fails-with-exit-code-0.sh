#!/bin/bash
# rabbitmq-server exits with 0 when it could not start, and when its broker was killed.
#
# Expected: a server that is run in the foreground, cannot start, and says "BOOT FAILED" or "ERROR: node with name …
#   already running" exits with another code than 0. So does a program whose child was ended by SIGKILL.
# Seen: 0, both times. The script waits for the broker in the background, by `wait "$rabbitmq_server_pid" || true`, to
#   pass signals on, and so every end of the broker is a success. Only where it believes to run under systemd (NOTIFY_SOCKET,
#   or the variable RUNNING_UNDER_SYSTEMD), or with RABBITMQ_ALLOW_INPUT, does it become the broker, with its exit code.
# Versions seen: rabbitmq-server 3.10.8-1.1+deb12u1, erlang-base 1:25.2.3+dfsg-1+deb12u4 (Debian 12), Linux 6.18.
# Why it matters: whatever restarts on failure alone (a container's `on-failure`, a supervisor that takes 0 for "done", a
#   script with `set -e`) leaves the broker down, and tells nobody. The same command under systemd fails as it should, so
#   the test on a virtual machine passes.
# Instead: RUNNING_UNDER_SYSTEMD=true in the environment of the script, wherever it is run: then the process is the
#   broker, TERM ends it in good order, and its exit code is told. Or take every end for a failure.
# Needs: apt-get. Any user.
set -euo pipefail

tmp=$(mktemp -d)
started=()
end() {
  local pid
  for pid in "${started[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  for pid in /proc/[0-9]*; do # epmd has left; its environment names this place
    if tr '\0' '\n' 2>/dev/null <"$pid/environ" | grep -qx "HOME=$tmp/data"; then kill -9 "${pid#/proc/}" 2>/dev/null || true; fi
  done
  rm -rf "$tmp"
}
trap end EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root" "$tmp/data" "$tmp/logs"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install rabbitmq-server $(apt-cache depends --recurse --no-recommends --no-suggests \
  --no-conflicts --no-breaks --no-replaces --no-enhances rabbitmq-server | grep '^erlang-' | sort -u) libtinfo6 >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/rabbitmq-server_*.deb
dpkg-deb --show "$tmp"/debs/erlang-base_*.deb
echo "Linux $(uname -r)"
echo '[].' >"$tmp/plugins"
printf 'listeners.tcp.1 = 127.83.17.6:15672\n' >"$tmp/conf.conf"

rabbitmq() { # VARIABLE=VALUE…: becomes the script
  exec env -i LANG=C.UTF-8 HOME="$tmp/data" PATH="$tmp/root/usr/lib/erlang/bin:$PATH" ERL_ROOTDIR="$tmp/root/usr/lib/erlang" \
    LD_LIBRARY_PATH="$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)" RABBITMQ_NODENAME=test@localhost \
    RABBITMQ_CONFIG_FILE="$tmp/conf" RABBITMQ_MNESIA_BASE="$tmp/data" RABBITMQ_LOG_BASE="$tmp/logs" RABBITMQ_DIST_PORT=25683 \
    ERL_EPMD_PORT=24369 ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_ENABLED_PLUGINS_FILE="$tmp/plugins" RABBITMQ_CONF_ENV_FILE=/dev/null \
    "$@" "$tmp"/root/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server
}
# Starts it into $tmp/NAME.log, and waits until it serves or has ended.
start() { # NAME, VARIABLE=VALUE…
  local name=$1 until=$((SECONDS + 120))
  shift
  (cd "$tmp" && rabbitmq "$@") >"$tmp/$name.log" 2>&1 &
  last=$!
  started+=("$last")
  until grep -q 'completed with' "$tmp/$name.log" || ! kill -0 "$last" 2>/dev/null; do
    if [ "$SECONDS" -ge "$until" ]; then echo "$name: neither started nor ended"; cat "$tmp/$name.log"; exit 1; fi
    sleep 0.2
  done
}
code_of() { # PID: into $code
  code=0
  wait "$1" || code=$?
}
word() { grep -m1 '^ERROR' "$tmp/$1.log" || true; }

start first PLAIN=1
script=$last
grep -q 'completed with' "$tmp/first.log" || { echo "control: the broker does not start"; cat "$tmp/first.log"; exit 1; }
start second PLAIN=1
code_of "$last"
second=$code
echo "a second one:                       exit $second; $(word second)"
start third RUNNING_UNDER_SYSTEMD=true
code_of "$last"
third=$code
echo "the same with RUNNING_UNDER_SYSTEMD: exit $third; $(word third)"
broker=$(cat "/proc/$script/task/$script/children")
started+=($broker)
kill -9 $broker
code_of "$script"
killed=$code
echo "the first one's broker is killed:   exit $killed"
echo "one would have guessed: another code than 0 each time"
if [ -z "$(word second)" ] || [ "$second" != 0 ] || [ "$third" = 0 ] || [ "$killed" != 0 ]; then
  echo "the behaviour has changed"
  exit 1
fi
