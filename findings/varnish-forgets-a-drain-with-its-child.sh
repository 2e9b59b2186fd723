#!/bin/bash
# A backend that was set to sick in varnishd gets requests again when varnishd's child has died, or after the next VCL.
#
# Expected: `varnishadm backend.set_health NAME sick` takes a backend out until it is set back. varnishd's manager starts
#   a child again that has died, with the VCL and the parameters that were set at run time; so the backend is still out.
# Seen: the new child has the parameter that was set, and the backend is in again, "healthy". The same after
#   `vcl.load` and `vcl.use` of a file in which nothing was changed: the backends are new ones, and the setting stays
#   with those of the old VCL. Nothing says so, neither the answer of a command nor varnishd's log.
# Versions seen: varnish 7.1.1-2+deb12u1 (Debian 12), Linux 6.18.
# Why it matters: a node is drained to be stopped or examined, which takes minutes or days. In that time a panic or the
#   OOM killer ends the child (the larger process, and so the likelier one), or a colleague loads a new VCL, and the
#   clients go to the node that is being worked on. Whoever drained it has seen it drained, and is told nothing.
# Instead: let the node itself answer the probe with something else than 200 as long as it is drained: this outlives both.
#   Where there is no probe, look at `backend.list` again for as long as the drain is to last, and set it again.
# Needs: apt-get, cc (varnishd compiles VCL), curl, python3. Any user.
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
mkdir -p "$tmp/debs/partial" "$tmp/root" "$tmp/work"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install varnish libedit2 libbsd0 libjemalloc2 libpcre2-8-0 >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/varnish_*.deb
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu "$tmp"/root/usr/lib/*-linux-gnu/varnish)
export LD_LIBRARY_PATH
host=127.83.17.22

for port in 19111 19112; do
  mkdir "$tmp/$port"
  echo "$port" >"$tmp/$port/index.html"
  python3 -m http.server -b "$host" -d "$tmp/$port" "$port" >/dev/null 2>&1 &
  pids+=($!)
done
cat >"$tmp/two.vcl" <<VCL
vcl 4.1;
import directors;
backend first { .host = "$host"; .port = "19111"; }
backend second { .host = "$host"; .port = "19112"; }
sub vcl_init {
  new both = directors.round_robin();
  both.add_backend(first);
  both.add_backend(second);
}
sub vcl_recv { set req.backend_hint = both.backend(); return (pass); }
VCL
adm() { "$tmp/root/usr/bin/varnishadm" -t 20 -n "$tmp/work" "$@"; }
answers() { # what 12 requests get, counted
  for _ in $(seq 12); do curl -s -m 5 "http://$host:19110/" || echo nothing; done | sort | uniq -c | awk '{ printf "%s×%s ", $2, $1 }'
}
await() { # STEP COMMAND…: until it succeeds
  for _ in $(seq 300); do
    if "${@:2}" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "$1: not seen"
  cat "$tmp/log"
  exit 1
}
serves() { curl -s -m 5 "http://$host:$1/" | grep -qx 1911.; }
has_new_child() { sed 1,/died/d "$tmp/log" | grep -q 'Child starts'; }
setting() { adm param.show default_grace | awk '/Value is/ { print $3 }'; }

await 'the first backend' serves 19111
await 'the second backend' serves 19112
"$tmp/root/usr/sbin/varnishd" -F -n "$tmp/work" -j none -a "$host:19110" -S none -T "$host:19113" -f "$tmp/two.vcl" \
  -p vmod_path="$(echo "$tmp"/root/usr/lib/*-linux-gnu/varnish/vmods)" >"$tmp/log" 2>&1 &
manager=$!
pids+=("$manager")
await varnishd serves 19110
before=$(answers)
adm param.set default_grace 17 >/dev/null
adm backend.set_health boot.first sick >/dev/null
drained=$(answers)
kill -9 $(cat "/proc/$manager/task/$manager/children")
await 'a new child' has_new_child
await 'the new child' serves 19110
killed=$(answers)
grace=$(setting)
adm backend.set_health boot.first sick >/dev/null
again=$(answers)
adm vcl.load later "$tmp/two.vcl" >/dev/null
adm vcl.use later >/dev/null
loaded=$(answers)
echo "before:                         $before"
echo "the first is set to sick:       $drained"
echo "the child was killed:           $killed (default_grace is still $grace)"
echo "the first is set to sick again: $again"
echo "the same VCL was loaded:        $loaded"
both='19111×6 19112×6 '
if [ "$before" != "$both" ] || [ "$drained" != '19112×12 ' ] || [ "$killed" != "$both" ] || [ "$grace" != 17.000 ] ||
  [ "$again" != '19112×12 ' ] || [ "$loaded" != "$both" ]; then
  echo 'CHANGED: the backend stays out'
  exit 1
fi
echo 'as described'
