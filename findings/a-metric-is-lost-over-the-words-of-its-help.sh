#!/bin/bash
# node_exporter leaves out a metric of one text file because another file explains it in other words, and reports no error.
#
# Expected: two applications write a file each for the textfile collector, both with `app_up`, told apart by a label. If
#   their HELP lines differ, the exporter shows both values under one of the two texts. If it took that for an error, it
#   would say so as it does for a file that it cannot read: node_textfile_scrape_error is 1.
# Seen: only the values of the file whose name comes first are in the answer. The other file's are left out, while its
#   node_textfile_mtime_seconds is there and current, node_textfile_scrape_error is 0, the collector's success is 1, and
#   the status is 200. A line in the log tells of it, and promhttp_metric_handler_errors_total{cause="gathering"}, which
#   shows each error one scrape late. A file that lacks its last newline, by contrast, sets node_textfile_scrape_error.
# Versions seen: prometheus-node-exporter 1.5.0-1+b6 (Debian 12), Linux 6.18.
# Why it matters: the applications of a node are upgraded one at a time. A release that improves the help text makes
#   either its own metrics vanish or those of all the applications that have not been upgraded, depending on the names
#   of the files. An alert on `app_up == 0` cannot fire for a series that is not there, and the alerts recommended for
#   stale and broken files (age and scrape error) see nothing wrong.
# Instead: leave out the HELP line (the exporter writes one of its own that names the files), or have one program write
#   all files. Alert on absent() for each application and on an increase of the handler's errors.
# Needs: apt-get, curl. Any user.
set -euo pipefail

tmp=$(mktemp -d)
exporter=
trap 'if [ -n "$exporter" ]; then kill "$exporter" 2>/dev/null && wait "$exporter" || true; fi; rm -rf "$tmp"' EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root" "$tmp/files"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install prometheus-node-exporter >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
dpkg-deb --show "$tmp"/debs/prometheus-node-exporter_*.deb
echo "Linux $(uname -r)"

page=http://127.83.17.21:19104/metrics
"$tmp/root/usr/bin/prometheus-node-exporter" --collector.disable-defaults --collector.textfile \
  --collector.textfile.directory="$tmp/files" --web.listen-address=127.83.17.21:19104 >"$tmp/log" 2>&1 &
exporter=$!
for _ in $(seq 100); do
  if curl -s -m 5 -o /dev/null "$page"; then break; fi
  sleep 0.1
done

write() { # NAME, APPLICATION, VALUE, HELP: one file; without HELP, none is written
  { if [ -n "$4" ]; then echo "# HELP app_up $4"; fi
    echo '# TYPE app_up gauge'
    echo "app_up{app=\"$2\"} $3"; } >"$tmp/files/$1.prom"
}
scrape() { # into $values, $files, $error and $status
  status=$(curl -s -m 5 -o "$tmp/page" -w '%{http_code}' "$page")
  values=$(grep '^app_up' "$tmp/page" | tr '\n' ' ')
  files=$(grep -c '^node_textfile_mtime_seconds' "$tmp/page")
  error=$(awk '$1 == "node_textfile_scrape_error" { print $2 }' "$tmp/page")
  echo "$1: ${values}status $status, files read $files, scrape error $error"
}

write a shop 1 'Whether it serves.'
write b till 0 'Whether it serves.'
scrape 'the same help'
same=$values/$files/$error/$status
write b till 0 'Whether the application serves.'
scrape 'another help in b'
other=$values/$files/$error/$status
logged=$(grep -c 'but should have' "$tmp/log" || true)
mv "$tmp/files/b.prom" "$tmp/files/0.prom"
scrape 'b is called 0   '
renamed=$values/$files/$error/$status
rm "$tmp/files/0.prom"
write a shop 1 ''
write b till 0 ''
scrape 'no help         '
without=$values/$files/$error/$status
text=$(grep "^# HELP app_up" "$tmp/page" | sed "s|$tmp/files/||g")
echo "lines in the log about the difference: $logged; without help: $text"
both='app_up{app="shop"} 1 app_up{app="till"} 0 /2/0/200'
if [ "$same" != "$both" ] || [ "$without" != "$both" ] || [ "$other" != 'app_up{app="shop"} 1 /2/0/200' ] ||
  [ "$renamed" != 'app_up{app="till"} 0 /2/0/200' ] || [ "$logged" != 1 ]; then
  echo 'CHANGED: both values are shown, or the error is reported'
  exit 1
fi
echo 'as described'
