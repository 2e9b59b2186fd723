import { accessible, expect, test } from "./fixtures.mjs";
import { eventually } from "./daemon.mjs";

test("a kill -9 of the application is shown without a reload, and the focus stays", async ({ page, daemon, signIn }) => {
  await signIn("monitor");
  await page.getByRole("link", { name: "web", exact: true }).focus();
  const before = await page.locator("#cell-web time").first().getAttribute("datetime");
  const pid = daemon.module("web").processes[0].pid;
  process.kill(pid, "SIGKILL");
  await expect(page.locator("#cell-web time").first()).not.toHaveAttribute("datetime", before);
  await expect(page.locator("#cell-web .mark").first()).toHaveText("up");
  expect(daemon.module("web").processes[0].pid).not.toBe(pid);
  expect(await page.evaluate(() => document.activeElement.textContent)).toBe("web");
});

test("the output of the application is followed, with its end in view", async ({ page, daemon, signIn }) => {
  const written = (lines) => daemon.append("logs/reports.start.log", lines.map((line) => `${line}\n`).join(""));
  written(Array.from({ length: 200 }, (_, number) => `line ${number}`));
  await signIn("monitor");
  await page.goto(`${daemon.url}/modules/reports`);
  const log = page.getByRole("region", { name: "Output of start" });
  await expect(log).toContainText("line 199");
  const isAtItsEnd = () => log.evaluate((element) => element.scrollHeight > element.clientHeight && Math.abs(element.scrollTop) < 4);
  expect(await isAtItsEnd()).toBe(true);
  written(["one more"]);
  await expect(log).toContainText("one more");
  expect(await isAtItsEnd()).toBe(true);
  await log.evaluate((element) => { element.scrollTop = -200; });
  written(["not yet"]);
  await page.waitForResponse((answer) => answer.url().endsWith("/modules/reports/log"));
  await page.waitForResponse((answer) => answer.url().endsWith("/modules/reports/log"));
  await expect(log, "whoever reads is left in peace").not.toContainText("not yet");
  await log.evaluate((element) => { element.scrollTop = 0; });
  await expect(log).toContainText("not yet");
});

test("every command asks for confirmation, states its effect, and has it", async ({ page, daemon, signIn }) => {
  await signIn("control");
  const say = async (module, word, state) => {
    await page.goto(`${daemon.url}/modules/${module}`);
    await page.getByRole("link", { name: `${word}…`, exact: true }).click();
    const dialog = page.locator("#dialog");
    await expect(dialog.getByRole("heading", { name: `${word} ${module}?` })).toBeVisible();
    await expect(dialog.getByText("What will happen")).toBeVisible();
    await accessible(page, `the dialog of ${word}`);
    const typed = dialog.getByRole("textbox", { name: /^Type/ });
    if (await typed.count()) {
      await typed.fill(module);
    }
    await dialog.getByLabel("Reason").fill(`to see ${word}`);
    await dialog.getByRole("button", { name: `${word} ${module}` }).click();
    await expect(dialog).toBeHidden();
    await expect(page.locator("#result")).toContainText(`${word.toLowerCase()} by control from 127.0.0.1 (to see ${word})`);
    await eventually(`${word} ${module}`, () => state(daemon.module(module)));
  };
  await say("web", "Suspend", (module) => module.suspended);
  await say("web", "Resume", (module) => !module.suspended);
  await say("web", "Restart", (module) => module.ready);
  await say("web", "Stop", (module) => module.state === "stopped");
  await say("web", "Start", (module) => module.ready);
  await say("orders", "Reset", (module) => module.state === "stopped");
  await say("orders", "Start", (module) => module.state === "failed");
  const told = JSON.parse(`[${daemon.tell("events", "--kind", "command", "--json").trim().replaceAll("\n", ",")}]`).flat();
  expect(told.some((event) => event.by === "control from 127.0.0.1 (to see Stop)" && event.command === "stop"), "who did it is written down").toBe(true);
});

test("the last ready node is stopped only by typing the module's name", async ({ page, daemon, signIn }) => {
  await signIn("control");
  await page.goto(`${daemon.url}/modules/web`);
  await page.getByRole("link", { name: "Stop…" }).click();
  const button = page.locator("#dialog").getByRole("button", { name: "Stop web" });
  const field = page.locator("#dialog").getByRole("textbox", { name: /^Type/ });
  await expect(page.locator("#dialog")).toContainText("This node does not know whether another one serves web");
  await field.fill("wep");
  await expect(button).toBeDisabled();
  await field.fill("web");
  await expect(button).toBeEnabled();
  await page.keyboard.press("Escape");
  await expect(page.locator("#dialog")).toBeHidden();
  expect(daemon.module("web").ready).toBe(true);
});

test("a command on a state that has changed since the page was loaded is refused, with the current state", async ({ page, daemon, signIn, wrong }) => {
  wrong.expect.push(/409/);
  await signIn("control");
  await page.goto(`${daemon.url}/modules/web`);
  await page.getByRole("link", { name: "Suspend…" }).click();
  await expect(page.locator("#dialog").getByRole("heading", { name: "Suspend web?" })).toBeVisible();
  const { restarts, processes } = daemon.module("web");
  process.kill(processes[0].pid, "SIGKILL");
  await eventually("web was restarted", () => daemon.module("web").ready && daemon.module("web").restarts > restarts);
  await page.locator("#dialog").getByRole("button", { name: "Suspend web" }).click();
  await expect(page.locator("#dialog")).toContainText("it has changed since you looked");
  expect(daemon.module("web").suspended).toBe(false);
});

test("a checker is run now, and its result is shown", async ({ page, daemon, signIn }) => {
  await signIn("control");
  await page.goto(`${daemon.url}/modules/web`);
  await page.getByRole("button", { name: "Run health-port now" }).click();
  await expect(page.locator("#dialog")).toContainText("connected to");
  await expect(page.locator("#dialog")).toContainText("its result has no effect");
});

test("keys do what the mouse does, and can be switched off", async ({ page, signIn }) => {
  await signIn("control");
  await expect(page.locator("#contact")).toHaveText("live");
  await page.keyboard.press("j");
  await expect(page.getByRole("link", { name: "orders", exact: true })).toBeFocused();
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await expect(page.getByRole("link", { name: "orders", exact: true })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: /orders/ })).toBeVisible();
  await expect(page.locator("#contact")).toHaveText("live");
  await page.keyboard.press("?");
  await expect(page.getByRole("heading", { name: "Keys" })).toBeVisible();
  await accessible(page, "the dialog of keys");
  await page.getByLabel("Enable single-key shortcuts").uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await expect(page).toHaveURL(/modules\/orders$/);
  await page.keyboard.press("Tab");
  await page.reload();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeFocused();
});
