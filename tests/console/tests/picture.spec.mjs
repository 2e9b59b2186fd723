import { expect, test } from "./fixtures.mjs";

test("the screenshot of the README @picture", async ({ page, signIn }) => {
  await page.setViewportSize({ width: 1400, height: 900 });
  await signIn("admin");
  await expect(page.locator("#contact")).toHaveText("live");
  await page.screenshot({ path: process.env.PICTURE });
});
