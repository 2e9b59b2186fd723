// Components that request more grants, and components that do not load.
import { accessible, expect, test } from "./fixtures.mjs";
import { asking, eventually } from "./daemon.mjs";

const lodging = (lodger) => `[commands]
start = { run = ["/bin/sleep", "100004"], keep = true }
[[checker]]
name = "lodger"
component = "${lodger}"
on-down = "notify"
interval = "5s"
config = { ask = "processes" }
grant = { processes = true }
`;

test("a version that requests more grants waits, is approved by an admin, and is then active", async ({ page, daemon, signIn }, { repeatEachIndex }) => {
  // The daemon stores the requests of a component by its name.
  const lodger = `lodger-${repeatEachIndex}`;
  const file = `checkers/${lodger}.wasm`;
  daemon.write(file, asking("127.0.0.1"));
  daemon.write("modules/lodger.toml", lodging(lodger));
  try {
    await eventually("the first version runs", () => daemon.checker("lodger", "lodger")?.last?.status === "pass");
    const first = daemon.component(lodger).digest;
    await signIn("admin");
    await page.goto(`${daemon.url}/components/checkers/${lodger}`);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`${lodger} active`);
    daemon.write(file, asking("127.0.0.8"));
    await eventually("the second version waits", () => daemon.component(lodger).waiting);
    expect(daemon.component(lodger).digest, "the version before it goes on").toBe(first);
    await page.goto(`${daemon.url}/components/checkers/${lodger}`);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`${lodger} waits for approval`);
    await page.getByRole("link", { name: /Review and approve/ }).click();
    const dialog = page.locator("#dialog");
    await expect(dialog.getByText("ping 127.0.0.8")).toBeVisible();
    await expect(dialog).toContainText("Approval grants nothing");
    await accessible(page, "the dialog of an approval");
    await dialog.getByRole("button", { name: "Approve" }).click();
    await expect(dialog.getByRole("heading", { name: "Done" })).toBeVisible();
    await dialog.getByRole("link", { name: /Back/ }).click();
    await eventually("the second version is in force", () => daemon.component(lodger).digest !== first);
    await page.reload();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`${lodger} active`);
    await page.goto(`${daemon.url}/events?kind=approval`);
    await expect(page.locator(".events tbody tr").first()).toContainText("admin from 127.0.0.1");
  } finally {
    daemon.remove("modules/lodger.toml");
    daemon.remove(file);
    await eventually("the module is gone", () => !daemon.module("lodger"));
    await eventually("the component is gone", () => !daemon.component(lodger));
  }
});

test("a file that is not a component is quarantined with the reason, and the last good version stays active", async ({ page, daemon, signIn }) => {
  await signIn("monitor");
  await page.goto(`${daemon.url}/components`);
  const row = page.getByRole("row", { name: /cracked/ });
  await expect(row).toContainText("quarantined");
  await row.getByRole("link", { name: "cracked" }).click();
  await expect(page.getByText("The version in this file does not work")).toContainText("the file is not WebAssembly");
  await expect(page.getByText("The last good version stays active")).toBeVisible();
  await expect(page.getByText(/^Quarantined since/)).toContainText(/tried (once|\d+ times)/);
});
