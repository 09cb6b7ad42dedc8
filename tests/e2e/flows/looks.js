// Every view: no error in the console, nothing that axe finds serious, no sideways scrolling on a phone.
import { AxeBuilder, open } from "../browser.js";
import { assert } from "../check.js";
import { views } from "../views.js";

export const LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

// Light and dark differ by their colours alone: the second look is at those.
async function isAccessible({ browser, fleet }, scheme) {
  const tab = await open(browser, { colorScheme: scheme });
  tab.expected.push(/404/);
  try {
    const found = [];
    for (const { name, path, status } of await views(fleet)) {
      await tab.page.goto(fleet.base + path, { waitUntil: "load" });
      const axe = new AxeBuilder({ page: tab.page }).options({ resultTypes: ["violations"], iframes: false });
      const seen = await (scheme === "light" ? axe.withTags(LEVELS) : axe.withRules(["color-contrast"])).analyze();
      const serious = seen.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      for (const { id, nodes } of serious) found.push(`${name}: ${id}: ${nodes[0].html.slice(0, 160)} (${nodes.length}) ${nodes[0].failureSummary?.replaceAll("\n", " ").slice(0, 220)}`);
      if (status) tab.problems.splice(0, tab.problems.length, ...tab.problems.filter((problem) => !problem.includes(`${status}`)));
    }
    assert.deepEqual(found, []);
    assert.deepEqual(tab.problems, []);
  } finally {
    await tab.close();
  }
}

async function fitsAPhone({ browser, fleet }) {
  const tab = await open(browser, { viewport: { width: 360, height: 780 } });
  tab.expected.push(/404/);
  try {
    const wide = [];
    for (const { name, path } of await views(fleet)) {
      await tab.page.goto(fleet.base + path, { waitUntil: "load" });
      const width = await tab.page.evaluate(() => document.documentElement.scrollWidth);
      if (width > 360) wide.push(`${name}: ${width} px`);
    }
    assert.deepEqual(wide, []);
  } finally {
    await tab.close();
  }
}

export const flows = [
  ["no view has a serious violation or a console error in light", (world) => isAccessible(world, "light")],
  ["no view has a serious violation or a console error in dark", (world) => isAccessible(world, "dark")],
  ["every view fits a phone", fitsAPhone],
];
