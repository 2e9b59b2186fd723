"""Checks that a date is not near or over: of a licence, a contract, a certificate.

A checker in Python. It shows what most checkers need: a configuration, the log,
the state, measurements, and the difference between fail and unknown.
"""

import json
from datetime import date, datetime, timezone

from wit_world import exports
from wit_world.exports.check import CheckRequest
from wit_world.imports import log, state
from wit_world.imports.log import Level
from wit_world.imports.types import About, Measurement, Observation, Status

CONFIG_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["what", "ends"],
    "properties": {
        "what": {"type": "string", "description": "What ends, as shown to people: `the licence`."},
        "ends": {"type": "string", "format": "date", "description": "Its last day, in UTC: `2027-06-30`."},
        "warn-days": {
            "type": "integer",
            "minimum": 0,
            "default": 30,
            "description": "The number of days before the date from which it is a warning.",
        },
    },
}


class Describe(exports.Describe):
    def describe(self) -> About:
        return About(
            name="deadline",
            version="1.0.0",
            summary="Fails when a date is over, and warns some days before.",
            config_schema=json.dumps(CONFIG_SCHEMA),
            grants=[],
            attributes=[],
        )


class Check(exports.Check):
    # Each run has a new instance: persistent data belongs into the state.
    def check(self, request: CheckRequest) -> Observation:
        try:
            return look(request)
        except Exception as error:
            # The resource was not checked, or not completely: never a fail.
            return Observation(Status.UNKNOWN, f"could not tell: {error!r}", [], [])


def look(request: CheckRequest) -> Observation:
    what, ends, warn_days = configured(request.config)
    days = (ends - datetime.now(timezone.utc).date()).days
    runs = int(state.get("runs") or b"0") + 1
    state.set("runs", str(runs).encode())
    log.log(Level.DEBUG, f"run {runs} of {request.module}/{request.checker}: {days} days are left")

    measurements = [Measurement("days-left", days, ""), Measurement("runs", runs, "")]
    if days < 0:
        status, summary = Status.FAIL, f"{what} ended on {ends}, {-days} days ago"
    elif days <= warn_days:
        status, summary = Status.WARN, f"{what} ends on {ends}, in {days} days"
    else:
        status, summary = Status.PASS, f"{what} is good for {days} days"
    return Observation(status, summary, measurements, [])


def configured(text: str) -> tuple[str, date, int]:
    config = json.loads(text)
    if unknown := config.keys() - CONFIG_SCHEMA["properties"].keys():
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    return str(config["what"]), date.fromisoformat(config["ends"]), int(config.get("warn-days", 30))
