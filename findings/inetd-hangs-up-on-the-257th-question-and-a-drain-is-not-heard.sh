#!/bin/bash
# inetd hangs up on an agent's askers from the 257th question of a minute on, and HAProxy keeps the last word it heard.
#
# Expected: an agent behind inetd answers every question. Its manual names a limit of 256 a minute, after which the service
#   stops for ten minutes: then connections are refused, and the balancer sees that the agent is gone.
# Seen: above the limit inetd goes on listening, takes each connection, and closes it without having started the
#   agent; and it answers again when the minute is over, not after ten. A TCP check of the port passes all the while.
#   HAProxy writes "empty response" into a column of its statistics and leaves the server as it was: UP, with full
#   weight, though the agent would answer "drain" by now. inetd's only word is a line to syslog.
# Versions seen: openbsd-inetd 0.20221205-2~deb12u1, haproxy 2.6.12-1+deb12u4 (Debian 12), Linux 6.18.
# Why it matters: each `server` line of each HAProxy asks for itself, every 2 s by default: a node that is in five backends
#   of two balancers is asked 300 times a minute, in each of which its agent is mute for the last ten seconds or so. A
#   drain is missed for that long, by all of them, and the test with one backend shows nothing. What is above 256 grows
#   with the farm, and not with the load.
# Instead: set the limit in the line of the service (`nowait.6000`), or -R; let only one backend ask and the others
#   `track` it; or run the agent as a server of its own. Watch the column for agents' errors (last_agt, agent_status).
# Needs: apt-get, python3. Any user.
set -euo pipefail

tmp=$(mktemp -d)
chmod 755 "$tmp"
pids=()
end() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
  rm -rf "$tmp"
}
trap end EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install openbsd-inetd haproxy liblua5.3-0 libopentracing-c-wrapper0 libbsd0 >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
for name in openbsd-inetd haproxy; do dpkg-deb --show "$tmp/debs/${name}"_*.deb; done
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu "$tmp"/root/lib/*-linux-gnu)
export LD_LIBRARY_PATH

cat >"$tmp/agent" <<'SH'
#!/bin/sh
cat "${0%/*}/word"
SH
chmod 755 "$tmp/agent"
echo 'up ready' >"$tmp/word"
echo "127.83.17.23:19121 stream tcp nowait $(id -un) $tmp/agent agent" >"$tmp/inetd.conf"
cat >"$tmp/haproxy.cfg" <<CFG
global
  stats socket $tmp/socket
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
backend farm
  server node 127.83.17.23:19120 check agent-check agent-addr 127.83.17.23 agent-port 19121 agent-inter 1s
CFG
cat >"$tmp/drive.py" <<'PY'
import csv, socket, sys, time

tmp = sys.argv[1]


def ask():
    """What the agent answers; an empty text if the connection was taken and closed."""
    with socket.create_connection(("127.83.17.23", 19121), 5) as connection:
        return connection.makefile().read().strip()


def node():
    """The state of HAProxy's server, its weight, and what it says of the last question."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(5)
        admin.connect(f"{tmp}/socket")
        admin.sendall(b"show stat\n")
        rows = list(csv.DictReader(admin.makefile().read().lstrip("# ").splitlines()))
    (row,) = [row for row in rows if row["svname"] == "node"]
    return row["status"], row["weight"], row["agent_status"].lstrip("* "), row["last_agt"]


def await_(what, limit, is_so):
    end = time.monotonic() + limit
    while True:
        try:
            if is_so():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            sys.exit(f"{what}: not seen; {node()}")
        time.sleep(0.2)


await_("the agent's answer", 20, lambda: ask() == "up ready")
await_("HAProxy has heard it", 20, lambda: node()[2] == "L7OK" and node()[0] == "UP")
print("at first:            ", *node())
begun = time.monotonic()
while time.monotonic() - begun < 50 and ask():
    pass  # the questions of other balancers
with open(f"{tmp}/word", "w") as file:
    file.write("drain\n")
await_("HAProxy gets no answer", 10, lambda: node()[2] == "L7RSP")
time.sleep(5)  # five more questions
mute, answer = node(), ask()
print("the word is drain:   ", *mute)
print("an asker gets:       ", repr(answer))
await_("the drain is heard", 70, lambda: node()[0].startswith("DRAIN"))
took = time.monotonic() - begun
print(f"{took:.0f} s after the first:", *node())
if mute[0] != "UP" or mute[1] != "1" or answer != "" or not 30 < took < 90:
    sys.exit("CHANGED: the agent answers, or HAProxy takes its silence for something")
print("as described")
PY
python3 -m http.server -b 127.83.17.23 -d "$tmp/root" 19120 >/dev/null 2>&1 & # the application
pids+=($!)
"$tmp/root/usr/sbin/inetd" -i "$tmp/inetd.conf" >"$tmp/inetd.log" 2>&1 &
pids+=($!)
"$tmp/root/usr/sbin/haproxy" -db -f "$tmp/haproxy.cfg" >"$tmp/haproxy.log" 2>&1 &
pids+=($!)
python3 "$tmp/drive.py" "$tmp"
