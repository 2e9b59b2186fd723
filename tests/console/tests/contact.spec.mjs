// A node that is silent, gone, or has a core that does not turn: nothing old looks fresh.
import { expect, test as base } from "./fixtures.mjs";
import { Daemon, eventually } from "./daemon.mjs";

/** A daemon for these tests alone: one that is run again has read its files anew. */
const test = base.extend({
  daemon: [async ({}, use) => {
    const daemon = await Daemon.start();
    await use(daemon);
    await daemon.end();
  }, { scope: "worker", timeout: 600_000 }],
});

const SILENCE = [/Failed to load|ERR_|net::/, /signal timed out|aborted/i];

test("when contact is lost nothing old looks fresh, and it comes back by itself", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(...SILENCE);
  await signIn("monitor");
  await expect(page.locator("#contact")).toHaveText("live");
  daemon.signal("SIGSTOP");
  await expect(page.locator("#contact")).toContainText("no news since", { timeout: 60_000 });
  await expect(page.locator("#cell-web .no-news")).toBeVisible();
  await expect(page.locator("#cell-web .no-news")).toContainText("no news since");
  daemon.signal("SIGCONT");
  await expect(page.locator("#contact")).toHaveText("live", { timeout: 60_000 });
  await expect(page.locator("#cell-web .no-news")).toBeHidden();
});

test("a module's page outlives the daemon: it says since when there is no news, and goes on with the next daemon", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(...SILENCE);
  await signIn("monitor");
  await page.goto(`${daemon.url}/modules/web`);
  await expect(page.locator("#contact")).toHaveText("live");
  await page.evaluate(() => { window.neverLoadedAgain = true; });
  await daemon.kill("SIGKILL");
  await expect(page.locator("#contact")).toContainText("no news since", { timeout: 60_000 });
  await expect(page.locator("#head .no-news")).toHaveText(/no news since \d/);
  await expect(page.locator("body")).toHaveClass(/lost/);
  const before = await page.locator("#asof time").getAttribute("datetime");
  await daemon.run();
  await expect(page.locator("#contact")).toHaveText("live", { timeout: 60_000 });
  await expect(page.locator("#head .no-news")).toBeHidden();
  await expect(page.locator("#asof time")).not.toHaveAttribute("datetime", before);
  await expect(page.locator("#head .state")).toHaveText("up", { timeout: 60_000 });
  expect(await page.evaluate(() => window.neverLoadedAgain), "nobody had to load it again").toBe(true);
  await eventually("web is ready", () => daemon.module("web").ready);
});

test("a core that stalls is told, and the page does not look fresh until it turns again", async ({ page, context, daemon, signIn, wrong }) => {
  wrong.expect.push(...SILENCE);
  await signIn("monitor");
  await expect(page.locator("#contact")).toHaveText("live");
  // Half a minute would be beyond hope, and the daemon would end.
  daemon.stall("core", 27_000);
  await expect(async () => {
    const another = await context.newPage();
    await another.goto(daemon.url);
    const told = await another.locator("#asof").textContent();
    await another.close();
    expect(told).toContain("the core has stalled");
  }).toPass({ timeout: 25_000 });
  await expect(page.locator("#contact")).toContainText("no news since", { timeout: 60_000 });
  await expect(page.locator("#cell-web .no-news")).toBeVisible();
  await expect(page.locator("#contact")).toHaveText("live", { timeout: 90_000 });
  await expect(page.locator("#asof")).not.toContainText("stalled");
  await eventually("web is ready", () => daemon.module("web").ready);
});
