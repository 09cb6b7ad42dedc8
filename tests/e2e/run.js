// Drives the dashboard as people do. `node run.js` ends with one line, "N passed, N failed"; `node run.js NAME…` runs the
// flows whose names contain one of the words.
import { launch, unexpected } from "./browser.js";
import { assert, check, summary } from "./check.js";
import { dev } from "./fleet.js";
import { flows as access } from "./flows/access.js";
import { flows as element } from "./flows/element.js";
import { flows as flood } from "./flows/flood.js";
import { flows as jobs } from "./flows/jobs.js";
import { flows as looks } from "./flows/looks.js";
import { flows as repair } from "./flows/repair.js";

const wanted = process.argv.slice(2);
const began = performance.now();
const browser = await launch();
const fleet = await dev(["--samples", "once"]);
const world = { browser, fleet };
try {
  for (const [name, run] of [...jobs, ...repair, ...access, ...element, ...flood, ...looks]) {
    if (!wanted.length || wanted.some((word) => name.includes(word))) await check(name, () => run(world));
  }
  await check("no page of any flow had a console error that it did not provoke", () => assert.deepEqual(unexpected, []));
} finally {
  await browser.close();
  await fleet.stop();
}
console.log(`in ${Math.round((performance.now() - began) / 1000)} s`);
process.exitCode = summary() ? 0 : 1;
