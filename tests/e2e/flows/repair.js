// Dead letters: see, edit and requeue one, requeue many by a filter. Recurring jobs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "../browser.js";
import { assert } from "../check.js";
import { enqueue } from "./jobs.js";

const inTab = (run) => async ({ browser, fleet }) => {
  const tab = await open(browser);
  try {
    await run(tab.page, fleet);
    assert.deepEqual(tab.problems, []);
  } finally {
    await tab.close();
  }
};

function ledger(fleet, name, text) {
  const path = join(fleet.folder, name);
  writeFileSync(path, text);
  return path;
}

const editAndRequeue = inTab(async (page, fleet) => {
  const bad = ledger(fleet, "bad-ledger.txt", "1\ntwo\n");
  const good = ledger(fleet, "good-ledger.txt", "1\n2\n39\n");
  const id = await enqueue(page, fleet.base, { name: "A ledger with a bad line", fn: "sample.parse_ledger", args: { path: bad } });
  await page.locator(".bar.large.failed").waitFor();
  await page.goto(`${fleet.base}/dead`);
  const group = page.locator("#groups tbody tr", { hasText: "is no whole number" });
  await group.locator("a.title").click();
  await page.waitForURL(/fingerprint=/);
  await page.locator("#letters tbody tr", { hasText: "A ledger with a bad line" }).locator("a.title").click();
  await page.waitForURL(new RegExp(id));
  await page.getByRole("link", { name: "Edit and requeue" }).click();
  await page.getByLabel("Arguments (JSON)").fill(JSON.stringify({ path: good }));
  await page.getByRole("button", { name: "Save and requeue" }).click();
  await page.waitForURL(/done=edited/);
  await page.locator(".bar.large.completed").waitFor();
  await page.locator("#result pre", { hasText: "42" }).waitFor();
});

const requeueByFilter = inTab(async (page, fleet) => {
  const path = ledger(fleet, "many-ledger.txt", "one\n");
  for (let number = 0; number < 3; number += 1) {
    await fleet.cli("enqueue", "sample.parse_ledger", JSON.stringify({ path }), "--tag", "e2e:many");
  }
  await page.goto(`${fleet.base}/dead?tag=e2e:many`);
  await page.locator("#letters tbody tr").nth(2).waitFor();
  ledger(fleet, "many-ledger.txt", "5\n");
  await page.getByRole("link", { name: "Requeue all that match…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Requeue 3 dead letters" }).click();
  await page.waitForURL(/operations\?done=operation/);
  const row = page.locator("#list tbody tr", { hasText: "e2e:many" });
  await row.locator(".bar.completed").waitFor();
  assert.match(await row.textContent(), /3 of 3/);
  await page.goto(`${fleet.base}/jobs?tag=e2e:many`);
  await page.waitForFunction(() => document.querySelectorAll("#list .status.completed").length === 3);
});

const discardAsksWithTheCount = inTab(async (page, fleet) => {
  const path = ledger(fleet, "lost-ledger.txt", "lost\n");
  await fleet.cli("enqueue", "sample.parse_ledger", JSON.stringify({ path }), "--tag", "e2e:lost");
  await page.goto(`${fleet.base}/dead?tag=e2e:lost`);
  await page.locator("#letters tbody tr").first().waitFor();
  const discard = page.getByRole("link", { name: "Discard all that match…" });
  await discard.click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("link", { name: "Back" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal(await page.locator("#letters tbody tr").count(), 1);
  await discard.click();
  await dialog.getByRole("button", { name: "Discard 1 dead letter" }).click();
  await page.waitForURL(/operations/);
  await page.goto(`${fleet.base}/dead?tag=e2e:lost`);
  await page.locator("#groups", { hasText: "No dead letter matches" }).waitFor();
});

const cancelByFilter = inTab(async (page, fleet) => {
  for (let number = 0; number < 2; number += 1) {
    await fleet.cli("enqueue", "sample.hash_file", '{"path": "x"}', "--in", "1h", "--tag", "e2e:stop");
  }
  await page.goto(`${fleet.base}/jobs?tag=e2e:stop`);
  await page.getByRole("link", { name: "Cancel all that match…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel 2 jobs" }).click();
  await page.waitForURL(/operations\?done=operation/);
  await page.goto(`${fleet.base}/jobs?tag=e2e:stop`);
  await page.locator("#list .status.cancelled").nth(1).waitFor();
  assert.equal(await page.locator("#list .status.cancelled").count(), 2);
});

const cronEntry = inTab(async (page, fleet) => {
  await page.goto(`${fleet.base}/cron/new`);
  await page.getByLabel("Name", { exact: true }).fill("e2e-nightly");
  await page.getByLabel("Function", { exact: true }).fill("sample.parse_ledger");
  await page.getByLabel("Arguments (JSON)").fill(JSON.stringify({ path: ledger(fleet, "cron-ledger.txt", "7\n") }));
  await page.getByLabel("Time zone").fill("Europe/Berlin");
  await page.getByLabel("Expression").fill("30 2 * * 7x");
  await page.locator("#preview .problem-text").waitFor();
  await page.getByLabel("Expression").fill("30 2 * * *");
  await page.locator("#preview li", { hasText: "02:30" }).nth(5).waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForURL(/cron\?done=entry-saved/);
  const row = page.locator("tr", { hasText: "e2e-nightly" });
  await row.getByRole("button", { name: "Pause" }).click();
  await page.waitForURL(/done=paused/);
  await row.getByRole("button", { name: "Resume" }).click();
  await page.waitForURL(/done=resumed/);
  await row.getByRole("link", { name: "Run now…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Run it now" }).click();
  await page.waitForURL(/done=entry-run/);
  await page.locator(".bar.large.completed").waitFor();
});

export const flows = [
  ["a dead letter is seen, edited and requeued", editAndRequeue],
  ["dead letters are requeued by a filter, as an operation with its bar", requeueByFilter],
  ["a discard asks with its count, and can be left", discardAsksWithTheCount],
  ["jobs are cancelled by a filter", cancelByFilter],
  ["a cron entry is previewed, made, paused, resumed and run", cronEntry],
];
