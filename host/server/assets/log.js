// Follows the output of the application. It does not scroll while the user has scrolled up.
const EVERY = 2_000;

export function followLog() {
  const module = document.body.dataset.about;
  if (!module || !document.getElementById("logs")) return;
  let asking = false;
  setInterval(async () => {
    if (asking || document.hidden || document.body.classList.contains("lost")) return;
    asking = true;
    try {
      const answer = await fetch(`/api/v1/modules/${encodeURIComponent(module)}/log`, { signal: AbortSignal.timeout(10_000) });
      if (answer.ok) (await answer.json()).forEach(show);
    } catch {
      // Tried again with the next update.
    } finally {
      asking = false;
    }
  }, EVERY);
}

function show({ command, lines }) {
  const log = document.getElementById(`log-${command}`);
  // A log that did not exist when the page was loaded appears with the next refresh of the page.
  const text = log?.firstElementChild;
  if (!text || isRead(log)) return;
  const fresh = lines.join("\n");
  if (text.textContent !== fresh) text.textContent = fresh;
}

/** Whether the user reads the log: it is scrolled up (`scrollTop` is 0 at its end) or some of it is selected. */
function isRead(log) {
  const selection = getSelection();
  return log.scrollTop < -4 || (selection && !selection.isCollapsed && log.contains(selection.anchorNode));
}
