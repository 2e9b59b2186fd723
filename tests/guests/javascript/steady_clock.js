// Does the machine's clock go forward? One that was set back breaks sessions, leases and
// whatever else compares moments.
//
// A checker in JavaScript. It shows all that a checker usually needs: a configuration, the
// log, the state, measurements, and the difference between fail and unknown.

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
      description: "Going back by so much is no fault: time services do that.",
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
  // Each run has a fresh instance: what should last goes to the state.
  check(request) {
    try {
      return look(request);
    } catch (error) {
      // The resource was not looked at, or not to the end: never a fail.
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
  if (unknown.length > 0) throw new Error(`nobody knows ${unknown.join(", ")}`);
  const atMostBack = config["at-most-back-ms"] ?? 1000;
  if (!Number.isInteger(atMostBack) || atMostBack < 0) throw new Error("at-most-back-ms is no number of ms");
  return atMostBack;
}

function remembered() {
  const bytes = state.get("last");
  return bytes && JSON.parse(new TextDecoder().decode(bytes));
}

function remember(last) {
  state.set("last", new TextEncoder().encode(JSON.stringify(last)));
}
