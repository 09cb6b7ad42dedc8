// Pictures of every view at three widths, in light and dark, into target/e2e: to be looked at, and kept by the CI. Each is
// also looked at by axe, and must have said nothing in the console.
import { mkdirSync } from "node:fs";
import { AxeBuilder, launch, open } from "./browser.js";
import { dev } from "./fleet.js";
import { LEVELS } from "./flows/looks.js";
import { views } from "./views.js";

const folder = process.env.LONGSHORE_E2E_OUT ?? new URL("../../target/e2e/", import.meta.url).pathname;
const only = process.argv[2];

export async function pictures(browser, fleet, list) {
  mkdirSync(folder, { recursive: true });
  let taken = 0;
  const wrong = [];
  for (const scheme of ["light", "dark"]) {
    for (const width of [360, 1280, 2560]) {
      const tab = await open(browser, { colorScheme: scheme, viewport: { width, height: width === 360 ? 780 : 900 } });
      for (const { name, path, status } of list) {
        await tab.page.goto(fleet.base + path, { waitUntil: "load" });
        await tab.page.waitForTimeout(350);
        await tab.page.screenshot({ path: `${folder}/${name}-${width}-${scheme}.png`, fullPage: width !== 2560 });
        taken += 1;
        for (const found of await serious(tab.page)) wrong.push(`${name} at ${width} px, ${scheme}: ${found}`);
        const said = tab.problems.splice(0).filter((problem) => !status || !problem.includes(`${status}`));
        wrong.push(...said.map((problem) => `${name} at ${width} px, ${scheme}: ${problem}`));
      }
      await tab.close();
    }
  }
  return { taken, wrong };
}

async function serious(page) {
  const { violations } = await new AxeBuilder({ page }).options({ resultTypes: ["violations"], iframes: false }).withTags(LEVELS).analyze();
  const found = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return found.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 160)} (${nodes.length})`);
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const fleet = await dev();
  const browser = await launch();
  try {
    await new Promise((done) => setTimeout(done, Number(process.env.WARM_MS ?? 15000)));
    const list = (await views(fleet)).filter(({ name }) => !only || only.split(",").includes(name));
    const { taken, wrong } = await pictures(browser, fleet, list);
    for (const problem of wrong) console.log(`FAIL  ${problem}`);
    console.log(`${taken} pictures in ${folder}, ${wrong.length} problems`);
    process.exitCode = wrong.length || !taken ? 1 : 0;
  } finally {
    await browser.close();
    await fleet.stop();
  }
}
