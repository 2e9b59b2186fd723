import { PAGES, expect, picture, test } from "./fixtures.mjs";

test("the farm shows the worst first, by shape and word, and its title carries the count", async ({ page, signIn }) => {
  await signIn("monitor");
  await expect(page).toHaveTitle(/^\(1 down\) Farm/);
  await expect(page.locator("#icon")).toHaveAttribute("href", "/icon/1.svg");
  await expect(page.locator("tbody th").first()).toHaveText("orders");
  const marks = await page.locator(".farm .cell > .mark").evaluateAll((all) => all.map((mark) => `${mark.querySelector("use").getAttribute("href")} ${mark.textContent.trim()}`));
  expect(new Set(marks)).toEqual(new Set(["#g-failed failed", "#g-ready up", "#g-draining draining"]));
  await expect(page.getByText("suspended", { exact: true })).toBeVisible();
  await expect(page.getByText("no restart left")).toBeVisible();
  for (const since of await page.locator(".cell .since time").all()) await expect(since).toHaveAttribute("datetime", /Z$/);
});

test("in forced colours and in grey every state can still be told", async ({ page, signIn }) => {
  await page.emulateMedia({ forcedColors: "active", reducedMotion: "reduce" });
  await signIn("monitor");
  for (const word of ["failed", "up", "draining", "suspended"]) {
    await expect(page.locator(".cell").getByText(word, { exact: true }).first()).toBeVisible();
  }
  await picture(page, "farm-forced-colours");
});

test("a mistake is shown in its file, underlined, with what to do", async ({ page, daemon, signIn }) => {
  await signIn("monitor");
  await page.goto(`${daemon.url}/configuration`);
  const mistake = page.locator(".mistake");
  await expect(mistake.locator("mark")).toHaveText("comands");
  await expect(mistake).toContainText("line 1, column 2");
  await expect(mistake).toContainText("did you mean");
});

test("events are searched by address, and older ones are a link away", async ({ page, daemon, signIn }) => {
  await signIn("monitor");
  await page.goto(`${daemon.url}/events`);
  await page.getByLabel("Module").selectOption("orders");
  await page.getByLabel("Kind").selectOption("incident");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/module=orders&kind=incident/);
  await expect(page.locator(".events tbody tr").first()).toContainText("incident: checker start is down");
  expect(await page.locator(".events tbody a").allTextContents()).toEqual(expect.arrayContaining(["orders"]));
});

test("without a script every page reads, and a command is given with the password", async ({ browser, daemon, wrong }) => {
  // The pages of admins say so to others.
  wrong.expect.push(/status of 403/);
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(daemon.once("control"));
  await page.getByRole("button", { name: "Sign in as control" }).click();
  await page.getByRole("link", { name: "Go on" }).click();
  for (const path of PAGES.filter((path) => path !== "/nowhere")) {
    await page.goto(daemon.url + path);
    await expect(page.locator("h1").first()).toBeVisible();
  }
  await page.goto(`${daemon.url}/modules/reports`);
  await page.getByRole("link", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Resume reports" }).click();
  // The browser itself wants the password first.
  await expect(page).toHaveURL(/reports\/resume$/);
  await page.getByLabel("Your password").fill("correct horse battery");
  await page.getByRole("button", { name: "Resume reports" }).click();
  await expect(page.getByRole("heading", { name: "Done" })).toBeVisible();
  expect(daemon.module("reports").suspended).toBe(false);
  daemon.tell("suspend", "reports");
  await page.goto(daemon.url);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/login/);
  await page.goto(`${daemon.url}/modules/reports`);
  await expect(page).toHaveURL(/\/login/);
  await context.close();
});
