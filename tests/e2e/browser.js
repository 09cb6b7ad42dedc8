// Debian's Chromium, driven by playwright-core. Both live outside of the tree: scripts/test puts the modules below the
// target folder.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

export const modules = process.env.LONGSHORE_E2E_MODULES ?? new URL("../../target/e2e-modules/", import.meta.url).pathname;
const require = createRequire(`${modules}/package.json`);
const { chromium } = require("playwright-core");
export const { AxeBuilder } = require("@axe-core/playwright");

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export async function launch() {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: apt-get install --no-install-recommends chromium`);
  return chromium.launch({
    executablePath: PROGRAM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
  });
}

// What went wrong in any page of any flow, and was not to be.
export const unexpected = [];

// A page that remembers everything that went wrong in it. What a flow provokes it names in `expected`, as patterns.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const problems = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()} at ${message.location().url}`);
  });
  page.on("pageerror", (error) => problems.push(`exception: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 500) problems.push(`${response.status()} from ${response.url()}`);
  });
  const expected = [];
  const close = async () => {
    unexpected.push(...problems.filter((problem) => !expected.some((pattern) => pattern.test(problem))));
    await context.close();
  };
  return { page, context, problems, expected, close };
}
