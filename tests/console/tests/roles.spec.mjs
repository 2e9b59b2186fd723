// Each role sees what it may do; a page says what it may not do.
import { expect, test } from "./fixtures.mjs";

const FOR_ADMINS = ["/components/checkers/wider/approve", "/users/admin/remove", "/tokens/none/revoke"];
const MAY = {
  monitor: { commands: [], runs: 0 },
  control: { commands: ["Stop…", "Restart…", "Suspend…"], runs: 1 },
};

for (const [role, may] of Object.entries(MAY)) {
  test(`the role ${role}: what it sees, and the answer at URLs for admins`, async ({ page, daemon, signIn, wrong }) => {
    wrong.expect.push(/403/);
    await signIn(role);
    await page.goto(`${daemon.url}/modules/web`);
    // A reset is offered, too, if restarts have been counted.
    await expect(page.locator("#orders a.button:not([href$='/reset'])")).toHaveText(may.commands);
    await expect(page.getByRole("button", { name: /Run health-port now/ })).toHaveCount(may.runs);
    await page.goto(`${daemon.url}/components/checkers/wider`);
    await expect(page.getByText("requests more grants than the previous one")).toBeVisible();
    await expect(page.getByRole("link", { name: /Review and approve/ })).toHaveCount(0);
    await expect(page.getByText("Approving needs the role admin")).toBeVisible();
    await page.goto(`${daemon.url}/users`);
    await expect(page.getByText("managed by admins")).toBeVisible();
    await expect(page.locator("form[action^='/users'], form[action^='/tokens']")).toHaveCount(0);
    for (const path of FOR_ADMINS) {
      const answer = await page.goto(daemon.url + path);
      expect(answer.status(), path).toBe(403);
      expect(answer.headers()["content-type"], path).toMatch(/^text\/html/);
      await expect(page.getByRole("heading")).toHaveText("Not permitted");
      await expect(page.getByText(`${role} has the role ${role}; this needs the role admin.`)).toBeVisible();
    }
    await page.getByRole("link", { name: "Back" }).click();
    await expect(page).toHaveURL(`${daemon.url}/`);
  });
}

test("requests that a monitor posts without the pages are refused and change nothing", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(/403/);
  await signIn("monitor");
  const posted = await page.evaluate(async () => {
    const headers = { "Bellwether-Act": localStorage.getItem("bellwether-act-key"), "Content-Type": "application/x-www-form-urlencoded" };
    const post = async (path, body) => (await fetch(path, { method: "POST", headers, body })).status;
    return [
      await post("/modules/web/stop", `seen=${"9".repeat(17)}&typed=web`),
      await post("/modules/web/checkers/health-port/run", ""),
      await post("/components/checkers/wider/approve", "digest=x"),
      await post("/users/admin/role", "role=monitor"),
    ];
  });
  expect(posted).toEqual([403, 403, 403, 403]);
  expect(daemon.module("web").ready).toBe(true);
});
