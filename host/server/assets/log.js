// What the application writes, as it writes it. Whoever has scrolled up reads in peace.
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
      // The next time.
    } finally {
      asking = false;
    }
  }, EVERY);
}

function show({ command, lines }) {
  const log = document.getElementById(`log-${command}`);
  // The log of a command that has not written before comes with the page.
  const text = log?.firstElementChild;
  if (!text || isRead(log)) return;
  const fresh = lines.join("\n");
  if (text.textContent !== fresh) text.textContent = fresh;
}

/** The end is at the place 0, what is before it above. */
function isRead(log) {
  const selection = getSelection();
  return log.scrollTop < -4 || (selection && !selection.isCollapsed && log.contains(selection.anchorNode));
}
