// A daemon for all tests of a worker, and checks that fail a test if one of its pages has errors.
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
  }, { scope: "worker", timeout: 600_000 }],

  /** Copies the daemon's files when a test fails, beside the trace and the screenshot. */
  kept: [async ({ daemon }, use, testInfo) => {
    await use();
    if (testInfo.status === testInfo.expectedStatus) return;
    daemon.keep(testInfo.outputPath("root"));
    console.log(`    the files of this failure are in ${testInfo.outputDir}`);
  }, { auto: true }],

  /** Errors of a page in any context, also one that a test opens itself, fail the test unless it expects them. */
  wrong: [async ({ browser, daemon }, use) => {
    const wrong = [];
    wrong.expect = [];
    const watch = (context) => watchContext(context, daemon, wrong);
    browser.on("context", watch);
    await use(wrong);
    browser.off("context", watch);
    const left = wrong.filter((text) => !wrong.expect.some((expected) => expected.test(text)));
    expect(left, "no page has errors").toEqual([]);
  }, { auto: true }],

  /** Signs in with the user's name and password. */
  signIn: async ({ page, daemon }, use) => {
    await use((user) => signInOn(page, daemon, user));
  },
});

/** Collects the errors of a context. The listener for policy violations is added before the first script of a page; the browser's console reports them, too. */
async function watchContext(context, daemon, wrong) {
  context.on("weberror", (error) => wrong.push(`error: ${error.error().message}`));
  context.on("console", (message) => { if (message.type() === "error") wrong.push(`console: ${message.text()}`); });
  context.on("request", (request) => {
    if (!request.url().startsWith(daemon.url) && !wrong.elsewhere) wrong.push(`a request left the node: ${request.url()}`);
  });
  try {
    await context.exposeFunction("policyViolated", (what) => { wrong.push(`policy: ${what}`); });
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        window.policyViolated(`${event.effectiveDirective} forbids ${event.blockedURI} on ${event.documentURI}`);
      });
    });
  } catch (error) {
    wrong.push(`a context is not watched: ${error}`);
  }
}

export async function signInOn(page, daemon, user) {
  await page.goto(`${daemon.url}/login`);
  await page.getByLabel("Name").fill(user);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${daemon.url}/`);
}

/** Every page that has its own URL, as seen by an admin. */
export const PAGES = ["/", "/modules/web", "/modules/orders", "/modules/reports", "/modules/archive",
  "/modules/web/stop", "/modules/web/suspend", "/modules/reports/resume",
  "/events", "/events?kind=incident", "/events?search=nothing-of-that-kind", "/components", "/components/checkers/tcp",
  "/components/checkers/wider", "/components/checkers/wider/approve", "/components/checkers/cracked",
  "/configuration", "/configuration?file=modules/web.toml", "/users", "/users/monitor/remove", "/me", "/nowhere"];

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** The rules that depend on colours; the colour scheme does not affect the others. */
const OF_COLOURS = ["color-contrast", "link-in-text-block"];

/** Legacy mode opens no page of its own. It does not check frames, and no page has any. */
function axe(page) { return new AxeBuilder({ page }).setLegacyMode(true); }

async function findsNothing(builder, what) {
  const { violations } = await builder.analyze();
  const told = violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join("; ")}`);
  expect.soft(told, `axe finds nothing on ${what}`).toEqual([]);
}

export async function accessible(page, what) { await findsNothing(axe(page).withTags(TAGS), what); }

export async function colourful(page, what) { await findsNothing(axe(page).withRules(OF_COLOURS), what); }

export async function fits(page, what) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect.soft(over, `${what} does not scroll sideways`).toBeLessThanOrEqual(0);
}

export async function picture(page, name) {
  fs.mkdirSync(process.env.PICTURES, { recursive: true });
  await page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true });
}
