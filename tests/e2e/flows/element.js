// <job-progress> in a page of another origin, with a watch link.
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as connect, connect as dial } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { AxeBuilder, open } from "../browser.js";
import { assert } from "../check.js";
import { gateway } from "../fleet.js";
import { blob } from "./jobs.js";

const example = new URL("../../../docs/guide/progress-element.html", import.meta.url);
const source = new URL("../../../crates/gateway/assets/job-progress.js", import.meta.url);

// Somebody else's site: serves the example of the documentation with the values that its service would fill in.
function site(values) {
  return new Promise((done) => {
    const server = createServer((request, response) => {
      const page = readFileSync(example, "utf8").replace(/\{\{(\w+)\}\}/g, (_, name) => values()[name]);
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(page);
    });
    server.listen(0, "127.0.0.1", () => done({ origin: `http://localhost:${server.address().port}`, stop: () => server.close() }));
  });
}

async function enqueue(fleet, pace, kib) {
  const said = await fleet.cli("enqueue", "sample.hash_file", JSON.stringify({ path: blob(fleet, `element-${pace}.bin`, kib), pace_ms: pace }));
  return said.match(/[0-9a-f-]{36}/)[0];
}

async function link(fleet, id, ...more) {
  const said = await fleet.cli("job", "link", id, ...more);
  return said.match(/lsw_[A-Za-z0-9_.-]+/)[0];
}

async function elsewhere({ browser, fleet }) {
  const values = {};
  const other = await site(() => values);
  const served = await gateway(fleet, { LONGSHORE_GATEWAY__CORS_ORIGINS: other.origin });
  const tab = await open(browser);
  try {
    values.GATEWAY = served.base;
    values.JOB_ID = await enqueue(fleet, 70, 512);
    values.TOKEN = await link(fleet, values.JOB_ID);
    await tab.page.goto(other.origin);
    const bar = tab.page.locator("job-progress [part=bar]");
    await tab.page.waitForFunction(() => {
      const bar = document.querySelector("job-progress").shadowRoot?.querySelector("[part=bar]");
      return Number(bar?.getAttribute("aria-valuenow")) > 0;
    });
    assert.equal(await tab.page.locator("job-progress [part=cancel]").isVisible(), false);
    const seen = await new AxeBuilder({ page: tab.page }).analyze();
    assert.deepEqual(seen.violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id), []);
    await tab.page.locator('job-progress[data-status="completed"]').waitFor();
    assert.equal(await bar.getAttribute("aria-valuenow"), "100");
    await tab.page.locator("#said", { hasText: "completed" }).waitFor();
    // The same page with a link that allows it cancels its job.
    values.JOB_ID = await enqueue(fleet, 800, 640);
    values.TOKEN = await link(fleet, values.JOB_ID, "--cancel");
    await tab.page.goto(other.origin);
    await tab.page.locator("job-progress [part=cancel]").click();
    await tab.page.locator('job-progress[data-status="cancelled"]').waitFor();
    assert.deepEqual(tab.problems, []);
    // A token for another job is told, and nothing moves.
    tab.expected.push(/403/);
    values.JOB_ID = await enqueue(fleet, 0, 16);
    await tab.page.goto(other.origin);
    await tab.page.locator("job-progress [part=message]", { hasText: "not good any more" }).waitFor();
  } finally {
    await tab.close();
    await served.stop();
    other.stop();
  }
}

// What stands between a page and the gateway, and breaks.
function wire(target) {
  const sockets = new Set();
  let refuses = false;
  let resumed = 0;
  const server = connect((socket) => {
    if (refuses) return socket.destroy();
    socket.on("data", (bytes) => (resumed += /\r\nlast-event-id: [0-9a-f]/i.test(bytes) ? 1 : 0));
    const far = dial({ port: Number(new URL(target).port), host: "127.0.0.1" });
    for (const end of [socket, far]) {
      sockets.add(end);
      end.on("error", () => {}).on("close", () => sockets.delete(end) && [socket, far].forEach((other) => other.destroy()));
    }
    socket.pipe(far).pipe(socket);
  });
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return new Promise((done) => {
    server.listen(0, "127.0.0.1", () =>
      done({
        base: `http://127.0.0.1:${server.address().port}`,
        break: () => ((refuses = true), cut()),
        mend: () => (refuses = false),
        resumed: () => resumed,
        stop: () => (cut(), server.close()),
      }),
    );
  });
}

