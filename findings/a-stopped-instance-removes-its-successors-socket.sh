#!/bin/bash
# An instance that ends after its successor has started takes the successor's Unix socket away.
#
# Expected: a second instance either refuses to start because the socket is in use, or replaces the socket file
#   and owns it from then on; the first one, when it ends, removes what it made itself.
# Seen: gunicorn and redis both replace a socket file that is in use, without a word. When the first instance
#   ends in good order, it removes the file by its name, which is the second one's by now. The second one runs
#   and listens, its process and log look well, and no client can reach it any more. (uvicorn and memcached leave
#   the file alone, so with them the same hand-over works.)
# Versions seen: gunicorn 27.0.1, redis 7.0.15-1~deb12u10 (Debian 12), Linux 6.18.
# Why it matters: overlap is what a restart without an interruption is made of: the new one is started, answers,
#   and the old one is asked to end; and a slow end (a long request) overlaps by itself when the supervisor goes
#   on. All checks pass until the old one has gone, and then a process checker goes on saying "up". With a TCP port
#   the second instance would not have started at all, so the mistake shows on sockets only.
# Instead: start the next one only when the last has ended, or let a parent hold the socket and hand it to both
#   (systemd's socket units, gunicorn's own USR2). In a program: remember device and inode of the file after bind,
#   and remove it only if they are still the same. Let a checker connect through the path, as clients do.
# Needs: apt-get, python3 with venv, curl. Any user.
set -euo pipefail

tmp=$(mktemp -d)
first='' second=''
end() {
  local pid
  for pid in $first $second; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$tmp"
}
trap end EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install redis-server redis-tools >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/redis-server_*.deb
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" -q install --disable-pip-version-check gunicorn==27.0.1 uvicorn==0.54.0
"$tmp/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -E '^(gunicorn|uvicorn) '
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

cat >"$tmp/app.py" <<'PY'
def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
PY
cd "$tmp"
socket=$tmp/socket
await() { # seconds, command: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.1
  done
}
http_answers() { [ "$(curl -s --max-time 5 --unix-socket "$socket" http://localhost/)" = ok ]; }
redis_answers() { [ "$(timeout 5 "$tmp/root/usr/bin/redis-cli" -s "$socket" ping 2>/dev/null)" = PONG ]; }
replaced() { [ -S "$socket" ] && [ "$(stat -c %i "$socket")" != "$inode" ]; }

succession() { # name, how to ask it, command...
  local name=$1 answers=$2
  shift 2
  "$@" >"$tmp/$name.1.log" 2>&1 &
  first=$!
  await 30 "$answers" || { echo "$name does not start"; cat "$tmp/$name.1.log"; exit 1; }
  inode=$(stat -c %i "$socket")
  "$@" >"$tmp/$name.2.log" 2>&1 &
  second=$!
  await 30 replaced || { echo "the behaviour has changed: the second $name does not take the socket"; exit 1; }
  await 30 "$answers" || { echo "the second $name does not answer"; exit 1; }
  kill -TERM "$first"
  wait "$first" 2>/dev/null || true
  first=''
  local runs=no reached=no file=gone
  if kill -0 "$second" 2>/dev/null; then runs=yes; fi
  if "$answers"; then reached=yes; fi
  if [ -S "$socket" ]; then file="there"; fi
  echo "$name: the first one has ended; the second one runs: $runs, is reached: $reached, socket file: $file"
  seen+="$name $runs $reached; "
  kill -TERM "$second"
  wait "$second" 2>/dev/null || true
  second=''
  rm -f "$socket"
}
seen=''
succession gunicorn http_answers venv/bin/gunicorn --no-control-socket --bind "unix:$socket" app:wsgi
succession redis redis_answers "$tmp/root/usr/bin/redis-server" --port 0 --unixsocket "$socket" --save ''
succession uvicorn http_answers venv/bin/uvicorn --uds "$socket" app:asgi
echo "one would have guessed: the second one runs and is reached, each time"
if [ "$seen" != "gunicorn yes no; redis yes no; uvicorn yes yes; " ]; then
  echo "the behaviour has changed"
  exit 1
fi
