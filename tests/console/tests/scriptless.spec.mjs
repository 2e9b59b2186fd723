// Without JavaScript every page works, and every change requires the password.
import { expect, test } from "./fixtures.mjs";
import { PASSWORD, eventually } from "./daemon.mjs";

test.use({ javaScriptEnabled: false });

async function signIn(page, daemon, user) {
  await page.goto(`${daemon.url}/login?next=/users`);
  await page.getByLabel("Name").fill(user);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: "Continue" }).click();
  await expect(page).toHaveURL(`${daemon.url}/users`);
}

test("a module is stopped with name and password; a wrong password is reported and changes nothing", async ({ page, daemon, wrong }) => {
  wrong.expect.push(/403/);
  await signIn(page, daemon, "control");
  await page.goto(`${daemon.url}/modules/web`);
  await page.getByRole("link", { name: "Stop…" }).click();
  await expect(page.getByText("What will happen")).toBeVisible();
  await page.getByRole("textbox", { name: /^Type/ }).fill("web");
  await page.getByLabel("Your password").fill("not the password");
  await page.getByRole("button", { name: "Stop web" }).click();
  await expect(page.getByRole("heading")).toHaveText("Not carried out");
  await expect(page.getByText("nothing has been done")).toBeVisible();
  expect(daemon.module("web").ready).toBe(true);
  await page.getByRole("link", { name: "Back" }).click();
  await page.getByRole("textbox", { name: /^Type/ }).fill("web");
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Stop web" }).click();
  await expect(page.locator("#result")).toContainText("stop by control");
  await eventually("web is stopped", () => daemon.module("web").state === "stopped");
  daemon.tell("start", "web");
  await eventually("web is ready", () => daemon.module("web").ready);
});

test("a user is added and removed, a token is made and revoked", async ({ page, daemon, request }) => {
  await signIn(page, daemon, "admin");
  const add = page.locator("form[action='/users']");
  await add.getByLabel("Name").fill("plain");
  await add.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await add.getByLabel("Your password").fill(PASSWORD);
  await add.getByRole("button", { name: "Add user" }).click();
  await expect(page.getByText("plain can sign in now")).toBeVisible();
  await page.getByRole("link", { name: /Back/ }).click();
  await page.getByText("Change plain").click();
  await page.getByRole("link", { name: "Remove plain…" }).click();
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Remove" }).click();
  await expect(page.getByText("plain is removed")).toBeVisible();
  await page.getByRole("link", { name: /Back/ }).click();

  const make = page.locator("form[action='/tokens']");
  await make.getByLabel("Name").fill("plain");
  await make.getByLabel("Your password").fill(PASSWORD);
  await make.getByRole("button", { name: "Create token" }).click();
  const secret = (await page.locator(".secret").textContent()).trim();
  const me = () => request.get(`${daemon.url}/api/v1/me`, { headers: { Authorization: `Bearer ${secret}` } });
  expect((await me()).status()).toBe(200);
  await page.getByRole("link", { name: /Back/ }).click();
  await page.getByRole("link", { name: "Revoke plain…" }).click();
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByText("plain is revoked")).toBeVisible();
  expect((await me()).status()).toBe(401);
});
