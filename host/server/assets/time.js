// "3m ago" stays true while the page is open.
const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];

/** Formats a duration as the daemon does: `4m`, `1h 30m`. */
export function plain(seconds) {
  const parts = [];
  for (const [size, name] of UNITS) {
    const count = Math.floor(seconds / size);
    if (count > 0) parts.push(`${count}${name}`);
    seconds -= count * size;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0s";
}

function tell(element) {
  const then = Date.parse(element.closest("time")?.dateTime);
  if (Number.isNaN(then)) return;
  const seconds = Math.round((Date.now() - clockError - then) / 1000);
  const past = "due" in element.dataset ? "now" : `${plain(seconds)} ago`;
  const text = seconds < 0 ? `in ${plain(-seconds)}` : past;
  if (element.textContent !== text) element.textContent = text;
}

// The clock of this computer may differ from the node's; ages use the node's clock.
let clockError = 0;

/** The current time of the node's clock. */
export function nodeClock(iso) {
  const there = Date.parse(iso);
  if (!Number.isNaN(there)) clockError = Date.now() - there;
}

/** The same time in the browser's time zone, if that differs from the node's. */
function tellLocal(element) {
  const time = element.closest("time");
  const there = time?.querySelector(".clock")?.textContent ?? "";
  const moment = new Date(time?.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  const clock = moment.toLocaleTimeString("en-GB");
  const text = there.includes(clock) ? "" : ` (${clock} here)`;
  if (element.textContent !== text) element.textContent = text;
}

/** Updates all times on the page. */
export function tellTimes() {
  document.querySelectorAll("[data-ago]").forEach(tell);
  document.querySelectorAll("[data-local]").forEach(tellLocal);
}

export function tickTimes() {
  tellTimes();
  setInterval(() => { if (!document.hidden) tellTimes(); }, 1000);
}
