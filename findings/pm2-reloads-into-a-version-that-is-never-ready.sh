#!/bin/bash
# pm2's zero-downtime reload replaces working processes by ones that never became ready, and reports success.
#
# Expected: with `wait_ready`, `pm2 reload` waits until the new process has said that it is ready. If it does not
#   say so within `listen_timeout`, the reload fails, the new process goes, and the old ones serve on.
# Seen: listen_timeout is not a limit after which the reload fails. When it has passed, pm2 counts the new process
#   as ready, ends the old one, and does the same with the next. A version that hangs while starting, and neither
#   listens nor says ready, takes the place of all of them: connections are refused, pm2 prints a tick for each,
#   exits with 0, and lists every process as online.
# Versions seen: pm2 7.0.4, node 20.20, Linux 6.18.
# Why it matters: wait_ready is chosen for exactly this case, and every test with a version that starts passes.
#   A deployment that relies on the exit code goes on to the next server. Only the load balancer notices, one
#   node after the other, and at last there is none.
# Instead: after each node's reload ask the application itself (the health page, with its version) before the
#   next node is touched, and take the old version back if it does not answer. Let a process that cannot start
#   exit with an error rather than wait without a limit.
# Needs: node 18 or later with npm, curl. Any user.
set -euo pipefail

tmp=$(mktemp -d)
export PM2_HOME=$tmp/home
end() {
  if [ -x "$tmp/node_modules/.bin/pm2" ]; then timeout 20 "$tmp/node_modules/.bin/pm2" kill >/dev/null 2>&1 || true; fi
  rm -rf "$tmp"
}
trap end EXIT
cd "$tmp"
printf '{"name":"finding","version":"1.0.0","private":true}\n' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact pm2@7.0.4 >/dev/null
pm2() { timeout 60 node_modules/.bin/pm2 --no-color "$@"; }
pm2 ping >/dev/null 2>&1
echo "pm2 $(pm2 --version | tail -1), node $(node --version), Linux $(uname -r)"

port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
cat >app.js <<JS
if (process.env.VERSION === '1') {
  require('http').createServer((request, response) => response.end('version 1'))
    .listen($port, '127.0.0.1', () => process.send('ready'));
} else {
  setInterval(() => {}, 1000); // version 2 waits for something that does not come
}
JS
cat >ecosystem.config.js <<'JS'
module.exports = {
  apps: [{ name: 'web', script: 'app.js', exec_mode: 'cluster', instances: 2, wait_ready: true, listen_timeout: 2000 }],
};
JS
ask() { curl -s --max-time 5 "http://127.0.0.1:$port/" || echo "no answer (curl: $?)"; }
states() { pm2 jlist 2>/dev/null | node -e 'let t = ""; process.stdin.on("data", (d) => t += d).on("end", () => {
  const list = JSON.parse(t.slice(t.indexOf("[{"))); console.log(list.map((p) => p.pm2_env.status).join(", ")) })'; }

VERSION=1 pm2 start ecosystem.config.js >/dev/null
before=$(ask)
echo "started:       $before; pm2: $(states)"
VERSION=1 pm2 reload ecosystem.config.js --update-env >/dev/null
control=$(ask)
echo "reload to 1:   $control"
status=0
VERSION=2 pm2 reload ecosystem.config.js --update-env >words 2>&1 || status=$?
after=$(ask)
listed=$(states)
echo "reload to 2:   exit $status, $(grep -c '✓' words || true) ticks; $after; pm2: $listed"
echo "one would have guessed: the last reload fails, and version 1 serves on"
if [ "$before" != "version 1" ] || [ "$control" != "version 1" ] || [ "$status" != 0 ] ||
  [[ $after != "no answer"* ]] || [ "$listed" != "online, online" ]; then
  echo "the behaviour has changed"
  cat words
  exit 1
fi
