// Two browsers at a time, each with its own daemon and ports: a test waits more than it computes. A
// test that fails leaves its trace, a screenshot, and the daemon's log, journal and files in a folder of
// outputDir, which its message names.
export default {
  testDir: "tests",
  workers: 2,
  retries: 0,
  timeout: 240_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  outputDir: process.env.FAILED,
  use: {
    screenshot: "only-on-failure",
    // Without page snapshots: they would add a script of Playwright to each page, and the tests check
    // which scripts there are.
    trace: { mode: "retain-on-failure", snapshots: false, screenshots: true, sources: true },
    browserName: "chromium",
    locale: "en-GB",
    launchOptions: {
      executablePath: process.env.CHROMIUM,
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
      ],
    },
  },
};
