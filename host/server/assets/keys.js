// Keyboard shortcuts. They can be switched off (WCAG 2.1.4).
const OFF = "bellwether-keys-off";

export function lendKeys() {
  const keys = document.getElementById("keys");
  const on = document.getElementById("keys-on");
  const show = document.getElementById("show-keys");
  show.hidden = false;
  show.addEventListener("click", () => keys.showModal());
  on.checked = !isOff();
  on.addEventListener("change", () => store(on.checked));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isOff() || inField(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "?") keys.showModal();
    else if (event.key === "/") search();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else return;
    event.preventDefault();
  });
}

function isOff() {
  try { return localStorage.getItem(OFF) === "1"; } catch { return false; }
}

function store(on) {
  try { if (on) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "1"); } catch { /* stays as it is */ }
}

function inField(element) {
  return element.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

function search() {
  const field = document.querySelector("input[type=search]");
  if (field) field.focus(); else location.href = "/events";
}

function step(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (rows.length === 0) return;
  const here = rows.indexOf(document.activeElement);
  const next = here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + by, 0), rows.length - 1);
  rows[next].focus();
}
