// A node that does not answer, has ended, or has a stalled core: the page marks its data as old.
import { expect, test as base } from "./fixtures.mjs";
import { Daemon, eventually } from "./daemon.mjs";

/** A daemon for these tests alone, because they restart it and it then reads its files again. */
const test = base.extend({
  daemon: [async ({}, use) => {
    const daemon = await Daemon.start();
    await use(daemon);
    await daemon.end();
  }, { scope: "worker", timeout: 600_000 }],
});

const SILENCE = [/Failed to load|ERR_|net::/, /signal timed out|aborted/i];

test("when contact is lost the page marks its data as old, and recovers by itself", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(...SILENCE);
  // On the page's clock: the last event, the time at which it reports the lost contact, and the delay of its timers.
  await page.addInitScript(() => {
    const listen = EventSource.prototype.addEventListener;
    EventSource.prototype.addEventListener = function (type, listener, options) {
      const hear = (event) => { window.heardLast = performance.now(); listener(event); };
      return listen.call(this, type, hear, options);
    };
  });
  await signIn("monitor");
  await expect(page.locator("#contact")).toHaveText("live");
  await page.evaluate(() => {
    const every = 50;
    let [ticked, heldUp] = [performance.now(), 0];
    setInterval(() => {
      heldUp = Math.max(heldUp, performance.now() - ticked - every);
      ticked = performance.now();
    }, every);
    window.noticed = new Promise((resolve) => {
      new MutationObserver((_, observer) => {
        if (!document.body.classList.contains("lost")) return;
        observer.disconnect();
        resolve({ after: performance.now() - window.heardLast, heldUp });
      }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    });
  });
  daemon.signal("SIGSTOP");
  const { after, heldUp } = await page.evaluate(() => window.noticed);
  expect(after, "not before there is reason to").toBeGreaterThan(2_000);
  expect(after - 2 * heldUp, "within three seconds, but for what held the page up").toBeLessThanOrEqual(3_000);
  await expect(page.locator("#contact")).toContainText("no data since");
  await expect(page.locator("h1"), "the headline says so").toContainText(/No data from node-1 since \d.*: the node does not answer/);
  await expect(page.getByText("modules down")).toBeHidden();
  await expect(page).toHaveTitle(/^\(no data\)/);
  await expect(page.locator("#cell-web .no-news")).toBeVisible();
  await expect(page.locator("#cell-web .no-news")).toContainText("no data since");
  daemon.signal("SIGCONT");
  await expect(page.locator("#contact")).toHaveText("live", { timeout: 60_000 });
  await expect(page.locator("#cell-web .no-news")).toBeHidden();
  await expect(page.locator("h1")).toContainText("modules down");
  await expect(page).toHaveTitle(/^\(2 down\)/);
});

test("a module's page outlives the daemon: it shows since when there is no data, and continues with the next daemon", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(...SILENCE);
  await signIn("monitor");
  await page.goto(`${daemon.url}/modules/web`);
  await expect(page.locator("#contact")).toHaveText("live");
  await page.evaluate(() => { window.neverLoadedAgain = true; });
  await daemon.kill("SIGKILL");
  await expect(page.locator("#contact")).toContainText("no data since", { timeout: 60_000 });
  await expect(page.locator("#head .no-news")).toHaveText(/no data since \d/);
  await expect(page.locator("body")).toHaveClass(/lost/);
  const before = await page.locator("#asof time").getAttribute("datetime");
  await daemon.run();
  await expect(page.locator("#contact")).toHaveText("live", { timeout: 60_000 });
  await expect(page.locator("#head .no-news")).toBeHidden();
  await expect(page.locator("#asof time")).not.toHaveAttribute("datetime", before);
  await expect(page.locator("#head .state")).toHaveText("up", { timeout: 60_000 });
  expect(await page.evaluate(() => window.neverLoadedAgain), "the page was not reloaded").toBe(true);
  await eventually("web is ready", () => daemon.module("web").ready);
});

test("a stalled core is reported, and the data is marked as old until the core continues", async ({ page, context, daemon, signIn, wrong }) => {
  wrong.expect.push(...SILENCE);
  await signIn("monitor");
  await expect(page.locator("#contact")).toHaveText("live");
  // After half a minute the watchdog would end the daemon.
  daemon.stall("core", 27_000);
  await expect(async () => {
    const another = await context.newPage();
    await another.goto(daemon.url);
    const told = await another.locator("#asof").textContent();
    const headline = await another.locator("h1").textContent();
    await another.close();
    expect(told).toContain("the core has stalled");
    expect(headline).toContain("The core has stalled");
  }).toPass({ timeout: 25_000 });
  await expect(page.locator("#contact")).toContainText("the core has stalled", { timeout: 60_000 });
  await expect(page.locator("#cell-web .no-news")).toBeVisible();
  await expect(page.locator("#contact")).toHaveText("live", { timeout: 90_000 });
  await expect(page.locator("#asof")).not.toContainText("stalled");
  await eventually("web is ready", () => daemon.module("web").ready);
});
