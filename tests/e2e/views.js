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
  return { running, blocked };
}

export async function views(fleet) {
  fleet.staged ??= stage(fleet);
  const { running, blocked } = await fleet.staged;
  const [failed, completed] = await Promise.all(["failed", "completed"].map((status) => job(fleet, status)));
  const list = [
    { name: "overview", path: "/" },
    { name: "jobs", path: "/jobs" },
    { name: "jobs-empty", path: "/jobs?text=nothing-is-called-so" },
    { name: "enqueue", path: "/enqueue" },
    { name: "queues", path: "/queues" },
    { name: "dead", path: "/dead" },
    { name: "cron", path: "/cron" },
    { name: "cron-new", path: "/cron/new" },
    { name: "workers", path: "/workers" },
    { name: "operations", path: "/operations" },
    { name: "quarantine", path: "/quarantine" },
    { name: "audit", path: "/audit" },
    { name: "problem", path: "/jobs/00000000-0000-8000-8000-000000000000", status: 404 },
  ];
  list.push({ name: "job-running", path: `/jobs/${running}` });
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
