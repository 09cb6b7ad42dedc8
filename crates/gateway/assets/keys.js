// Keyboard shortcuts; `?` lists them.
const root = document.documentElement;
const places = { o: "/", j: "/jobs", q: "/queues", d: "/dead", c: "/cron", w: "/workers", p: "/operations" };

const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable]");

function step(by) {
  const rows = [...document.querySelectorAll("tbody tr")].filter((row) => row.querySelector("a") && row.offsetParent);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("at"));
  rows[at]?.classList.remove("at");
  const row = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  row.classList.add("at");
  row.querySelector("a").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

export function startKeys({ live, theme }) {
  const help = document.getElementById("keys");
  const showHelp = () => help && !help.open && help.showModal();
  document.getElementById("help")?.addEventListener("click", showHelp);
  let going = 0;
  const single = {
    "/": () => document.getElementById("q")?.focus(),
    "?": showHelp,
    j: () => step(1),
    k: () => step(-1),
    p: () => live.toggle(),
    t: () => theme.toggle(),
    e: () => document.getElementById("enqueue-link")?.click(),
    g: () => (going = Date.now()),
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
    if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const went = Date.now() - going < 1500 && places[event.key];
    going = 0;
    if (went) {
      event.preventDefault();
      location.href = root.dataset.base + went;
    } else if (Object.hasOwn(single, event.key)) {
      event.preventDefault();
      single[event.key]();
    }
  });
}
