import { createServer } from "node:http";

import { accessible, expect, test } from "./fixtures.mjs";
import { PASSWORD } from "./daemon.mjs";

test("a wrong password is refused without a hint about what is wrong", async ({ page, daemon, wrong }) => {
  wrong.expect.push(/401/);
  await page.goto(`${daemon.url}/modules/web?since=6h`);
  await expect(page).toHaveURL(/\/login\?next=/);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill("wrong wrong wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toHaveText("The name or the password is wrong.");
  await accessible(page, "the refused sign-in");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(`${daemon.url}/modules/web?since=6h`);
});

test("a one-time link signs in once, and a GET does not use it up", async ({ page, daemon, wrong, request }) => {
  wrong.expect.push(/410/);
  const address = daemon.once("admin");
  expect((await request.get(address)).status()).toBe(200);
  await page.goto(address);
  await page.getByRole("button", { name: "Sign in as admin" }).click();
  await page.waitForURL(`${daemon.url}/`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/login$/);
  await page.goto(address);
  await expect(page.getByRole("heading")).toHaveText("This link is no longer valid");
});

test("each role sees what it may see, and may do no more", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(/403/);
  await signIn("monitor");
  await page.goto(`${daemon.url}/modules/web`);
  await expect(page.getByRole("link", { name: "Stop…" })).toHaveCount(0);
  await expect(page.getByText("needs the role control").first()).toBeVisible();
  await expect(page.getByRole("button", { name: /Run .* now/ })).toHaveCount(0);
  await page.goto(`${daemon.url}/users`);
  await expect(page.getByText("managed by admins")).toBeVisible();
  const posted = await page.evaluate(async () => {
    const key = localStorage.getItem("bellwether-act-key");
    const answer = await fetch("/api/v1/modules/web/stop", { method: "POST", headers: { "Bellwether-Act": key } });
    return answer.status;
  });
  expect(posted).toBe(403);
  expect(daemon.module("web").ready).toBe(true);
});

test("an admin adds a user, changes the role, which ends the sign-in, and removes the user", async ({ page, browser, daemon, signIn, wrong }) => {
  // The page whose session has ended may send one more request before it leaves.
  wrong.expect.push(/401/);
  await signIn("admin");
  await page.goto(`${daemon.url}/users`);
  const add = page.locator("form[action='/users']");
  await add.getByLabel("Name").fill("eve");
  await add.getByLabel("Role").selectOption("control");
  await add.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await add.getByRole("button", { name: "Add user" }).click();
  await expect(page.locator("#dialog")).toContainText("eve can sign in now");
  await page.locator("#dialog").getByRole("link", { name: /Back/ }).click();
  const context = await browser.newContext();
  const other = await context.newPage();
  await other.goto(`${daemon.url}/login`);
  await other.getByLabel("Name").fill("eve");
  await other.getByLabel("Password").fill(PASSWORD);
  await other.getByRole("button", { name: "Sign in" }).click();
  await other.waitForURL(`${daemon.url}/`);
  await page.reload();
  await page.getByText("Change eve").click();
  await page.locator("form[action='/users/eve/role']").getByLabel("Role").selectOption("monitor");
  await page.locator("form[action='/users/eve/role']").getByRole("button").click();
  await expect(page.locator("#dialog")).toContainText("must sign in again");
  await expect(other, "the live page of an ended sign-in leaves by itself").toHaveURL(/\/login/);
  await context.close();
  await page.locator("#dialog").getByRole("link", { name: /Back/ }).click();
  await page.reload();
  await page.getByText("Change eve").click();
  await page.getByRole("link", { name: "Remove eve…" }).click();
  await page.locator("#dialog").getByRole("button", { name: "Remove" }).click();
  await expect(page.locator("#dialog")).toContainText("eve is removed");
});

test("a token is shown once and works until it is revoked", async ({ page, daemon, signIn, request }) => {
  await signIn("admin");
  await page.goto(`${daemon.url}/users`);
  const make = page.locator("form[action='/tokens']");
  await make.getByLabel("Name").fill("ci");
  await make.getByRole("button", { name: "Create token" }).click();
  const secret = (await page.locator("#dialog .secret").textContent()).trim();
  const me = () => request.get(`${daemon.url}/api/v1/me`, { headers: { Authorization: `Bearer ${secret}` } });
  expect(await (await me()).json()).toEqual({ name: "token ci", role: "monitor" });
  await page.goto(`${daemon.url}/users`);
  await page.getByRole("link", { name: "Revoke ci…" }).click();
  await page.locator("#dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(page.locator("#dialog")).toContainText("is revoked");
  expect((await me()).status()).toBe(401);
});

test("a page on another port of the same host changes nothing, although it has the cookie", async ({ page, daemon, signIn, wrong }) => {
  wrong.elsewhere = true;
  wrong.expect.push(/403/);
  await signIn("control");
  const evil = createServer((_, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(`<form method="post" action="${daemon.url}/modules/web/stop"><input name="seen" value="1"><input name="typed" value="web"><button>go</button></form>`);
  });
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  await page.goto(`http://127.0.0.1:${evil.address().port}/`);
  const answered = page.waitForResponse((response) => response.url().endsWith("/modules/web/stop"));
  await page.getByRole("button").click();
  expect((await answered).status()).toBe(403);
  evil.close();
  expect(daemon.module("web").ready).toBe(true);
});
