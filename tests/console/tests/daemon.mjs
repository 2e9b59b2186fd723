// A real daemon with its own root directory and modules in several states.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";

const BINARY = process.env.BELLWETHER;
const MODULES = {
  web: `[commands]
start = { run = ["/bin/sleep", "100001"], keep = true }
[restart]
backoff = { first = "1s", max = "1s" }
[health]
drain = "0s"
[[checker]]
name = "health-port"
component = "tcp"
interval = "1s"
on-down = "notify"
config = { address = "HEALTH" }
grant = { connect = ["HEALTH"] }
`,
  orders: `[commands]
start = { run = ["/bin/false"], keep = true }
[restart]
budget = { restarts = 1, within = "1h" }
backoff = { first = "1s", max = "1s" }
`,
  reports: `[commands]
start = { run = ["/bin/sleep", "100002"], keep = true }
[health]
drain = "0s"
[[checker]]
name = "wider"
component = "wider"
on-down = "notify"
interval = "5s"
config = { ask = "processes" }
grant = { processes = true }
`,
  archive: `[commands]
start = { run = ["/bin/sleep", "100003"], keep = true }
[health]
drain = "1h"
`,
  broken: `[comands]
start = 3
`,
};

export class Daemon {
  static async start() {
    const daemon = new Daemon();
    daemon.root = fs.mkdtempSync(path.join(os.tmpdir(), "bellwether-console-"));
    layCompiledInto(daemon.root);
    for (const folder of ["modules", "checkers", "faults"]) fs.mkdirSync(path.join(daemon.root, folder));
    const health = `127.0.0.1:${await freePort()}`;
    const console = `127.0.0.1:${await freePort()}`;
    daemon.url = `http://${console}`;
    daemon.write("bellwether.toml", `name = "node-1"
[health]
listen = "${health}"
[console]
listen = "${console}"
url = "${daemon.url}"
[[notify]]
name = "phone"
on = ["failed"]
modules = ["orders"]
group-wait = "1s"
command = ["/bin/sh", "-c", "cat >> phone.json; echo >> phone.json"]
[shutdown]
applications = "stop"
within = "10s"
`);
    for (const [name, text] of Object.entries(MODULES)) {
      daemon.write(`modules/${name}.toml`, text.replaceAll("HEALTH", health));
    }
    daemon.write("checkers/wider.wasm", asking("127.0.0.1"));
    daemon.write("checkers/cracked.wasm", asking("127.0.0.1"));
    await daemon.run();
    await daemon.addUsers(["admin", "control", "monitor"]);
    daemon.tell("suspend", "reports");
    daemon.tell("stop", "archive");
    await eventually("the checker of reports has run", () => daemon.checker("reports", "wider")?.last?.status === "pass");
    daemon.write("checkers/wider.wasm", asking("127.0.0.9"));
    daemon.write("checkers/cracked.wasm", "this is no component");
    await eventually("one component waits", () => daemon.component("wider").waiting);
    await eventually("one component is in quarantine", () => daemon.component("cracked").quarantine);
    await eventually("orders fails", () => daemon.module("orders").state === "failed");
    await eventually("web is ready", () => daemon.module("web").ready);
    return daemon;
  }

