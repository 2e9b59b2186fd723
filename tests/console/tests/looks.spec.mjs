// Every page in every colour scheme: axe finds nothing, and on a phone nothing scrolls sideways.
import { PAGES, accessible, colourful, expect, fits, picture, test } from "./fixtures.mjs";
import { PASSWORD } from "./daemon.mjs";

// Dozens of pages, each in every colour scheme.
test.describe.configure({ timeout: 900_000 });

const DESKTOP = { width: 1400, height: 900 };
const PHONE = { width: 390, height: 844 };
const LIGHT = { colorScheme: "light", forcedColors: "none" };
const DARK = { colorScheme: "dark", forcedColors: "none" };
const FORCED = { colorScheme: "dark", forcedColors: "active" };
const REFUSED = /40[0-9]|410/;

/** Pages before the sign-in, and how to open them. */
const OUTSIDE = {
  "the sign-in": async (page, daemon) => { await page.goto(`${daemon.url}/login`); },
  "the one-time link": async (page, daemon) => { await page.goto(daemon.once("monitor")); },
  "a used one-time link": async (page, daemon) => { await page.goto(`${daemon.url}/login/none`); },
};

/** Pages that answer a form, sent without the act key so that the browser shows the whole page. */
const AFTERWARDS = {
  "what a checker saw": async (page, daemon) => {
    await page.goto(`${daemon.url}/modules/web`);
    const form = page.locator("form", { has: page.getByRole("button", { name: "Run health-port now" }) });
    await form.getByLabel("Password").fill(PASSWORD);
    await form.getByRole("button").click();
  },
  "a refused password": async (page, daemon) => {
    await page.goto(`${daemon.url}/modules/web/suspend`);
    await page.getByLabel("Your password").fill("wrong wrong wrong");
    await page.getByRole("button", { name: "Suspend web" }).click();
  },
  "a user who is there already": async (page, daemon) => {
    await page.goto(`${daemon.url}/users`);
    const form = page.locator("form[action='/users']");
    await form.getByLabel("Name").fill("monitor");
    await form.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await form.getByLabel("Your password").fill(PASSWORD);
    await form.getByRole("button", { name: "Add user" }).click();
  },
  "a new token": async (page, daemon) => {
    const name = `look-${Date.now()}`;
    await page.goto(`${daemon.url}/users`);
    const form = page.locator("form[action='/tokens']");
    await form.getByLabel("Name").fill(name);
    await form.getByLabel("Your password").fill(PASSWORD);
    await form.getByRole("button", { name: "Create token" }).click();
    await expect(page.locator(".secret")).toBeVisible();
    daemon.tell("token", "revoke", name);
  },
};

async function looksWell(page, what) {
  await expect(page.locator("h1").first(), what).toBeVisible();
  const name = what.replaceAll(/[^a-z0-9]+/gi, "-").replaceAll(/^-|-$/g, "") || "farm";
  await page.setViewportSize(DESKTOP);
  await page.emulateMedia(LIGHT);
  await fits(page, `${what} at ${DESKTOP.width}`);
  await accessible(page, what);
  await picture(page, `${name}-desktop-light`);
  for (const [look, media] of Object.entries({ dark: DARK, forced: FORCED })) {
    await page.emulateMedia(media);
    await colourful(page, `${what} in ${look} colours`);
    await picture(page, `${name}-desktop-${look}`);
  }
  await page.setViewportSize(PHONE);
  await page.emulateMedia(LIGHT);
  await fits(page, `${what} at ${PHONE.width}`);
  await accessible(page, `${what} on the phone`);
  await picture(page, `${name}-phone-light`);
  await page.setViewportSize({ width: 320, height: 844 });
  await fits(page, `${what} at 320`);
}

test("pages before the sign-in", async ({ page, daemon, wrong }) => {
  wrong.expect.push(REFUSED);
  for (const [what, open] of Object.entries(OUTSIDE)) {
    await open(page, daemon);
    await looksWell(page, what);
  }
});

test("every page that has its own URL", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(REFUSED);
  await signIn("admin");
  for (const path of PAGES) {
    await page.goto(daemon.url + path);
    await looksWell(page, path);
  }
});

test("pages that answer a form", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(REFUSED);
  await signIn("admin");
  await page.evaluate(() => localStorage.removeItem("bellwether-act-key"));
  for (const [what, open] of Object.entries(AFTERWARDS)) {
    await open(page, daemon);
    await looksWell(page, what);
  }
});

test("the page for users whose role does not permit a page", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(REFUSED);
  await signIn("monitor");
  await page.goto(`${daemon.url}/components/checkers/wider/approve`);
  await looksWell(page, "beyond the role");
  await page.goto(`${daemon.url}/users`);
  await looksWell(page, "users for others");
});
