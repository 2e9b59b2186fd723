#!/bin/bash
# inotify reports the last write to a file made with O_TMPFILE under a number, not under the name it was given.
#
# Expected: a file that is written without a name (O_TMPFILE) and then linked into a folder appears there whole,
#   which is the purpose. A watcher of the folder sees it appear under its name, and if its writer writes on or
#   closes it later, a MODIFY or CLOSE_WRITE of that name.
# Seen: the name gets exactly one event, CREATE. All events of the writer's descriptor, before and after the
#   link, carry a name such as "#10108984", which never was in the folder. CLOSE_WRITE of the name, the event
#   that watchers wait for, does not come; neither does MOVED_TO.
# Why: inotify names a file by the directory entry through which it was opened, and an O_TMPFILE descriptor
#   keeps the nameless one that it was opened with.
# Versions seen: inotify-tools 3.22.6.0-4 (Debian 12) on ext4 and tmpfs, Linux 6.18.
# Why it matters: a hot reload that waits for CLOSE_WRITE or MOVED_TO of *.wasm or *.conf never loads such a
#   file, though it was installed in the safest way there is. One that loads at CREATE meets the usual writer's
#   file while it is still empty. And filters on the file's suffix drop the numbered events.
# Instead: take every event, of whatever kind and name, as a hint to look at the folder again; load what has
#   been the same for a while (size, time, digest), and look again from time to time without any event.
# Needs: apt-get, python3, a file system with O_TMPFILE in the temporary folder (exit 77 without). Any user.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root" "$tmp/folder"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install inotify-tools >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/inotify-tools_*.deb
echo "Linux $(uname -r), $(stat -f -c %T "$tmp/folder")"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

cat >"$tmp/drive.py" <<'PY'
import errno, os, subprocess, sys

tmp = sys.argv[1]
folder = f"{tmp}/folder"


def nameless():
    fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
    os.write(fd, b"first half, ")
    subprocess.run(["ln", "-L", f"/proc/{os.getpid()}/fd/{fd}", f"{folder}/linked.wasm"], check=True)
    os.write(fd, b"second half")
    os.close(fd)


def renamed():
    with open(f"{folder}/renamed.tmp", "w") as file:
        file.write("whole")
    os.rename(f"{folder}/renamed.tmp", f"{folder}/renamed.wasm")


def plain():
    with open(f"{folder}/plain.wasm", "w") as file:
        file.write("whole")


try:
    os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
except OSError as error:
    if error.errno in (errno.EOPNOTSUPP, errno.EISDIR):
        print("no O_TMPFILE on this file system")
        sys.exit(77)
    raise
watcher = subprocess.Popen([f"{tmp}/root/usr/bin/inotifywait", "-m", "--format", "%e %f", folder],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
try:
    for line in watcher.stderr:
        if "Watches established" in line:
            break
    events = {}
    for act in (nameless, renamed, plain):
        act()
        os.mkdir(f"{folder}/end-of-{act.__name__}")  # events come in order: this one ends the part
        for line in watcher.stdout:
            kinds, name = line.rstrip("\n").split(" ", 1)
            if name == f"end-of-{act.__name__}" and "CREATE" in kinds:
                break
            if not name.startswith("end-of-"):
                events.setdefault(act.__name__, []).append((kinds.split(",")[0], name))
finally:
    watcher.kill()
    watcher.wait()
for part, seen in events.items():
    print(f"{part + ':':10}", ", ".join(f"{kind} {name}" for kind, name in seen))
print("one would have guessed: CLOSE_WRITE linked.wasm, or nothing but names that were in the folder")
of_name = {part: [kind for kind, name in seen if name.endswith(".wasm")] for part, seen in events.items()}
numbered = {kind for kind, name in events["nameless"] if name.startswith("#")}
if not (of_name["nameless"] == ["CREATE"] and {"MODIFY", "CLOSE_WRITE"} <= numbered
        and "MOVED_TO" in of_name["renamed"] and "CLOSE_WRITE" in of_name["plain"]
        and open(f"{folder}/linked.wasm").read() == "first half, second half"):
    sys.exit("the behaviour has changed")
PY
python3 "$tmp/drive.py" "$tmp"
