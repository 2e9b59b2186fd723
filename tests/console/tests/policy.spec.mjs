// Tests of the check for violations of the content security policy.
import { expect, test } from "./fixtures.mjs";

/** Adds an inline script to the sign-in page and keeps its headers. */
async function infect(page) {
  await page.route("**/login", async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replace("<head>", "<head><script>window.infected = true</script>");
    await route.fulfill({ response: answer, body });
  });
}

for (const whose of ["the test's own page", "a context that a test opens itself"]) {
  test(`an inline script does not run and is caught, on ${whose}`, async ({ page, browser, daemon, wrong }) => {
    const other = whose.startsWith("a context") ? await (await browser.newContext()).newPage() : page;
    await infect(other);
    await other.goto(`${daemon.url}/login`);
    await expect.poll(() => wrong.some((text) => text.startsWith("policy: script-src-elem forbids inline"))).toBe(true);
    expect(await other.evaluate(() => window.infected)).toBeUndefined();
    // This violation is intended.
    wrong.expect.push(/^policy: script-src-elem forbids inline/, /Content Security Policy/);
    if (other !== page) await other.context().close();
  });
}

test("without a script the browser reports a violation in its console", async ({ browser, daemon, wrong }) => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.route("**/login", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace("<head>", "<head><style>main { color: red }</style>") });
  });
  await page.goto(`${daemon.url}/login`);
  await expect.poll(() => wrong.some((text) => text.startsWith("console:") && text.includes("Content Security Policy"))).toBe(true);
  wrong.expect.push(/Content Security Policy/);
  await context.close();
});
