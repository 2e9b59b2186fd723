// Asks for confirmation of a command in a dialog. The dialog shows the daemon's confirmation page.
import { actKey, send, withoutPassword } from "./act.js";
import { refresh, showPage } from "./live.js";

export function confirmInPlace() {
  const dialog = document.getElementById("dialog");
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-confirm]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (link.getAttribute("aria-disabled") === "true") return;
    ask(dialog, link);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-act") || !actKey()) return;
    event.preventDefault();
    act(dialog, form, event.submitter);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]") && dialog.open) { event.preventDefault(); dialog.close(); }
  });
  document.addEventListener("input", typed);
  withoutPassword(document);
}

async function ask(dialog, link) {
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    show(dialog, await answer.text(), link.href);
  } catch {
    location.href = link.href;
  }
}

async function act(dialog, form, submitter) {
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const answer = await send(form, submitter);
    if (answer.redirected) { await goOn(dialog, answer); return; }
    show(dialog, await answer.text(), form.action);
    refresh();
  } catch {
    buttons.forEach((button) => { button.disabled = false; });
    const note = document.createElement("p");
    note.setAttribute("role", "alert");
    note.textContent = "The node did not answer. Check its state before you try again: the command may have been carried out.";
    form.append(note);
  }
}

/** Shows the result of a command at the top of the module's page. */
async function goOn(dialog, answer) {
  if (new URL(answer.url).pathname !== location.pathname) { location.href = answer.url; return; }
  dialog.close();
  showPage(await answer.text());
  refresh();
  const result = document.getElementById("result");
  result?.focus({ preventScroll: true });
  result?.scrollIntoView({ block: "nearest" });
}

/** Puts the main part of a fetched page into the dialog. */
function show(dialog, text, url) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const said = page.querySelector("main .dialog");
  if (!said) { location.href = url; return; }
  dialog.replaceChildren(document.importNode(said, true));
  const title = dialog.querySelector("h1");
  if (title) { title.id = "dialog-title"; dialog.removeAttribute("aria-label"); dialog.setAttribute("aria-labelledby", "dialog-title"); }
  withoutPassword(dialog);
  if (!dialog.open) dialog.showModal();
  (dialog.querySelector("[autofocus]") ?? dialog.querySelector("input:not([type=hidden]), button, a"))?.focus();
}

/** Enables the button once the module's name is typed, which the last ready node requires. */
function typed(event) {
  const expected = event.target.dataset?.type;
  if (!expected) return;
  const button = event.target.form?.querySelector("button[data-typed]");
  if (button) button.disabled = event.target.value.trim() !== expected;
}
