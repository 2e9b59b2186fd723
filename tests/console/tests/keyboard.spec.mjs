// Commands with the keyboard only.
import { expect, test } from "./fixtures.mjs";
import { eventually } from "./daemon.mjs";

/** Presses Tab until the target has the focus. No page has 80 focusable elements. */
async function tabTo(page, target) {
  for (let presses = 0; presses < 80; presses += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  await expect(target).toBeFocused();
}

test("the last ready node is stopped and started again without a mouse; Escape leaves everything as it was", async ({ page, daemon, signIn }) => {
  await signIn("control");
  await expect(page.locator("#contact")).toHaveText("live");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("link", { name: "web", exact: true }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: /^web/ })).toBeVisible();
  await expect(page.locator("#contact")).toHaveText("live");

  const dialog = page.locator("#dialog");
  const stop = page.getByRole("link", { name: "Stop…" });
  await tabTo(page, stop);
  await page.keyboard.press("Enter");
  const field = dialog.getByRole("textbox", { name: /^Type/ });
  await expect(field).toBeFocused();
  await page.keyboard.type("web");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(stop, "the focus is where it was").toBeFocused();
  expect(daemon.module("web").ready).toBe(true);

  await page.keyboard.press("Enter");
  await expect(field).toBeFocused();
  await page.keyboard.type("wep");
  await page.keyboard.press("Enter");
  await expect(dialog.getByRole("heading", { name: "Stop web?" }), "the wrong name does nothing").toBeVisible();
  await page.keyboard.press("Backspace");
  await page.keyboard.type("b");
  await tabTo(page, dialog.getByRole("button", { name: "Stop web" }));
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await expect(page.locator("#result"), "the focus is on the result").toBeFocused();
  await expect(page.locator("#result")).toContainText("stop by control");
  await eventually("web is stopped", () => daemon.module("web").state === "stopped");

  // While the stop is in progress the page offers other actions.
  await expect(page.locator("#head .state")).toHaveText("stopped");
  await tabTo(page, page.getByRole("link", { name: "Start…" }));
  await page.keyboard.press("Enter");
  await expect(dialog.getByRole("heading", { name: "Start web?" })).toBeVisible();
  await tabTo(page, dialog.getByRole("button", { name: "Start web" }));
  await page.keyboard.press("Enter");
  await expect(page.locator("#result")).toContainText("start by control");
  await eventually("web is ready", () => daemon.module("web").ready);
});
