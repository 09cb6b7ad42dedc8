// Enqueue, watch, cancel, search, pause.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "../browser.js";
import { assert } from "../check.js";

// Enqueues from the form; the page of the new job is shown then.
export async function enqueue(page, base, { name, path, pace = 0, fn = "sample.hash_file", args, more = {} }) {
  await page.goto(`${base}/enqueue`);
  await page.getByLabel("Function", { exact: true }).fill(fn);
  await page.getByLabel("Arguments (JSON)").fill(JSON.stringify(args ?? { path, pace_ms: pace }));
  await page.getByLabel("Name for people").fill(name);
  for (const [label, value] of Object.entries(more)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("button", { name: "Enqueue" }).click();
  await page.waitForURL(/\/jobs\/[0-9a-f-]{36}/);
  return page.url().match(/[0-9a-f-]{36}/)[0];
}

export function blob(fleet, name = "e2e.bin", kib = 640) {
  mkdirSync(fleet.folder, { recursive: true });
  const path = join(fleet.folder, name);
  writeFileSync(path, Buffer.alloc(kib * 1024, 7));
  return path;
}

async function quiet(tab, run) {
  try {
    await run(tab.page);
    assert.deepEqual(tab.problems, []);
  } finally {
    await tab.close();
  }
}

const inTab = (run, options) => async (world) => quiet(await open(world.browser, options), (page) => run(page, world));

const watchTheBar = inTab(async (page, { fleet }) => {
  await enqueue(page, fleet.base, { name: "Watched from the form", path: blob(fleet), pace: 60 });
  const bar = page.locator(".bar.large");
  await page.locator(".bar.large.running[aria-valuenow]").waitFor();
  const before = Number(await bar.getAttribute("aria-valuenow"));
  await page.waitForFunction((low) => Number(document.querySelector(".bar.large").getAttribute("aria-valuenow")) > low, before);
  await page.locator(".bar.large.completed").waitFor();
  await page.locator("#result pre").waitFor();
  assert.match(await page.locator("#result pre").textContent(), /[0-9a-f]{64}/);
});

const cancelARunningJob = inTab(async (page, { fleet }) => {
  await enqueue(page, fleet.base, { name: "To be cancelled", path: blob(fleet), pace: 900 });
  await page.locator(".bar.large.running").waitFor();
  await page.getByRole("link", { name: "Cancel…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("the browser test says so");
  await dialog.getByRole("button", { name: "Cancel the job" }).click();
  await page.locator(".bar.large.cancelled").waitFor();
  assert.match(await page.locator("#facts").textContent(), /the browser test says so \(dev\)/);
});

const cancelWithoutScripts = inTab(
  async (page, { fleet }) => {
    const id = await enqueue(page, fleet.base, { name: "Without scripts", path: blob(fleet), pace: 900, more: { "Start in": "1h" } });
    await page.getByRole("link", { name: "Cancel…" }).click();
    await page.waitForURL(/\/cancel$/);
    await page.getByRole("button", { name: "Cancel the job" }).click();
    await page.waitForURL(new RegExp(`${id}\\?done=cancelled`));
    assert.match(await page.locator("main").textContent(), /Cancelled\./);
  },
  { javaScriptEnabled: false },
);

const wrongFieldsAreTold = inTab(async (page, { fleet }) => {
  await page.goto(`${fleet.base}/enqueue`);
  await page.getByLabel("Function", { exact: true }).fill("sample.hash_file");
  await page.getByLabel("Start in").fill("soon");
  await page.getByLabel("Retries").fill("many");
  await page.getByRole("button", { name: "Enqueue" }).click();
  const problems = page.getByRole("alert").getByRole("listitem");
  await problems.first().waitFor();
  assert.equal(await problems.count(), 2);
  assert.equal(await page.getByLabel("Start in").inputValue(), "soon");
});

const searchFinds = inTab(async (page, { fleet }) => {
  const id = await enqueue(page, fleet.base, { name: "Needle in a haystack", path: blob(fleet), more: { Tags: "e2e:needle" } });
  await page.keyboard.press("/");
  await page.keyboard.type("needle in");
  await page.keyboard.press("Enter");
  await page.waitForURL(/text=needle/);
  assert.equal(await page.locator("#list tbody tr").count(), 1);
  await page.goto(`${fleet.base}/jobs?tag=e2e:needle`);
  assert.equal(await page.locator("#list tbody tr").count(), 1);
  await page.goto(`${fleet.base}/jobs?function=sample.hash_file&status=cancelled&tag=e2e:needle`);
  assert.match(await page.locator("#list").textContent(), /No job matches/);
  await page.locator("#q").fill(id);
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`/jobs/${id}$`));
});

const pauseAQueue = inTab(async (page, { fleet }) => {
  const path = blob(fleet);
  await enqueue(page, fleet.base, { name: "Makes the queue", path, more: { Queue: "e2e-paused", "Start in": "1h" } });
  await page.goto(`${fleet.base}/queues`);
  const row = page.locator("tr", { hasText: "e2e-paused" });
  await row.getByRole("link", { name: "Pause…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause the queue" }).click();
  await page.waitForURL(/done=paused/);
  await row.locator(".status.paused").waitFor();
  await enqueue(page, fleet.base, { name: "Held by a pause", path, more: { Queue: "e2e-paused" } });
  await page.locator("#why", { hasText: "paused" }).waitFor();
  await page.goto(`${fleet.base}/queues`);
  await row.getByRole("button", { name: "Resume" }).click();
  await page.waitForURL(/done=resumed/);
  assert.equal(await row.locator(".status.paused").count(), 0);
});

const keysLead = inTab(async (page, { fleet }) => {
  await page.goto(`${fleet.base}/`);
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  const places = [["gj", "/jobs"], ["gd", "/dead"], ["gq", "/queues"], ["gc", "/cron"], ["gw", "/workers"], ["gp", "/operations"], ["go", "/"], ["e", "/enqueue"]];
  for (const [keys, path] of places) {
    for (const key of keys) await page.keyboard.press(key);
    await page.waitForURL(`${fleet.base}${path}`);
  }
  // What is typed into a field is text, and Escape leaves the field.
  await page.getByLabel("Name for people").fill("");
  await page.getByLabel("Name for people").press("g");
  await page.getByLabel("Name for people").press("j");
  assert.equal(await page.getByLabel("Name for people").inputValue(), "gj");
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
  await page.goto(`${fleet.base}/jobs`);
  const at = () => page.locator("tbody tr.at").getAttribute("data-key");
  await page.keyboard.press("j");
  const top = await at();
  await page.keyboard.press("j");
  assert.notEqual(await at(), top);
  await page.keyboard.press("k");
  assert.equal(await at(), top);
  await page.keyboard.press("j");
  const second = await at();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${fleet.base}/jobs/${second}`);
  await page.keyboard.press("t");
  const first = await page.locator("html").getAttribute("data-theme");
  await page.reload();
  assert.equal(await page.locator("html").getAttribute("data-theme"), first);
});

const logIsLive = inTab(async (page, { fleet }) => {
  await enqueue(page, fleet.base, { name: "Says what it does", path: blob(fleet, "said.bin", 768), pace: 90 });
  const lines = page.locator("#log .log li");
  await lines.filter({ hasText: "opened" }).waitFor();
  const before = await lines.count();
  await page.waitForFunction((low) => document.querySelectorAll("#log .log li").length > low, before);
  await page.locator(".bar.large.completed").waitFor();
  await lines.filter({ hasText: "768 KiB of 768 KiB" }).waitFor();
  // A job that has said nothing tells how it could.
  await enqueue(page, fleet.base, { name: "Says nothing", fn: "sample.write_spool", args: { path: `${fleet.folder}/spool.txt` } });
  await page.locator(".bar.large.completed").waitFor();
  await page.locator("#log", { hasText: "said nothing" }).waitFor();
});

const menuOnAPhone = inTab(
  async (page, { fleet }) => {
    await page.goto(`${fleet.base}/dead`);
    const list = page.getByRole("navigation", { name: "Views" });
    assert.equal(await list.isVisible(), false);
    await page.getByRole("button", { name: "Menu: Dead letters" }).click();
    assert.equal(await list.getByRole("link").count(), 9);
    for (const link of await list.getByRole("link").all()) {
      const box = await link.boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= 400 && box.height >= 36, JSON.stringify(box));
    }
    await list.getByRole("link", { name: "Workers" }).click();
    await page.waitForURL(/workers/);
    // What a form is for is in sight before anything is scrolled.
    for (const path of ["/enqueue", "/cron/new"]) {
      await page.goto(fleet.base + path);
      const box = await page.locator(".submit .primary").boundingBox();
      assert.ok(box.y + box.height <= 800, JSON.stringify(box));
    }
  },
  { viewport: { width: 400, height: 800 } },
);

const liveUpdatesPause = inTab(async (page, { fleet }) => {
  await page.goto(`${fleet.base}/jobs`);
  await page.locator('#live[data-state="on"]').waitFor();
  await page.keyboard.press("p");
  await page.locator('#live[data-state="paused"]').waitFor();
  await fleet.cli("enqueue", "sample.hash_file", JSON.stringify({ path: blob(fleet) }), "--name", "While it was paused");
  const row = page.locator("tr", { hasText: "While it was paused" });
  assert.equal(await row.count(), 0);
  await page.keyboard.press("p");
  await row.waitFor();
});

const jobTextIsText = inTab(async (page, { fleet }) => {
  const evil = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
  await enqueue(page, fleet.base, { name: evil, fn: "sample.parse_ledger", args: { path: evil }, more: { Tags: "<b>x</b>", Retries: "0" } });
  await page.locator(".bar.large.failed").waitFor();
  for (const path of ["/", "/jobs", `/dead?tag=${encodeURIComponent("<b>x</b>")}`]) {
    await page.goto(fleet.base + path);
    assert.match(await page.locator("main").textContent(), /<img src=x/);
    assert.doesNotMatch(await page.title(), /owned/);
  }
});

export const flows = [
  ["a job enqueued from the form moves its bar to its end", watchTheBar],
  ["a running job is cancelled, with its reason", cancelARunningJob],
  ["a job is cancelled without scripts", cancelWithoutScripts],
  ["every wrong field of the form is told, and what was typed stays", wrongFieldsAreTold],
  ["search finds by text, tag, function, status and id", searchFinds],
  ["a queue is paused and resumed, and says why its jobs wait", pauseAQueue],
  ["keys lead everywhere, and the theme stays", keysLead],
  ["what a handler says is shown while it runs", logIsLive],
  ["the menu and the button of a form are at hand on a phone", menuOnAPhone],
  ["live updates pause and resume", liveUpdatesPause],
  ["what a job says is text, wherever it is shown", jobTextIsText],
];
