// The two pictures of the README, from `longshore dev` with its samples alive: `node readme.js FOLDER`.
import { launch, open } from "./browser.js";
import { dev } from "./fleet.js";

const folder = process.argv[2];
const fleet = await dev();
const browser = await launch();
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
try {
  await pause(Number(process.argv[3] ?? 190));
  const light = await open(browser, { colorScheme: "light", viewport: { width: 1360, height: 850 } });
  await light.page.goto(`${fleet.base}/?window=15m`);
  await light.page.locator("#running .bar.running").nth(3).waitFor({ timeout: 40000 });
  await pause(5);
  await light.page.screenshot({ path: `${folder}/dashboard-light.png` });
  const dark = await open(browser, { colorScheme: "dark", viewport: { width: 1360, height: 850 } });
  await dark.page.goto(`${fleet.base}/jobs?status=blocked`);
  await dark.page.locator("a.title", { hasText: "Merge the counts" }).first().click({ timeout: 40000 });
  await dark.page.waitForURL(/\/jobs\/[0-9a-f-]{36}/);
  await pause(2);
  await dark.page.screenshot({ path: `${folder}/dashboard-dark.png` });
} finally {
  await browser.close();
  await fleet.stop();
}
