// A daemon for all tests of a file, and pages that fail their test when anything is wrong with them.
import { AxeBuilder } from "@axe-core/playwright";
import { test as base, expect } from "@playwright/test";
import fs from "node:fs";

import { Daemon, PASSWORD } from "./daemon.mjs";

export { expect };

export const test = base.extend({
  daemon: [async ({}, use) => {
    const daemon = await Daemon.start();
    await use(daemon);
    await daemon.end();
  }, { scope: "worker", timeout: 120_000 }],

  /** What is wrong with a page fails its test, unless the test expects it. */
  wrong: async ({ context, daemon }, use) => {
    const wrong = [];
    wrong.expect = [];
    context.on("weberror", (error) => wrong.push(`error: ${error.error().message}`));
    context.on("console", (message) => { if (message.type() === "error") wrong.push(`console: ${message.text()}`); });
    context.on("request", (request) => {
      if (!request.url().startsWith(daemon.url) && !wrong.elsewhere) wrong.push(`a request left the node: ${request.url()}`);
    });
    await use(wrong);
    const left = wrong.filter((text) => !wrong.expect.some((expected) => expected.test(text)));
    expect(left, "nothing is wrong with any page").toEqual([]);
  },

  signIn: async ({ page, daemon, wrong }, use) => {
    void wrong;
    await use(async (user) => {
      await page.goto(`${daemon.url}/login`);
      await page.getByLabel("Name").fill(user);
      await page.getByLabel("Password").fill(PASSWORD);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.waitForURL(`${daemon.url}/`);
    });
  },
});

export const PAGES = ["/", "/modules/web", "/modules/orders", "/events", "/events?kind=incident", "/components", "/components/checkers/tcp",
  "/configuration", "/configuration?file=modules/web.toml", "/users", "/me", "/modules/web/stop", "/nowhere"];

export async function accessible(page, what) {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  const told = violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`);
  expect.soft(told, `axe finds nothing on ${what}`).toEqual([]);
}

export async function fits(page, what) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect.soft(over, `${what} does not scroll sideways`).toBeLessThanOrEqual(0);
}

export async function picture(page, name) {
  fs.mkdirSync(process.env.PICTURES, { recursive: true });
  await page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true });
}
