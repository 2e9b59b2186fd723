// Checks that the system clock goes forward. A clock that was set back breaks sessions, leases
// and everything else that compares times.
//
// A checker in JavaScript. It shows what most checkers need: a configuration, the log, the
// state, measurements, and the difference between fail and unknown.

import { log } from "bellwether:guest/log@1.1.0";
import * as state from "bellwether:guest/state@1.1.0";

const CONFIG_SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  properties: {
    "at-most-back-ms": {
      type: "integer",
      minimum: 0,
      default: 1000,
      description: "The clock may go back by this much, in milliseconds, because time services do that.",
    },
  },
};

export const describe = {
  describe() {
    return {
      name: "steady-clock",
      version: "1.0.0",
      summary: "Fails when the clock was set back since the last run.",
      configSchema: JSON.stringify(CONFIG_SCHEMA),
      grants: [],
      attributes: [],
    };
  },
};

export const check = {
  // Each run has a new instance: persistent data belongs into the state.
  check(request) {
    try {
      return look(request);
    } catch (error) {
      // The resource was not checked, or not completely: never a fail.
      return observation("unknown", `could not tell: ${error.message}`);
    }
  },
};

function look(request) {
  const atMostBack = configured(request.config);
  const now = Date.now();
  const before = remembered() ?? { runs: 0, at: now };
  const runs = before.runs + 1;
  remember({ runs, at: now });

  const passed = now - before.at;
  log("debug", `run ${runs} of ${request.module}/${request.checker}: ${passed} ms after the last one`);
  const measurements = [
    { name: "since-last-run", value: passed, unit: "ms" },
    { name: "runs", value: runs, unit: "" },
  ];
  return -passed > atMostBack
    ? observation("fail", `the clock was set back by ${-passed} ms`, measurements)
    : observation("pass", "the clock goes forward", measurements);
}

function observation(status, summary, measurements = []) {
  return { status, summary, measurements, attributes: [] };
}

function configured(text) {
  const config = JSON.parse(text);
  const unknown = Object.keys(config).filter((key) => !(key in CONFIG_SCHEMA.properties));
  if (unknown.length > 0) throw new Error(`unknown keys: ${unknown.join(", ")}`);
  const atMostBack = config["at-most-back-ms"] ?? 1000;
  if (!Number.isInteger(atMostBack) || atMostBack < 0) throw new Error("at-most-back-ms must be a whole number of milliseconds");
  return atMostBack;
}

function remembered() {
  const bytes = state.get("last");
  return bytes && JSON.parse(new TextDecoder().decode(bytes));
}

function remember(last) {
  state.set("last", new TextEncoder().encode(JSON.stringify(last)));
}
