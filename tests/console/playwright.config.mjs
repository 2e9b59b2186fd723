// One browser at a time: the daemon of a test is alone with it, and two cores are enough.
export default {
  testDir: "tests",
  workers: 1,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  outputDir: process.env.PICTURES + "/failures",
  use: {
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
