#!/bin/bash
# A process that gdb is attached to can be killed, but its parent is not told until gdb is used again.
#
# Expected: `kill -9` ends a process whatever is attached to it, and its supervisor is told at once: SIGCHLD
#   arrives, waitpid returns the status, and the program is started again.
# Seen: the process ends at once: its port is closed and the load balancer takes the node out. But while gdb
#   waits at its prompt, the supervisor's waitpid reports "no change". runsv goes on saying "run", with the
#   process id of a zombie, and starts nothing. The moment gdb quits, the program is started again.
#   A pidfd becomes readable at the death all the same, so a supervisor that waits for the pidfd and then asks
#   waitid(P_PIDFD) for the status is told "ended" by the one and "nothing to report" by the other.
# Why: Linux gives the status of a traced process to its tracer first. The parent's turn comes when the tracer
#   has fetched it or has gone, and gdb at its prompt does not fetch.
# Versions seen: gdb 13.1-3, runit 2.1.2-54, memcached 1.6.18-1+deb12u1 (Debian 12), Linux 6.18.
# Why it matters: an engineer attaches gdb to an application that hangs, looks, and forgets the terminal. The
#   restart that follows (by a person, or by a checker with a forced stop) kills and never starts: the node
#   stays out until the terminal is closed, and the supervisor still reports the service as running.
# Instead: detach before leaving (`gdb -batch -ex 'thread apply all bt' -p PID` detaches by itself, or use
#   gcore). A supervisor should take a readable pidfd, or state Z in /proc, as the end of the process, must
#   not spin when the status is not there yet, and can report the tracer: TracerPid in /proc/PID/status.
# Needs: apt-get, python3, permission to trace processes of the same user (exit 77 without). Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install gdb runit memcached >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
for name in gdb runit memcached; do dpkg-deb --show "$tmp/debs/${name}"_*.deb; done
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf "%s:" "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

cat >"$tmp/drive.py" <<'PY'
import os, select, signal, socket, subprocess, sys, time

tmp = sys.argv[1]
root = f"{tmp}/root"
env = {**os.environ, "PATH": f"{root}/usr/bin:{root}/bin:{os.environ['PATH']}", "DEBUGINFOD_URLS": ""}


def await_value(what, read, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            value = read()
        except (OSError, ValueError):
            value = None
        if value:
            return value
        time.sleep(0.05)
    sys.exit(f"timed out: {what}")


def status_of(pid, key):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(key + ":"):
            return line.split(None, 1)[1].strip()


def attach(pid):
    """gdb at its prompt, attached to the process."""
    gdb = subprocess.Popen([f"{root}/usr/bin/gdb", "-q", "-nx", "-p", str(pid)], env=env, text=True,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    gdb.stdin.write("echo at-the-prompt\\n\n")
    gdb.stdin.flush()
    text = ""
    while "at-the-prompt" not in text:
        line = os.read(gdb.stdout.fileno(), 4096).decode()
        text += line
        if not line:
            print(text)
            sys.exit(77)
    if status_of(pid, "TracerPid") != str(gdb.pid):
        print(text + "\ngdb may not attach here")
        gdb.stdin.close()
        gdb.wait()
        sys.exit(77)
    return gdb


def quit(gdb):
    gdb.stdin.write("quit\n")
    gdb.stdin.close()
    gdb.stdout.read()
    gdb.wait()


# Part 1: a parent of our own.
child = subprocess.Popen(["sleep", "600"])
try:
    pidfd = os.pidfd_open(child.pid)
    gdb = attach(child.pid)
    child.kill()
    readable = bool(select.select([pidfd], [], [], 10)[0])
    reported = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    zombie = status_of(child.pid, "State")[0] == "Z"
    quit(gdb)
    after = await_value("status after gdb has quit", lambda: os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG), 10)
finally:
    child.kill()
print(f"killed under gdb: pidfd readable: {readable}; zombie: {zombie}; waitid: {reported}; waitid after gdb quit: {after.si_status}")

# Part 2: a common supervisor.
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
service = f"{tmp}/service"
os.mkdir(service)
user = "-u root" if os.geteuid() == 0 else ""
with open(f"{service}/run", "w") as file:
    file.write(f"#!/bin/sh\nexec {root}/usr/bin/memcached {user} -l 127.0.0.1 -p {port} -U 0\n")
os.chmod(f"{service}/run", 0o755)
runsv = subprocess.Popen([f"{root}/usr/bin/runsv", service], env=env, stderr=subprocess.DEVNULL)


def serves():
    with socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(b"version\r\n")
        return connection.recv(100).startswith(b"VERSION")


def pid_now():
    return int(open(f"{service}/supervise/pid").read())


def successor(old, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if pid_now() != old and serves():
                return True
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    return False


try:
    await_value("first answer", serves)
    old = pid_now()
    os.kill(old, signal.SIGKILL)
    control = successor(old, 20)
    old = pid_now()
    gdb = attach(old)
    os.kill(old, signal.SIGKILL)
    hidden = not successor(old, 8)
    said = subprocess.run([f"{root}/usr/bin/sv", "status", service], env=env, capture_output=True, text=True)
    quit(gdb)
    revealed = successor(old, 20)
finally:
    runsv.terminate()  # runsv ends its service on SIGTERM
    try:
        runsv.wait(15)
    except subprocess.TimeoutExpired:
        runsv.kill()
print(f"runsv, no debugger: killed memcached was started again: {control}")
print(f"runsv, gdb at its prompt: started again within 8 s: {not hidden}; sv status says: {said.stdout.strip().split(': ', 2)[-1]}")
print(f"runsv, gdb has quit: started again: {revealed}")
print("one would have guessed: started again each time, and waitid agrees with the pidfd")
if not (readable and zombie and reported is None and after.si_status == signal.SIGKILL):
    sys.exit("the behaviour of the kernel has changed")
if not (control and hidden and said.stdout.startswith("run") and revealed):
    sys.exit("the behaviour of runsv has changed")
PY
python3 "$tmp/drive.py" "$tmp"
