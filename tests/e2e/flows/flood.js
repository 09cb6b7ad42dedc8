// Thousands of events a second: what a page does with them is bounded by its window, not by them. Counts are asserted,
// times and memory are told.
import { open } from "../browser.js";
import { assert } from "../check.js";
import { dev } from "../fleet.js";
import { blob } from "./jobs.js";

const RUNNING = 160;
const SECONDS = 4;

// Counts what arrives and what the page does about it, from before its own scripts run.
function count() {
  const seen = (window.seen = { events: 0, changed: 0, batches: 0, frames: 0, long: 0, longest: 0 });
  const listen = EventSource.prototype.addEventListener;
  EventSource.prototype.addEventListener = function (name, heard, ...rest) {
    const counted = (event) => {
      if (name === "job") seen.events += 1;
      return heard(event);
    };
    return listen.call(this, name, counted, ...rest);
  };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      seen.long += 1;
      seen.longest = Math.max(seen.longest, duration);
    }
  }).observe({ type: "longtask" });
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver((changes) => {
      seen.batches += 1;
      seen.changed += changes.length;
    }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  const tick = () => {
    seen.frames += 1;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

// Jobs that each tell their progress ten times a second, and hundreds that come and go.
async function flood(fleet) {
  const path = blob(fleet, "flood.bin", 8192);
  const post = (jobs) =>
    fetch(`${fleet.base}/api/v1/jobs/batch`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jobs }),
    }).then((answer) => assert.equal(answer.status, 201));
  const slow = { function_name: "sample.hash_file", args: { path, pace_ms: 100 }, name: "Tells its progress", priority: "high" };
  await post(Array.from({ length: RUNNING }, () => slow));
  const quick = { function_name: "sample.write_spool", args: { path: `${path}.spool` }, name: "Comes and goes", max_retries: 0 };
  return () => post(Array.from({ length: 100 }, () => quick));
}

async function look(tab, base, path, more) {
  const page = tab.page;
  const asked = { times: 0 };
  const counts = (request) => (asked.times += request.resourceType() === "fetch" ? 1 : 0);
  await page.goto(base + path);
  await page.locator('#live[data-state="on"]').waitFor();
  await page.locator(".bar.running").first().waitFor();
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  const metrics = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    const { metrics } = await cdp.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const bars = await page.locator("[data-bar]").count();
  const before = await metrics();
  page.on("request", counts);
  const start = await page.evaluate(() => ({ ...window.seen, at: performance.now() }));
  for (let second = 0; second < SECONDS; second += 1) {
    await Promise.all([more(), page.waitForTimeout(1000)]);
  }
  const end = await page.evaluate(() => ({ ...window.seen, at: performance.now() }));
  page.off("request", counts);
  const after = await metrics();
  const seconds = (end.at - start.at) / 1000;
  const rate = (name) => (end[name] - start[name]) / seconds;
  return {
    path,
    bars,
    seconds,
    asked: asked.times,
    events: rate("events"),
    batches: rate("batches"),
    changed: rate("changed"),
    frames: rate("frames"),
    long: end.long - start.long,
    longest: end.longest,
    script: (after.ScriptDuration - before.ScriptDuration) / seconds,
    task: (after.TaskDuration - before.TaskDuration) / seconds,
    heap: [before.JSHeapUsedSize, after.JSHeapUsedSize],
    nodes: [before.Nodes, after.Nodes],
  };
}

const line = (seen) =>
  `      ${seen.path}: ${seen.bars} bars, ${seen.events.toFixed(0)} events/s, ${seen.batches.toFixed(1)} batches/s with ` +
  `${seen.changed.toFixed(0)} changes, ${seen.frames.toFixed(0)} frames/s, script ${(100 * seen.script).toFixed(1)} %, main thread ` +
  `${(100 * seen.task).toFixed(1)} %, ${seen.long} long tasks (longest ${seen.longest.toFixed(0)} ms), pages asked for ${seen.asked}, heap ` +
  `${seen.heap.map((bytes) => (bytes / 1e6).toFixed(1)).join(" to ")} MB, nodes ${seen.nodes.join(" to ")}`;

async function staysCalm({ browser }) {
  const fleet = await dev(["--samples", "off"], { LONGSHORE_WORKER__MAX_WORKERS: String(RUNNING + 8) });
  const tab = await open(browser);
  try {
    await tab.page.addInitScript(count);
    const more = await flood(fleet);
    for (const path of ["/jobs?status=running", "/"]) {
      const seen = await look(tab, fleet.base, path, more);
      console.log(line(seen));
      // A page follows the bars that it shows, five times a second each at most, whatever else goes on.
      assert.ok(seen.bars <= 50, `${seen.bars} bars`);
      assert.ok(seen.events > 0 && seen.events <= 5.5 * seen.bars, `${seen.events} events a second for ${seen.bars} bars`);
      // Everything else is asked for at most every 1.2 s.
      assert.ok(seen.asked <= Math.ceil(seen.seconds / 1.2) + 1, `${seen.asked} pages in ${seen.seconds} s`);
      // At most one batch of changes a frame, besides one a refresh and one a tick of the clock.
      assert.ok(seen.batches <= 60 + 2, `${seen.batches} batches a second`);
      // Nothing grows: rows take the place of rows.
      assert.ok(seen.nodes[1] <= 1.5 * seen.nodes[0] + 2000, `nodes ${seen.nodes}`);
      assert.ok(seen.heap[1] <= seen.heap[0] + 8e6, `heap ${seen.heap}`);
    }
    assert.deepEqual(tab.problems, []);
  } finally {
    await tab.close();
    await fleet.stop("SIGKILL");
  }
}

export const flows = [["a flood of events costs a page what its window holds", staysCalm]];
