// Every view of the dashboard, with addresses that exist in this fleet.
async function job(fleet, status) {
  const page = JSON.parse(await fleet.cli("-o", "json", "job", "ls", "--status", status, "--limit", "50"));
  const jobs = Array.isArray(page) ? page : page.jobs;
  return jobs.map((found) => found.id);
}

export async function views(fleet) {
  const [running, failed, completed, blocked] = await Promise.all(
    ["running", "failed", "completed", "blocked"].map((status) => job(fleet, status)),
  );
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
    { name: "problem", path: "/jobs/00000000-0000-8000-8000-000000000000", status: 404 },
  ];
  if (running[0]) list.push({ name: "job-running", path: `/jobs/${running[0]}` });
  if (completed[0]) list.push({ name: "job-completed", path: `/jobs/${completed[0]}` });
  if (blocked[0]) list.push({ name: "job-blocked", path: `/jobs/${blocked[0]}` });
  if (failed[0]) {
    list.push({ name: "job-failed", path: `/jobs/${failed[0]}` });
    list.push({ name: "job-edit", path: `/jobs/${failed[0]}/edit` });
    list.push({ name: "confirm", path: "/dead/discard" });
  }
  return list;
}
