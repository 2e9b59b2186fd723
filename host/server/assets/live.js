// Keeps the page up to date: the event stream reports that something changed, the page is
// fetched again, and only the differences are applied, so that focus and scroll position stay.
import { withoutPassword } from "./act.js";
import { morph } from "./morph.js";
import { nodeClock, tellTimes } from "./time.js";

const SILENCE = 2_200; // The stream sends at least one event per second.
const LOOK_EVERY = 250;
const AT_MOST_EVERY = 1_000;
const LAZILY = 5_000; // For results that checkers repeat.
const SPEAK_AT_MOST_EVERY = 8_000;

// On the monotonic clock, which does not jump when the system time is set.
let heard = performance.now();
let heardWhen = new Date();
let looked = heard;
let skipped = false;
let stalled = false;
let ever = false;
let wanted = false;
let fetching = false;
let last = 0;
let spoken = 0;
let speaking = 0;
const unsaid = new Map();

export function keepFresh() {
  const url = document.body.dataset.stream;
  if (!url) return;
  let stream = null;
  const open = () => {
    if (stream || document.hidden) return;
    stream = new EventSource(url);
    stream.addEventListener("snapshot", (event) => { hear(event); heed(event); });
    stream.addEventListener("heartbeat", (event) => { hear(event); watchContact(); });
    stream.addEventListener("bye", () => { stream.close(); location.reload(); });
    stream.onerror = () => {
      // The stream was refused or only interrupted; fetching the page tells which.
      if (stream?.readyState !== EventSource.CLOSED) return;
      stream = null;
      setTimeout(open, 3_000);
      refresh();
    };
  };
  const close = () => { stream?.close(); stream = null; };
  // A browser opens at most six connections per host, so hidden pages close theirs.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); return; }
    // No event arrived while the page was hidden, so its data counts as old until the next event.
    ever = false;
    watchContact();
    open();
    refresh();
  });
  addEventListener("pagehide", close);
  // Before the sign-in ends: a stream that is still being opened would be refused.
  document.addEventListener("submit", (event) => {
    if (new URL(event.target.action).pathname === "/logout") close();
  });
  addEventListener("pageshow", open);
  watchContact();
  setInterval(lookAround, LOOK_EVERY);
  open();
}

function hear(event) {
  let news = {};
  try {
    news = JSON.parse(event.data);
    nodeClock(news.at);
  } catch {
    // A heartbeat without a time still counts as a heartbeat.
  }
  // If the core's loop has stalled, the data is not fresh.
  stalled = news.turns === false;
  if (stalled) return;
  ever = true;
  heard = performance.now();
  heardWhen = new Date();
}

/** Refreshes at once after a change of state, and after a delay for repeated results. */
function heed(event) {
  let news = {};
  try {
    news = JSON.parse(event.data);
  } catch {
    // Events may have been missed, so everything may have changed.
  }
  const about = document.body.dataset.about;
  const concerns = (names) => !names || (about ? names.includes(about) : names.length > 0);
  const farm = news.farm === true && "farm" in document.body.dataset;
  if (farm || concerns(news.moved)) refresh();
  else if (concerns(news.changed)) refreshLazily();
}

let lazily = 0;

function refreshLazily() {
  if (lazily) return;
  lazily = setTimeout(() => { lazily = 0; refresh(); }, Math.max(0, last + LAZILY - Date.now()));
}

function lookAround() {
  const late = performance.now() - looked > 4 * LOOK_EVERY;
  looked = performance.now();
  // The timers of this page were delayed: process the waiting events first. The next check decides in any case.
  skipped = late && !skipped;
  if (!skipped) watchContact();
}

function watchContact() {
  if (document.hidden) return;
  const lost = stalled || performance.now() - heard > SILENCE;
  const turned = lost !== document.body.classList.contains("lost");
  document.body.classList.toggle("lost", lost);
  tellContact(lost);
  if (turned && !lost) refresh();
}

/** Shows in the headline, beside the modules and in the title that there is no current data. */
function tellContact(lost) {
  const since = `${heardWhen.toLocaleTimeString()} here`;
  const why = stalled ? "the core has stalled" : "the node does not answer";
  write("contact", lost ? `no data since ${since}: ${why}` : ever ? "live" : "connecting");
  if (!lost) return;
  document.querySelectorAll(".no-news").forEach((note) => {
    const { from } = note.dataset;
    const text = from ? `No data from ${from} since ${since}: ${why}` : `no data since ${since}`;
    if (note.textContent !== text) note.textContent = text;
  });
  if (!document.title.startsWith(NO_NEWS)) document.title = NO_NEWS + document.title;
}

const NO_NEWS = "(no data) ";

function write(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}

/** Schedules another fetch of the page; only one fetch runs at a time. */
export function refresh() {
  wanted = true;
  if (fetching) return;
  fetching = true;
  setTimeout(fetchPage, Math.max(0, last + AT_MOST_EVERY - Date.now()));
}

async function fetchPage() {
  wanted = false;
  last = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); return; }
    if (answer.ok) showPage(await answer.text());
  } catch {
    // The next change, or the next event of the node, tries again.
  } finally {
    fetching = false;
    if (wanted) refresh();
  }
}

/** Updates this page to the fetched one. */
export function showPage(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const before = states();
  const focused = document.activeElement;
  document.title = page.title;
  const icon = page.getElementById("icon");
  if (icon) document.getElementById("icon")?.setAttribute("href", icon.getAttribute("href"));
  for (const region of document.querySelectorAll("[data-live]")) {
    const news = page.getElementById(region.id);
    if (news) morph(region, news);
  }
  withoutPassword(document);
  tellTimes();
  watchContact();
  // An element that was moved has lost the focus.
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
  speak(before, states());
}

/** The state of each module as text, for screen readers. */
function states() {
  const all = new Map();
  document.querySelectorAll("[data-says]").forEach((element) => all.set(element.id, element.dataset.says));
  return all;
}

function speak(before, after) {
  for (const [id, says] of after) {
    if (before.get(id) === says) continue;
    unsaid.set(id, says);
    const changed = document.getElementById(id);
    changed?.classList.remove("fresh");
    void changed?.offsetWidth;
    changed?.classList.add("fresh");
  }
  if (unsaid.size > 0 && !speaking) {
    speaking = setTimeout(say, Math.max(0, spoken + SPEAK_AT_MOST_EVERY - Date.now()));
  }
}

/** Announces the collected changes together, only the latest of each module. */
function say() {
  speaking = 0;
  spoken = Date.now();
  const news = [...unsaid.values()];
  unsaid.clear();
  const more = news.length > 5 ? `. And ${news.length - 5} more` : "";
  document.getElementById("spoken").textContent = news.slice(0, 5).join(". ") + more;
}
