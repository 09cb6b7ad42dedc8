// Live updates over one stream of server-sent events a page. Progress moves the bars that are shown, at most once per
// frame, the newest event of a job alone; every other change asks for the page anew, at most every second or so, and
// only what differs is touched. Nothing grows: what is not shown is dropped. While there is no stream the page is asked
// for every few seconds, and the stream is opened again after a pause that grows.
import { tick } from "./clock.js";
import { morph } from "./morph.js";

const root = document.documentElement;
const REFRESH_MIN = 1200;
const POLL = 5000;
// The browser itself comes back after a broken connection, never after an answer that is not 200.
const REOPEN_MIN = 2000;
const REOPEN_MAX = 30000;

export function startLive() {
  const button = document.getElementById("live");
  const live = { paused: sessionStorage.getItem("longshore-paused") === "yes", toggle };
  const waiting = new Map();
  let source = null;
  let frame = 0;
  let timer = 0;
  let planned = 0;
  let reopening = 0;
  let pause = REOPEN_MIN;
  let loading = false;
  let again = false;
  let last = 0;
  let cost = 0;

  function state(name) {
    if (!button) return;
    button.dataset.state = name;
    button.setAttribute("aria-pressed", String(name !== "paused"));
    button.querySelector(".word").textContent = { on: "Live", away: "Connecting", paused: "Paused" }[name];
    button.title = live.paused ? "Resume live updates (p)" : "Pause live updates (p)";
  }

  function toggle() {
    live.paused = !live.paused;
    sessionStorage.setItem("longshore-paused", live.paused ? "yes" : "no");
    if (live.paused) close();
    else {
      open();
      refresh(0);
    }
  }

  function close() {
    source?.close();
    source = null;
    clearTimeout(timer);
    timer = 0;
    clearTimeout(reopening);
    reopening = 0;
    waiting.clear();
    state("paused");
  }

  // ---- the stream ----
  function address() {
    const query = new URLSearchParams();
    for (const topic of root.dataset.topics.split(",")) query.set(topic, "yes");
    const shown = new Set([...document.querySelectorAll("[data-bar]")].map((bar) => bar.dataset.bar));
    if (shown.size) query.set("jobs", [...shown].slice(0, 100).join(","));
    return `${root.dataset.base}/api/v1/events?${query}`;
  }

  function open() {
    clearTimeout(reopening);
    reopening = 0;
    source?.close();
    state("away");
    const stream = new EventSource(address());
    source = stream;
    stream.onopen = () => {
      pause = REOPEN_MIN;
      state("on");
    };
    stream.onerror = () => {
      if (source !== stream) return;
      state("away");
      refresh(POLL);
      if (stream.readyState !== EventSource.CLOSED || reopening) return;
      reopening = setTimeout(open, pause);
      pause = Math.min(2 * pause, REOPEN_MAX);
    };
    stream.addEventListener("job", job);
    for (const name of ["queues", "overview", "stats", "gone"]) stream.addEventListener(name, () => refresh(REFRESH_MIN));
  }

  function job(event) {
    const data = JSON.parse(event.data);
    waiting.set(data.id, data);
    if (!frame) frame = requestAnimationFrame(draw);
  }

  // ---- bars ----
  function draw() {
    frame = 0;
    for (const bar of document.querySelectorAll("[data-bar]")) {
      const data = waiting.get(bar.dataset.bar);
      if (data) move(bar, data);
    }
    waiting.clear();
  }

  function move(bar, data) {
    if (data.status && !bar.classList.contains(data.status)) {
      refresh(150);
      return;
    }
    // What a bar says of a job that does not run is the gateway's to say.
    const progress = data.progress;
    if (data.status !== "running" || !progress) return;
    const known = typeof progress.fraction === "number";
    const percent = known ? Math.round(progress.fraction * 1000) / 10 : null;
    const message = bar.querySelector(".message");
    if (progress.message && message.textContent !== progress.message) {
      message.textContent = progress.message;
      message.title = progress.message;
    }
    if (known) {
      bar.querySelector(".fill").setAttribute("width", `${percent}%`);
      bar.querySelector(".unknown")?.remove();
      bar.querySelector(".far").textContent = `${percent} %`;
      bar.setAttribute("aria-valuenow", percent);
    }
    bar.setAttribute("aria-valuetext", `${known ? `${percent} %` : "unknown"}: ${message.textContent}`);
    for (const node of document.querySelectorAll(`[data-node="${bar.dataset.bar}"] .fill`)) {
      if (known) node.setAttribute("width", `${percent}%`);
    }
    // A job's own page shows its fields and its latest state too.
    if (bar.classList.contains("large")) refresh(REFRESH_MIN);
  }

  // ---- everything else ----
  function refresh(within) {
    if (live.paused || !document.querySelector("[data-live]")) return;
    if (loading) {
      again = true;
      return;
    }
    const due = Math.max(performance.now() + within, last + Math.max(REFRESH_MIN, 5 * cost));
    // What is asked for again and again is not put off again and again.
    if (timer && planned <= due) return;
    clearTimeout(timer);
    planned = due;
    timer = setTimeout(load, due - performance.now());
  }

  async function load() {
    timer = 0;
    if (live.paused) return;
    if (document.hidden) {
      again = true;
      return;
    }
    loading = true;
    again = false;
    const began = performance.now();
    try {
      const response = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
      if (response.redirected) return location.reload();
      if (response.ok && !live.paused) apply(new DOMParser().parseFromString(await response.text(), "text/html"));
    } catch {
      // The stream tells that the gateway is away; it is opened again.
    }
    last = performance.now();
    cost = last - began;
    loading = false;
    if (!source || source.readyState !== EventSource.OPEN) refresh(POLL);
    else if (again) refresh(REFRESH_MIN);
  }

  function apply(page) {
    const before = address();
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(region.id);
      if (fresh) morph(region, fresh);
    }
    tick();
    // A stream that is closed is opened in its own time.
    if (source && source.readyState !== EventSource.CLOSED && address() !== before) open();
  }

  button?.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && again) refresh(0);
  });
  addEventListener("pagehide", () => {
    clearTimeout(reopening);
    reopening = 0;
    source?.close();
  });
  addEventListener("pageshow", (event) => event.persisted && !live.paused && open());
  if (live.paused) state("paused");
  else open();
  return live;
}
