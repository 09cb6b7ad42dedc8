// Pictures of every view at three widths, in light and dark, into target/e2e: to be looked at, and kept by the CI.
import { mkdirSync } from "node:fs";
import { launch, open } from "./browser.js";
import { dev } from "./fleet.js";
import { views } from "./views.js";

const folder = process.env.LONGSHORE_E2E_OUT ?? new URL("../../target/e2e/", import.meta.url).pathname;
const only = process.argv[2];

export async function pictures(browser, fleet, list) {
  mkdirSync(folder, { recursive: true });
  let taken = 0;
  for (const scheme of ["light", "dark"]) {
    for (const width of [360, 1280, 2560]) {
      const tab = await open(browser, { colorScheme: scheme, viewport: { width, height: width === 360 ? 780 : 900 } });
      for (const { name, path } of list) {
        await tab.page.goto(fleet.base + path, { waitUntil: "load" });
        await tab.page.waitForTimeout(350);
        await tab.page.screenshot({ path: `${folder}/${name}-${width}-${scheme}.png`, fullPage: width !== 2560 });
        taken += 1;
      }
      await tab.close();
    }
  }
  return taken;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const fleet = await dev();
  const browser = await launch();
  try {
    await new Promise((done) => setTimeout(done, Number(process.env.WARM_MS ?? 15000)));
    const list = (await views(fleet)).filter(({ name }) => !only || only.split(",").includes(name));
    const taken = await pictures(browser, fleet, list);
    console.log(`${taken} pictures in ${folder}`);
  } finally {
    await browser.close();
    await fleet.stop();
  }
}
