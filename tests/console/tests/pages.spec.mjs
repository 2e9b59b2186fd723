import { PAGES, expect, picture, signInOn, test } from "./fixtures.mjs";

test("the farm shows the worst first, by shape and word, and its title carries the count", async ({ page, signIn }) => {
  await signIn("monitor");
  await expect(page).toHaveTitle(/^\(2 down\) Node/);
  await expect(page.locator("#icon")).toHaveAttribute("href", "/icon/2.svg");
  await expect(page.locator("h1")).toContainText("2 of 5 modules down, and 2 files are not active");
  await expect(page.locator("tbody th").first()).toHaveText("orders");
  await expect(page.locator("tbody th").nth(1), "what was never loaded has a row").toHaveText("broken");
  await expect(page.locator("#cell-broken")).toContainText("not loaded");
  await expect(page.locator("#cell-broken")).toContainText("comands");
  await expect(page.locator("#m-orders td").last(), "the last incident").toContainText("checker start");
  await expect(page.locator("#m-orders"), "the last restart").toContainText(/last \d\d:/);
  const marks = await page.locator(".farm .cell > .mark").evaluateAll((all) => all.map((mark) => `${mark.querySelector("use").getAttribute("href")} ${mark.textContent.trim()}`));
  expect(new Set(marks)).toEqual(new Set(["#g-failed failed", "#g-unwatched not loaded", "#g-ready up", "#g-draining draining"]));
  await expect(page.getByText("suspended", { exact: true })).toBeVisible();
  await expect(page.getByText("no restarts left")).toBeVisible();
  for (const since of await page.locator(".cell .since time").all()) await expect(since).toHaveAttribute("datetime", /Z$/);
});

test("in forced colours and in grey every state can still be distinguished", async ({ page, signIn }) => {
  await page.emulateMedia({ forcedColors: "active", reducedMotion: "reduce" });
  await signIn("monitor");
  for (const word of ["failed", "up", "draining", "suspended"]) {
    await expect(page.locator(".cell").getByText(word, { exact: true }).first()).toBeVisible();
  }
  await picture(page, "farm-forced-colours");
});

test("a mistake is shown in its file, underlined, with a way to correct it", async ({ page, daemon, signIn }) => {
  await signIn("monitor");
  await page.goto(`${daemon.url}/configuration`);
  const mistake = page.locator(".mistake");
  await expect(mistake.locator("mark")).toHaveText("comands");
  await expect(mistake).toContainText("line 1, column 2");
  await expect(mistake).toContainText("did you mean");
});

test("events are searched by URL, and older ones are behind a link", async ({ page, daemon, signIn }) => {
  await signIn("monitor");
  await page.goto(`${daemon.url}/events`);
  await page.getByLabel("Module").selectOption("orders");
  await page.getByLabel("Kind").selectOption("incident");
  await page.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/module=orders&kind=incident/);
  await expect(page.locator(".events tbody tr").first()).toContainText("incident: checker start is down");
  expect(await page.locator(".events tbody a").allTextContents()).toEqual(expect.arrayContaining(["orders"]));
});

test("without a script every page works, and a command requires the password", async ({ browser, daemon, wrong }) => {
  // Pages for admins answer 403 to others.
  wrong.expect.push(/status of 403/);
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(daemon.once("control"));
  await page.getByRole("button", { name: "Sign in as control" }).click();
  await page.getByRole("link", { name: "Continue" }).click();
  for (const path of PAGES.filter((path) => path !== "/nowhere")) {
    await page.goto(daemon.url + path);
    await expect(page.locator("h1").first()).toBeVisible();
  }
  await page.goto(`${daemon.url}/modules/reports`);
  await page.getByRole("link", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Resume reports" }).click();
  // The browser requires the password field first.
  await expect(page).toHaveURL(/reports\/resume$/);
  await page.getByLabel("Your password").fill("correct horse battery");
  await page.getByRole("button", { name: "Resume reports" }).click();
  await expect(page.locator("#result")).toContainText("resume by control");
  expect(daemon.module("reports").suspended).toBe(false);
  daemon.tell("suspend", "reports");
  await page.goto(daemon.url);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/login/);
  await page.goto(`${daemon.url}/modules/reports`);
  await expect(page).toHaveURL(/\/login/);
  await context.close();
});

test("times are shown by the node's clock and by the browser's, where they differ", async ({ browser, daemon }) => {
  const context = await browser.newContext({ timezoneId: "Pacific/Kiritimati" });
  const page = await context.newPage();
  await signInOn(page, daemon, "monitor");
  await page.goto(`${daemon.url}/modules/web`);
  const local = page.locator("#head time .local");
  await expect(local).toHaveText(/^ \(\d\d:\d\d:\d\d here\)$/);
  const { utc, told } = await page.locator("#head time").evaluate((time) => ({ utc: time.dateTime, told: time.querySelector(".local").textContent }));
  const hour = new Date(Date.parse(utc) + 14 * 3_600_000).toISOString().slice(11, 19);
  expect(told).toBe(` (${hour} here)`);
  await context.close();
});

test("only users who may open the users' page see its link", async ({ page, browser, daemon, signIn }) => {
  await signIn("control");
  await expect(page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Users" })).toHaveCount(0);
  const admin = await (await browser.newContext()).newPage();
  await signInOn(admin, daemon, "admin");
  await expect(admin.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Users" })).toHaveCount(1);
  await admin.context().close();
});

test("on a phone every page is visible in the navigation", async ({ page, daemon, signIn }) => {
  await signIn("admin");
  for (const width of [390, 320]) {
    await page.setViewportSize({ width, height: 844 });
    await page.goto(`${daemon.url}/events`);
    const links = page.getByRole("navigation", { name: "Pages" }).getByRole("link");
    await expect(links.last()).toHaveText("Users");
    const boxes = await links.evaluateAll((all) => all.map((link) => link.getBoundingClientRect().toJSON()));
    expect(Math.max(...boxes.map((box) => box.right)), `at ${width}`).toBeLessThanOrEqual(width);
    expect(Math.min(...boxes.flatMap((box) => [box.width, box.height])), "a finger hits them").toBeGreaterThanOrEqual(24);
  }
});

test("on a phone an event is shown in full, and a tap shows its details", async ({ page, daemon, signIn }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await signIn("monitor");
  await page.goto(`${daemon.url}/events?module=orders`);
  const rows = page.locator(".events tbody tr");
  const heads = await rows.evaluateAll((all) => all.map((row) => row.querySelector(".what").getBoundingClientRect().top - row.getBoundingClientRect().top));
  expect(heads.length).toBeGreaterThan(5);
  expect(Math.max(...heads), "one line for when, what kind and where, and its padding").toBeLessThanOrEqual(36);
  const texts = await rows.locator("summary").evaluateAll((all) => all.map((text) => ({ height: text.getBoundingClientRect().height, over: text.scrollWidth - text.clientWidth, said: text.textContent })));
  expect(texts.length).toBe(heads.length);
  expect(Math.min(...texts.map((text) => text.height)), "a finger hits it").toBeGreaterThanOrEqual(24);
  expect(texts.filter((text) => text.over > 0).map((text) => text.said), "nothing is cut").toEqual([]);
  const plan = rows.filter({ hasText: "plan for start" }).first();
  await plan.locator("summary").click();
  await expect(plan.getByRole("list")).toBeVisible();
});
