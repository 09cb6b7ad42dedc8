// Times that count on: "5 s ago", "in 12 s", "3 min 4 s". The gateway's clock is the one that counts.
const root = document.documentElement;
const ahead = Number(root.dataset.now) - Date.now();

export const now = () => Date.now() + ahead;

// As `text::whole` of the gateway writes it.
export function span(millis) {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  const pair = (many, unit, rest, small) => (rest ? `${many} ${unit} ${rest} ${small}` : `${many} ${unit}`);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86400) return pair(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return pair(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}

export function words(mode, at) {
  const passed = now() - at;
  if (mode === "since") return span(passed);
  if (mode === "due" && passed >= 0) return "due now";
  return passed < 0 ? `in ${span(-passed)}` : `${span(passed)} ago`;
}

export function tick() {
  for (const element of document.querySelectorAll("time[data-mode]")) {
    const { mode, at } = element.dataset;
    if (mode === "stamp") continue;
    const text = words(mode, Number(at));
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startClock(live) {
  setInterval(() => {
    if (!document.hidden && !live.paused) tick();
  }, 1000);
}