async function comesBack({ browser, fleet }) {
  const values = {};
  const other = await site(() => values);
  const served = await gateway(fleet, { LONGSHORE_GATEWAY__CORS_ORIGINS: other.origin });
  const line = await wire(served.base);
  const tab = await open(browser);
  tab.expected.push(/net::ERR_/);
  try {
    values.GATEWAY = line.base;
    values.JOB_ID = await enqueue(fleet, 260, 512);
    values.TOKEN = await link(fleet, values.JOB_ID);
    await tab.page.goto(other.origin);
    const value = () => tab.page.evaluate(() => Number(document.querySelector("job-progress").shadowRoot.querySelector("[part=bar]").getAttribute("aria-valuenow")));
    const above = (low) => tab.page.waitForFunction((low) => Number(document.querySelector("job-progress").shadowRoot?.querySelector("[part=bar]")?.getAttribute("aria-valuenow")) > low, low);
    await above(0);
    line.break();
    await tab.page.locator("job-progress [part=meta]", { hasText: "connecting again" }).waitFor();
    const before = await value();
    assert.ok(before < 100, "cut while it ran");
    line.mend();
    await above(before);
    assert.ok(line.resumed() > 0, "it comes back with the id of the last event that it saw");
    await tab.page.locator("job-progress [part=meta]", { hasText: "connecting again" }).waitFor({ state: "detached" });
    await tab.page.locator('job-progress[data-status="completed"]').waitFor();
    assert.equal(await value(), 100);
  } finally {
    await tab.close();
    line.stop();
    await served.stop();
    other.stop();
  }
}

async function tellsAFailure({ browser, fleet }) {
  const values = {};
  const other = await site(() => values);
  const served = await gateway(fleet, { LONGSHORE_GATEWAY__CORS_ORIGINS: other.origin });
  const tab = await open(browser);
  try {
    values.GATEWAY = served.base;
    const path = join(fleet.folder, "element-ledger.txt");
    writeFileSync(path, "1\nnone\n");
    const said = await fleet.cli("enqueue", "sample.parse_ledger", JSON.stringify({ path }));
    values.JOB_ID = said.match(/[0-9a-f-]{36}/)[0];
    const message = tab.page.locator("job-progress [part=message]");
    for (const [granted, expected] of [[[], /^failed$/], [["--error"], /^failed: .*element-ledger\.txt: line 2 is no whole number$/]]) {
      values.TOKEN = await link(fleet, values.JOB_ID, ...granted);
      await tab.page.goto(other.origin);
      await tab.page.locator('job-progress[data-status="failed"]').waitFor();
      assert.match(await message.textContent(), expected);
      await tab.page.locator("#said", { hasText: "failed" }).waitFor();
    }
    const seen = await new AxeBuilder({ page: tab.page }).analyze();
    assert.deepEqual(seen.violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id), []);
    assert.deepEqual(tab.problems, []);
  } finally {
    await tab.close();
    await served.stop();
    other.stop();
  }
}

async function pollsWithoutAStream({ browser, fleet }) {
  const values = {};
  const other = await site(() => values);
  const served = await gateway(fleet, { LONGSHORE_GATEWAY__CORS_ORIGINS: other.origin });
  const tab = await open(browser);
  try {
    values.GATEWAY = served.base;
    values.JOB_ID = await enqueue(fleet, 60, 512);
    values.TOKEN = await link(fleet, values.JOB_ID);
    await tab.page.route("**/events?**", (route) => route.fulfill({ status: 204, body: "" }));
    await tab.page.goto(other.origin);
    await tab.page.locator('job-progress[data-status="completed"]').waitFor();
  } finally {
    await tab.close();
    await served.stop();
    other.stop();
  }
}

async function isSmall() {
  const bytes = gzipSync(readFileSync(source), { level: 9 }).length;
  assert.ok(bytes < 3072, `${bytes} bytes`);
}

export const flows = [
  ["the element has less than 3 KiB", isSmall],
  ["a watch link works in a page of another origin", elsewhere],
  ["the element comes back after a cut, with what it has missed", comesBack],
  ["the element tells that a job failed, and why where that is granted", tellsAFailure],
  ["the element polls where no stream comes through", pollsWithoutAStream],
];
