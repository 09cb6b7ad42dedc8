import { join } from "node:path";

// Every view of the dashboard, with addresses that exist in this fleet.
async function job(fleet, status) {
  const page = JSON.parse(await fleet.cli("-o", "json", "job", "ls", "--status", status, "--limit", "50"));
  const jobs = Array.isArray(page) ? page : page.jobs;
  return jobs.map((found) => found.id);
}

// A job that runs for as long as anybody looks, and one that waits for it.
async function stage(fleet) {
  const path = join(fleet.store, "samples", "blob.bin");
  const ask = async (...words) => (await fleet.cli("enqueue", ...words)).match(/[0-9a-f-]{36}/)[0];
  const running = await ask("sample.hash_file", JSON.stringify({ path, pace_ms: 4000 }), "--name", "Hash a very large file", "--priority", "critical");
  const blocked = await ask("sample.merge_counts", "{}", "--name", "Merge what the hash says", "--depends-on", running);
  await fleet.cli("cron", "add", "nightly-report", "30 2 * * *", "sample.merge_counts", "{}", "--tz", "Europe/Berlin", "--overlap", "skip");
  await post(fleet, "/queues/reports/pause");
  const held = await ask("sample.merge_counts", "{}", "--name", "Held by a paused queue", "--queue", "reports");
  await post(fleet, "/operations", { kind: "requeue", filter: { function_name: "nobody.has_it" } });
  return { running, blocked, held };
}

async function post(fleet, path, body = {}) {
  const answer = await fetch(`${fleet.base}/api/v1${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
}

export async function views(fleet) {
  fleet.staged ??= stage(fleet);
  const { running, blocked, held } = await fleet.staged;
  const [failed, completed] = await Promise.all(["failed", "completed"].map((status) => job(fleet, status)));
  const list = [
    { name: "overview", path: "/" },
    { name: "jobs", path: "/jobs" },
    { name: "jobs-empty", path: "/jobs?text=nothing-is-called-so" },
    { name: "enqueue", path: "/enqueue" },
    { name: "queues", path: "/queues" },
    { name: "dead", path: "/dead" },
    { name: "dead-letters", path: "/dead?function=sample.parse_ledger" },
    { name: "dead-empty", path: "/dead?function=nobody.has_it" },
    { name: "cron", path: "/cron" },
    { name: "cron-new", path: "/cron/new" },
    { name: "workers", path: "/workers" },
    { name: "operations", path: "/operations" },
    { name: "quarantine", path: "/quarantine" },
    { name: "audit", path: "/audit" },
    { name: "problem", path: "/jobs/00000000-0000-8000-8000-000000000000", status: 404 },
  ];
  list.push({ name: "job-running", path: `/jobs/${running}` });
  list.push({ name: "job-held", path: `/jobs/${held}` });
  list.push({ name: "job-blocked", path: `/jobs/${blocked}` });
  list.push({ name: "link", path: `/jobs/${running}/link` });
  if (completed[0]) list.push({ name: "job-completed", path: `/jobs/${completed[0]}` });
  if (failed[0]) {
    list.push({ name: "job-failed", path: `/jobs/${failed[0]}` });
    list.push({ name: "job-edit", path: `/jobs/${failed[0]}/edit` });
    list.push({ name: "confirm", path: "/dead/discard" });
  }
  return list;
}
