#!/bin/bash
# A process whose main thread has ended serves on in its other threads, and is a dead zombie to every process checker.
#
# Expected: state Z (zombie) in /proc or ps means that a process has ended and waits for its parent.
# Seen: a server whose main thread has left by pthread_exit, as POSIX allows, answers its clients as before. Its
#   state is Z, its command line is empty, and its program and open files cannot be read. monit reports "process
#   is a zombie" in each cycle, check_procs and pgrep do not find it by its arguments, psutil says "zombie", and
#   its port has no owner in `ss -p`. The kernel itself reports correctly: a pidfd is not readable, and /proc/PID/task
#   holds the threads that live, with command line, program and files under each.
# Versions seen: monit 5.33.0-1, monitoring-plugins 2.3.3-5+deb12u2 (Debian 12), psutil 7.1.3, Linux 6.18.
# Why it matters: a checker restarts, or takes out of the load balancer, an application that serves, again and
#   again, since the next instance does the same; and a search for the owner of the port finds none.
#   Counting zombies as living is no way out: then an application that has died under a parent that does not
#   reap is up for ever.
# Instead: hold a pidfd, which tells the end of the whole process; or take Z for dead only if Threads in
#   /proc/PID/status is 1 or less. Read command line, program and files through /proc/PID/task/TID of any thread.
# Needs: apt-get, python3 with venv, pgrep. Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install monit monitoring-plugins-basic >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
for name in monit monitoring-plugins-basic; do dpkg-deb --show "$tmp/debs/${name}"_*.deb; done
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" -q install --disable-pip-version-check psutil==7.1.3
echo "psutil 7.1.3, Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

cat >"$tmp/app.py" <<'PY'
import ctypes, http.server, threading


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever).start()
print(server.server_port, flush=True)
ctypes.CDLL(None).pthread_exit(None)
PY
cat >"$tmp/drive.py" <<'PY'
import os, select, subprocess, sys, time, urllib.request
import psutil

tmp = sys.argv[1]
app = subprocess.Popen([sys.executable, f"{tmp}/app.py", "the-only-one"], stdout=subprocess.PIPE, text=True)
monit = None


def await_value(what, read, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = read()
        if value:
            return value
        time.sleep(0.1)
    sys.exit(f"timed out: {what}")


def status_of(key):
    for line in open(f"/proc/{app.pid}/status"):
        if line.startswith(key + ":"):
            return line.split()[1]


def answer():
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status


try:
    port = int(app.stdout.readline())
    await_value("end of the main thread", lambda: status_of("State") == "Z")
    found = subprocess.run(["pgrep", "-f", f"{tmp}/app[.]py the-only-one"], capture_output=True, text=True).stdout.split()
    check = subprocess.run([f"{tmp}/root/usr/lib/nagios/plugins/check_procs", "-c", "1:", "-a", f"{tmp}/app.py the-only-one"],
                           capture_output=True, text=True)
    says = psutil.Process(app.pid).status()
    with open(f"{tmp}/app.pid", "w") as file:
        file.write(f"{app.pid}\n")
    with open(f"{tmp}/monitrc", "w") as file:
        file.write(f"set daemon 1\nset pidfile {tmp}/m.pid\nset idfile {tmp}/m.id\nset statefile {tmp}/m.state\n"
                   f"set log {tmp}/m.log\ncheck process app with pidfile {tmp}/app.pid\n")
    os.chmod(f"{tmp}/monitrc", 0o600)
    monit = subprocess.Popen([f"{tmp}/root/usr/bin/monit", "-I", "-c", f"{tmp}/monitrc"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def verdict():
        if os.path.exists(f"{tmp}/m.log"):
            for line in open(f"{tmp}/m.log"):
                if "'app'" in line and " error " in line:
                    return line.split(":", 3)[-1].strip()

    word = await_value("word of monit", verdict).replace(str(app.pid), "N")
    pidfd = os.pidfd_open(app.pid)
    ended = bool(select.select([pidfd], [], [], 0)[0])
    thread = next(tid for tid in os.listdir(f"/proc/{app.pid}/task") if tid != str(app.pid))
    by_thread = open(f"/proc/{app.pid}/task/{thread}/cmdline").read().split("\0")[-2]
    own = open(f"/proc/{app.pid}/cmdline").read()
    threads, code = int(status_of("Threads")), answer()
    print(f"the server answers {code}; state Z, {threads} threads; command line \"{own}\", by its thread \"… {by_thread}\"")
    print(f"pidfd says ended: {ended}; waitpid says: {app.poll()}")
    print(f"monit: {word}")
    print(f"check_procs: exit {check.returncode}: {check.stdout.split('|')[0].split(' with')[0]}; pgrep -f finds {len(found)}; psutil: {says}")
    print("one would have guessed: a process in state Z answers nothing, or the checkers find one that serves")
    if not (code == 200 and threads > 1 and not ended and app.poll() is None and own == "" and by_thread == "the-only-one"
            and "zombie" in word and check.returncode == 2 and not found and says == "zombie"):
        sys.exit("the behaviour has changed")
finally:
    if monit:
        monit.kill()
        monit.wait()
    app.kill()
    app.wait()
PY
"$tmp/venv/bin/python" "$tmp/drive.py" "$tmp"
