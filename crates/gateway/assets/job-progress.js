// <job-progress job-id="…" token="lsw_…" src="https://jobs.example.com"></job-progress>
// The live progress of one Longshore job, in any page: bar, message, fields, elapsed time, outcome, and, where the watch
// link allows it, the error and a button that cancels. Events: job-progress, job-ended, job-error; their detail is the job.
// Colours: --job-progress-color, --job-progress-track, --job-progress-failed. Parts: bar, fill, message, meta, fields, cancel.
const css = `:host{display:block;font:14px/1.45 system-ui,sans-serif}[hidden]{display:none!important}
.b{height:10px;border-radius:6px;overflow:hidden;background:var(--job-progress-track,color-mix(in srgb,currentColor 14%,transparent))}
.f{height:100%;width:0;border-radius:6px;background:var(--job-progress-color,#0b6878);transition:width .3s}
.u .f{width:100%;background:repeating-linear-gradient(45deg,var(--job-progress-color,#0b6878) 0 5px,transparent 5px 10px);opacity:.55}
.r{display:flex;gap:4px 12px;flex-wrap:wrap;justify-content:space-between;align-items:center;margin-top:4px;overflow-wrap:anywhere}
:host([data-status=failed]) .f,:host([data-status=expired]) .f{background:var(--job-progress-failed,#b3261e)}
.x{opacity:.8;font-size:.9em}button{font:inherit;cursor:pointer}`;
const waits = {
  blocked: "waits for other jobs",
  scheduled: "waits for its time",
  queued: "waits for a free slot",
  running: "runs",
  retrying: "failed; waits for its next attempt",
  completed: "done",
  failed: "failed",
  cancelled: "cancelled",
  expired: "ran out of time",
};
const span = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000));
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
};

class JobProgress extends HTMLElement {
  static observedAttributes = ["job-id", "token", "src"];

  connectedCallback() {
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      root.innerHTML =
        `<div class="b" part="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><div class="f" part="fill"></div></div>` +
        `<div class="r"><span part="message" aria-live="polite"></span><span class="x" part="meta"></span><button part="cancel" type="button" hidden>Cancel</button></div>` +
        `<div class="x" part="fields"></div>`;
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      root.adoptedStyleSheets = [sheet];
      this.part_ = (name) => root.querySelector(`[part=${name}]`);
      this.part_("cancel").onclick = () => this.cancel();
    }
    this.start();
  }

  disconnectedCallback() {
    this.stop();
  }

  attributeChangedCallback() {
    if (this.isConnected && this.shadowRoot) this.start();
  }

  url(rest) {
    const base = (this.getAttribute("src") || "").replace(/\/$/, "");
    return `${base}/api/v1/watch/${encodeURIComponent(this.getAttribute("job-id"))}${rest}`;
  }

  // EventSource alone cannot send a header; an address with a token in it is what proxies log.
  ask(rest, options) {
    return fetch(this.url(rest), { ...options, credentials: "omit", headers: { authorization: `Bearer ${this.getAttribute("token")}` } });
  }

  start() {
    this.stop();
    this.job = null;
    if (!this.getAttribute("job-id") || !this.getAttribute("token")) return;
    this.clock = setInterval(() => this.tick(), 1000);
    // The browser comes back by itself, with the id of the last event; when it gives up, we poll.
    this.source = new EventSource(this.url(`/events?token=${encodeURIComponent(this.getAttribute("token"))}`));
    this.source.addEventListener("job", (event) => this.show(JSON.parse(event.data)));
    this.source.onopen = () => (this.away = false);
    this.source.onerror = () => {
      this.away = true;
      if (this.source.readyState === 2) this.poll();
    };
  }

  stop() {
    this.source?.close();
    clearInterval(this.clock);
    clearTimeout(this.timer);
  }

  async poll() {
    const source = this.source;
    clearTimeout(this.timer);
    try {
      const response = await this.ask("", { cache: "no-store" });
      if (source !== this.source) return;
      if (response.ok) {
        this.away = false;
        this.show(await response.json());
      }
      else if (response.status < 500 && response.status !== 429) return this.fail(response.status);
    } catch {}
    if (source === this.source && !this.job?.ended) this.timer = setTimeout(() => this.poll(), 2000);
  }

  async cancel() {
    this.part_("cancel").disabled = true;
    const response = await this.ask("/cancel", { method: "POST" }).catch(() => null);
    if (!response?.ok) {
      this.part_("cancel").disabled = false;
      this.fire("job-error", { status: response?.status ?? 0 });
    }
  }

  fail(status) {
    this.stop();
    this.say(status === 404 ? "this job is not known any more" : "this link is not good any more");
    this.fire("job-error", { status });
  }

  show(job) {
    if (this.job?.ended && job.ended) return;
    this.ahead = job.now_ms - Date.now();
    this.job = job;
    const { fraction, message, fields } = job.progress;
    const known = job.status !== "running" || typeof fraction === "number";
    // How far it came is no longer what a job that failed is about: a full bar in the colour of a failure.
    const broken = job.status === "failed" || job.status === "expired";
    const percent = Math.round((fraction ?? 0) * 1000) / 10;
    const bar = this.part_("bar");
    bar.classList.toggle("u", !known);
    this.part_("fill").style.width = known ? `${broken ? 100 : percent}%` : "";
    bar.setAttribute("aria-label", job.name);
    if (known) bar.setAttribute("aria-valuenow", percent);
    else bar.removeAttribute("aria-valuenow");
    const ran = job.status === "running" && message ? message : waits[job.status];
    const text = job.error ? `${ran}: ${job.error}` : ran;
    bar.setAttribute("aria-valuetext", `${known ? `${percent} %: ` : ""}${text}`);
    this.say(text);
    this.known = known && !broken ? `${percent} %` : "";
    this.part_("fields").textContent = Object.entries(fields).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join(" · ");
    this.part_("cancel").hidden = !job.can_cancel;
    this.dataset.status = job.status;
    this.tick();
    this.fire("job-progress", job);
    if (job.ended) {
      this.stop();
      this.fire("job-ended", job);
    }
  }

  say(text) {
    const place = this.part_("message");
    if (place.textContent !== text) place.textContent = text;
  }

  tick() {
    if (!this.job) return;
    const end = this.job.finished_at_ms ?? Date.now() + this.ahead;
    const time = span(end - (this.job.started_at_ms ?? this.job.created_at_ms));
    this.part_("meta").textContent = [this.known, time, this.away && "connecting again"].filter(Boolean).join(" · ");
  }

  fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail }));
  }
}

customElements.get("job-progress") || customElements.define("job-progress", JobProgress);
