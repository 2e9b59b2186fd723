#!/bin/bash
# The parent-death signal is sent when the thread that started the child ends, not when the parent process does.
#
# Expected: `setpriv --pdeathsig TERM PROGRAM` (PR_SET_PDEATHSIG) ends the program when its parent process dies.
# Seen: a program started from a worker thread gets SIGTERM at the moment that thread ends. Its parent process
#   lives, has done nothing, and finds its child dead. Started from the main thread, the same program lives on.
# Versions seen: util-linux 2.38.1 (Debian 12), Python 3.11, Linux 6.18. It is the kernel's definition of a parent
#   here, the same for every language.
# Why it matters: the option is set so that no orphan is left when a supervisor is killed. But supervisors start
#   programs from pools: Python's executors, the blocking threads of Rust's tokio, Go's system threads. A pool ends
#   idle threads after some seconds, or at its next adjustment, and an application that was well ends by a plain
#   SIGTERM, in good order and without a word of the reason. It hits those programs that were started in a
#   quiet hour, and never under the load of a test.
# Instead: set it only in children started from a thread that lives as long as the process (one that does nothing
#   else), or use what belongs to the process: a pipe or socket that closes at its death, a cgroup, a PID namespace.
# Needs: python3, setpriv (util-linux). Any user.
set -euo pipefail

setpriv --version
python3 --version
echo "Linux $(uname -r)"
python3 - <<'PY'
import signal, subprocess, sys, threading

command = ["setpriv", "--pdeathsig", "TERM", "sh", "-c", "echo started; exec sleep 600"]
children = {}
has_started, may_end = threading.Event(), threading.Event()


def start(name):
    children[name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    children[name].stdout.readline()  # the signal has been asked for by now


def work():
    start("worker thread")
    has_started.set()
    may_end.wait(30)


def ending(name, seconds):
    try:
        return signal.Signals(-children[name].wait(seconds)).name
    except subprocess.TimeoutExpired:
        return "runs"


try:
    start("main thread")
    worker = threading.Thread(target=work)
    worker.start()
    has_started.wait(30)
    before = ending("worker thread", 2)
    may_end.set()
    worker.join()
    after = ending("worker thread", 10)
    other = ending("main thread", 1)
finally:
    for child in children.values():
        child.kill()
        child.wait()
print(f"child of a worker thread: while the thread lives: {before}; after it has ended: {after}")
print(f"child of the main thread: {other}")
print("one would have guessed: both run, because their parent process does")
if (before, after, other) != ("runs", "SIGTERM", "runs"):
    sys.exit("the behaviour has changed")
PY
