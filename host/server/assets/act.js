// The act-key: a cookie may be read by other programs of this host, a key in
// localStorage belongs to this origin. Changes carry both.
const NAME = "bellwether-act-key";

/** Keeps the key that the page behind a sign-in carries, and goes on. */
export function rememberKey() {
  const meta = document.querySelector('meta[name="act-key"]');
  if (!meta) return;
  try {
    localStorage.setItem(NAME, meta.content);
  } catch {
    return; // Without storage every change asks for the password.
  }
  const next = document.querySelector('meta[name="next-page"]');
  if (next && next.content.startsWith("/") && !next.content.startsWith("//")) location.replace(next.content);
}

/** The key, or nothing. */
export function actKey() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

/** Sends a form as the page would, with the key. */
export function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  const headers = { Accept: "text/html" };
  const key = actKey();
  if (key) headers["Bellwether-Act"] = key;
  return fetch(form.action, { method: "POST", body, headers, signal: AbortSignal.timeout(30_000) });
}

/** With the key nobody is asked for a password. */
export function withoutPassword(within) {
  if (!actKey()) return;
  within.querySelectorAll("[data-without-key]").forEach((field) => {
    field.hidden = true;
    field.querySelectorAll("input").forEach((input) => { input.required = false; input.disabled = true; });
  });
}
