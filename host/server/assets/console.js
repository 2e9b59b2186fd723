// Entry point of the scripts. Every page works without them: they only update the page,
// confirm commands in a dialog and add keyboard shortcuts, each in a file of its own.
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