  async run() {
    this.child = spawn(BINARY, ["run", "--root", this.root, "--log", "info"], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, BELLWETHER_FAULTS: path.join(this.root, "faults") },
    });
    this.child.stderr.on("data", (text) => { this.log = (this.log ?? "") + text; });
    await eventually("the daemon answers", () => {
      if (this.child.exitCode !== null) throw new Error(`the daemon has ended: ${this.log}`);
      try { return Boolean(this.status().console); } catch { return false; }
    });
  }

  write(file, text) { fs.writeFileSync(path.join(this.root, file), text); }
  append(file, text) { fs.appendFileSync(path.join(this.root, file), text); }
  remove(file) { fs.rmSync(path.join(this.root, file)); }

  tell(...args) { return execFileSync(BINARY, ["--root", this.root, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }); }
  status() { return JSON.parse(this.tell("status", "--json")); }
  module(name) { return this.status().modules.find((module) => module.name === name); }

  checker(module, name) { return this.module(module)?.checkers.find((checker) => checker.name === name); }
  component(name) { return this.status().components.find((component) => component.name === name); }

  /** Stalls a part of the daemon for `millis`. The file is renamed into place, because a partly written number would be a different one. */
  stall(part, millis) {
    this.write("new-fault", String(millis));
    fs.renameSync(path.join(this.root, "new-fault"), path.join(this.root, "faults", part));
  }

  addUser(name, role) {
    execFileSync(BINARY, ["--root", this.root, "user", "add", name, "--role", role, "--password-stdin"], { input: `${PASSWORD}\n`, stdio: "pipe" });
  }

  /** Adds users. Retries, because on a busy machine the first commands may time out. */
  async addUsers(roles) {
    for (const role of roles) {
      await eventually(`there is a user ${role}`, () => {
        try { this.addUser(role, role); } catch (error) {
          if (/did not answer in time/.test(String(error.stderr))) return false;
          // The attempt that timed out has added the user.
          if (!/already/.test(String(error.stderr))) throw error;
        }
        return true;
      });
    }
  }

  /** A one-time sign-in link. */
  once(user) { return JSON.parse(this.tell("console", "--user", user, "--json")).url; }

  signal(signal) { this.child.kill(signal); }

  /** Ends the daemon; after a SIGKILL the applications keep running. */
  async kill(signal) {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGCONT");
    this.child.kill(signal);
    await ended;
  }

  async end() {
    await this.kill("SIGTERM");
    this.endApplications();
    fs.rmSync(this.root, { recursive: true, force: true });
  }

  /** Ends the applications that the daemon did not stop, read from its state file: one of them drains for an hour. Each leads its own process group. */
  endApplications() {
    const pids = (value) => Object.entries(value ?? {}).flatMap(([key, inner]) => (key === "pid" ? [inner] : typeof inner === "object" ? pids(inner) : []));
    let kept;
    try { kept = JSON.parse(fs.readFileSync(path.join(this.root, "state/kept.json"), "utf8")); } catch { return; }
    for (const pid of pids(kept)) {
      try {
        if (fs.readlinkSync(`/proc/${pid}/cwd`) === this.root) process.kill(-pid, "SIGKILL");
      } catch { /* it has ended */ }
    }
  }

  /** Copies the files that explain a failure: all except components and their compiled code. */
  keep(folder) {
    fs.cpSync(this.root, folder, {
      recursive: true,
      filter: (from) => {
        const found = fs.lstatSync(from, { throwIfNoEntry: false });
        return Boolean(found) && (found.isDirectory() ? !from.endsWith("/state/compiled") : found.isFile() && !from.endsWith(".wasm") && found.size <= MOST_OF_A_FILE);
      },
    });
    fs.writeFileSync(path.join(folder, "daemon.log"), this.log ?? "");
  }
}

const MOST_OF_A_FILE = 8 << 20;

/** Copies the machine code that the Rust tests compiled with this binary, if they have run: see tests/src/compiled.rs. */
function layCompiledInto(root) {
  const { size, mtimeNs } = fs.statSync(BINARY, { bigint: true });
  const compiled = path.join(process.env.COMPILED, `${size}-${mtimeNs}`);
  if (!fs.existsSync(compiled)) return;
  const folder = path.join(root, "state", "compiled");
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const file of fs.readdirSync(compiled)) fs.copyFileSync(path.join(compiled, file), path.join(folder, file));
}

/** A checker component that requests, among others, to ping this address; another address makes another version of it. */
export function asking(address) {
  const component = fs.readFileSync(path.join(process.env.GUESTS, "granted.wasm"));
  const known = Buffer.from("127.0.0.1");
  const asked = Buffer.from(address);
  if (asked.length !== known.length) throw new Error(`${address} is not as long as ${known}`);
  for (let at = component.indexOf(known); at >= 0; at = component.indexOf(known, at + 1)) asked.copy(component, at);
  return component;
}

export const PASSWORD = "correct horse battery";

/** A range below the ephemeral ports, separate for each worker, so that a port that was found free stays free until the daemon listens on it. */
const PORTS = { first: 32_000, each: 100 };
let taken = 0;

async function freePort() {
  const worker = Number(process.env.TEST_PARALLEL_INDEX ?? 0);
  while (taken < PORTS.each) {
    const port = PORTS.first + (worker % 7) * PORTS.each + taken++;
    const free = await new Promise((resolve) => {
      const server = createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("no port is free");
}

/** Waits until a condition holds; the error names the condition. */
export async function eventually(what, holds) {
  const end = Date.now() + 180_000;
  while (Date.now() < end) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain until ${what}`);
}
