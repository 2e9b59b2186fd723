// What makes pages live. Everything reads without it: it only keeps a page fresh,
// asks before a command in place, and lends keys. Split by what it does.
import { keepFresh } from "./live.js";
import { followLog } from "./log.js";
import { confirmInPlace } from "./confirm.js";
import { lendKeys } from "./keys.js";
import { tickTimes } from "./time.js";

tickTimes();
keepFresh();
followLog();
confirmInPlace();
lendKeys();
