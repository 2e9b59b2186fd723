// The act key: other programs on this host can read a cookie, but only this
// origin can read localStorage. Requests that change something carry both.
const NAME = "bellwether-act-key";

/** Stores the act key from the page that follows a sign-in, and opens the next page. */
export function rememberKey() {
  const meta = document.querySelector('meta[name="act-key"]');
  if (!meta) return;
  try {
    localStorage.setItem(NAME, meta.content);
  } catch {
    return; // Without localStorage, every change asks for the password.
  }
  const next = document.querySelector('meta[name="next-page"]');
  if (next && next.content.startsWith("/") && !next.content.startsWith("//")) location.replace(next.content);
}

/** The stored act key, or null. */
export function actKey() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

/** Submits a form as the browser would, with the act key added. */
export function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  const headers = { Accept: "text/html" };
  const key = actKey();
  if (key) headers["Bellwether-Act"] = key;
  return fetch(form.action, { method: "POST", body, headers, signal: AbortSignal.timeout(30_000) });
}

/** Hides the password fields if there is an act key, which replaces the password. */
export function withoutPassword(within) {
  if (!actKey()) return;
  within.querySelectorAll("[data-without-key]").forEach((field) => {
    field.hidden = true;
    field.querySelectorAll("input").forEach((input) => { input.required = false; input.disabled = true; });
  });
}
