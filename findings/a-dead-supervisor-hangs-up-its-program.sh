#!/bin/bash
# A supervisor killed by SIGKILL leaves its program running, except when some process beside it was stopped.
#
# Expected: when a supervisor is killed, its program is adopted by init and serves on. A helper of the program
#   that happens to be stopped (SIGSTOP, a debugger, job control) stays stopped and concerns no other process.
# Seen: the program serves on only if every process of its group runs. If one of them is stopped, the kernel
#   sends SIGHUP and SIGCONT to the whole process group at the moment the supervisor dies, and a serving
#   uvicorn, which was never stopped, is ended by SIGHUP within milliseconds.
# Why: supervisord puts each program in a process group of its own, but leaves it in its own session. The
#   death of the supervisor makes that group an orphaned process group, and POSIX has orphaned groups with a
#   stopped member hung up. A supervisor that starts a new session for each program (setsid) is not affected,
#   because its programs' groups are orphaned from the beginning.
# Versions seen: supervisor 4.3.0, uvicorn 0.54.0, Python 3.11, Linux 6.18.
# Why it matters: "the application survives the death of its supervisor" is tested with everything running,
#   and fails in the incident in which a worker was stopped for examination. Both the dead supervisor and the lost
#   application are then put down to the supervisor's crash.
# Instead: a supervisor should give each program a session of its own (setsid(2)), not only a process group. Under
#   supervisord, start the program through `exec nohup`, which has it ignore SIGHUP; setsid(1) is no help there,
#   because it leaves a process that supervisord does not know.
# Needs: python3 with venv. Runs as any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" -q install --disable-pip-version-check supervisor==4.3.0 uvicorn==0.54.0
"$tmp/venv/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -Ei '^(supervisor|uvicorn) '
"$tmp/venv/bin/python" --version
echo "Linux $(uname -r)"

cat >"$tmp/app.py" <<'PY'
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
PY
cat >"$tmp/drive.py" <<'PY'
import ctypes, os, signal, socket, subprocess, sys, time, urllib.request

tmp = sys.argv[1]
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0  # orphans come to this process


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


def ending(pid, seconds):
    """The wait status of an adopted process, or None if it still runs after that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            done = 0  # not adopted yet
        if done:
            return status
        time.sleep(0.05)
    return None


def run(stop_helper):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("app.pid", "helper.pid"):
        if os.path.exists(f"{tmp}/{name}"):
            os.unlink(f"{tmp}/{name}")
    with open(f"{tmp}/start.sh", "w") as file:
        file.write(f"sleep 600 & echo $! >{tmp}/helper.pid; echo $$ >{tmp}/app.pid\n"
                   f"cd {tmp}; exec {tmp}/venv/bin/uvicorn app:app --host 127.0.0.1 --port {port}\n")
    with open(f"{tmp}/supervisord.conf", "w") as file:
        file.write(f"[supervisord]\nnodaemon=true\nuser={os.geteuid()}\nlogfile={tmp}/s.log\npidfile={tmp}/s.pid\n"
                   f"[program:web]\ncommand=/bin/sh {tmp}/start.sh\nstdout_logfile=NONE\nstderr_logfile=NONE\n")
    supervisor = subprocess.Popen([f"{tmp}/venv/bin/supervisord", "-c", f"{tmp}/supervisord.conf"],
                                  start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    app = helper = None
    try:
        app = await_value("pid of the program", lambda: int(open(f"{tmp}/app.pid").read()))
        helper = await_value("pid of the helper", lambda: int(open(f"{tmp}/helper.pid").read()))
        get = lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).read() == b"ok"
        await_value("first answer", get)
        assert os.getpgid(app) == os.getpgid(helper) != os.getpgid(supervisor.pid)
        assert os.getsid(app) == os.getsid(supervisor.pid)
        if stop_helper:
            os.kill(helper, signal.SIGSTOP)
            await_value("stopped helper", lambda: open(f"/proc/{helper}/stat").read().rsplit(")")[1].split()[0] == "T")
            assert get(), "uvicorn itself still serves"
        supervisor.kill()
        supervisor.wait()
        status = ending(app, 10 if stop_helper else 3)
        if status is None:
            return "serves on" if get() else "hangs"
        app = None
        return "ended by " + signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {status >> 8}"
    finally:
        if supervisor.poll() is None:
            supervisor.kill()
            supervisor.wait()
        for pid in (app, helper):
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                ending(pid, 5)


control = run(stop_helper=False)
print("supervisord killed, all processes of the group run:  uvicorn", control)
seen = run(stop_helper=True)
print("supervisord killed, a helper of the group is stopped: uvicorn", seen)
print("one would have guessed:                               uvicorn serves on both times")
if (control, seen) != ("serves on", "ended by SIGHUP"):
    sys.exit("the behaviour has changed")
PY
"$tmp/venv/bin/python" "$tmp/drive.py" "$tmp"
