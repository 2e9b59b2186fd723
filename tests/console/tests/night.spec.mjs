// An incident on a phone: from the link in a notification to the right button, in one screen and two taps.
import fs from "node:fs";
import path from "node:path";

import { accessible, expect, fits, picture, signInOn, test } from "./fixtures.mjs";
import { eventually } from "./daemon.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** The notifications that were sent to the phone. */
function notifications(root) {
  const file = path.join(root, "phone.json");
  if (!fs.existsSync(file)) return [];
  return fs.readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Checks that the whole target is visible without scrolling. */
async function inSight(page, target, what) {
  await expect(target, what).toBeVisible();
  const { top, bottom } = await target.evaluate((element) => element.getBoundingClientRect());
  const height = await page.evaluate(() => innerHeight);
  expect(top, `${what} is not above the screen`).toBeGreaterThanOrEqual(0);
  expect(bottom, `${what} is not below the screen`).toBeLessThanOrEqual(height);
}

test("the problem, its time, what was done and what can be done fit in one screen; two taps start it", async ({ browser, daemon }) => {
  const context = await browser.newContext(PHONE);
  const page = await context.newPage();
  await signInOn(page, daemon, "control");
  let told;
  await eventually("a notification was sent", () => { told = notifications(daemon.root)[0]; return told; });
  expect(told.link).toBe(`${daemon.url}/modules/orders`);
  expect(told.text, "chat programs show the text alone").toContain(told.link);
  await page.goto(told.link);
  await expect(page.locator("#contact")).toHaveText("live");
  await inSight(page, page.locator("h1"), "what is wrong");
  await expect(page.locator("h1")).toContainText("failed");
  await inSight(page, page.locator("#head time"), "since when");
  await inSight(page, page.locator("#why .lead"), "why");
  // The result of a command, if one was given in the last minutes, is shown above the events before it.
  const result = page.locator("#result");
  await inSight(page, (await result.isVisible()) ? result : page.locator("#led li").last(), "what was done");
  expect(await page.locator("#led li").count()).toBeLessThanOrEqual(5);
  await expect(page.locator("#led")).toContainText("decided to");
  const start = page.getByRole("link", { name: "Start…", exact: true });
  await inSight(page, start, "what can be done");
  await expect(page.locator("#orders a.button").first(), "what helps is the first button").toHaveText("Start…");
  await expect(page.getByRole("link", { name: "Resume…" }), "what cannot be done is not offered").toHaveCount(0);
  const box = await start.boundingBox();
  expect(box.height, "a finger hits it").toBeGreaterThanOrEqual(44);
  expect(await page.evaluate(() => scrollY), "nothing was scrolled").toBe(0);
  await fits(page, "the module at night");
  await accessible(page, "the module at night");
  await picture(page, "night-phone");

  const before = daemon.module("orders").since;
  await start.tap();
  const confirm = page.locator("#dialog").getByRole("button", { name: "Start orders" });
  await inSight(page, confirm, "the button that does it");
  await confirm.tap();
  await expect(page.locator("#dialog")).toBeHidden();
  await inSight(page, page.locator("#result"), "what came of it");
  await expect(page.locator("#result")).toContainText("start by control from 127.0.0.1");
  await eventually("orders was started", () => daemon.module("orders").since !== before);
  await eventually("orders has failed again", () => daemon.module("orders").state === "failed");
  await context.close();
});

test("the actions stay visible on a long page", async ({ browser, daemon }) => {
  const context = await browser.newContext(PHONE);
  const page = await context.newPage();
  await signInOn(page, daemon, "control");
  await page.goto(`${daemon.url}/modules/orders`);
  await page.locator("#past").scrollIntoViewIfNeeded();
  expect(await page.evaluate(() => scrollY)).toBeGreaterThan(200);
  await inSight(page, page.getByRole("link", { name: "Start…", exact: true }), "the button");
  await context.close();
});

test("a drain is counted down on the page of the command", async ({ page, daemon, signIn }) => {
  await signIn("control");
  await page.goto(`${daemon.url}/modules/archive`);
  const left = page.locator("#result .countdown b");
  await expect(left).toHaveText(/^in \d+m/);
  await expect(page.locator("#result")).toContainText("stop by root on the local socket");
  const told = await left.textContent();
  await expect(left, "it goes on").not.toHaveText(told);
});

test("three or four main charts, whole numbers for counts, and the rest behind a link", async ({ page, daemon, signIn }) => {
  await signIn("monitor");
  await page.goto(`${daemon.url}/modules/web`);
  await eventually("numbers have been measured", async () => {
    await page.reload();
    return (await page.locator("#charts figure").count()) > 2;
  });
  expect(await page.locator("#charts figure").count()).toBeLessThanOrEqual(4);
  await page.getByRole("link", { name: /more measurements/ }).click();
  await expect(page.getByRole("heading", { name: "start: threads" })).toBeVisible();
  await expect(page.getByRole("heading", { name: /uptime/ })).toHaveCount(0);
  const threads = page.locator("#charts figure").filter({ has: page.getByRole("heading", { name: "start: threads" }) });
  await expect(threads.locator("figcaption")).toContainText(/current \d+ {2}?· max \d+/);
});
