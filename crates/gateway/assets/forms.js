// Comforts of forms: JSON is checked as it is typed, a cron expression shows its next ticks. The gateway checks again.
function jsonField(field) {
  const hint = document.getElementById(`${field.id}-hint`);
  const usual = hint?.textContent;
  const check = () => {
    let problem = "";
    try {
      if (field.value.trim()) JSON.parse(field.value);
    } catch (error) {
      problem = `Not JSON: ${error.message}`;
    }
    field.setCustomValidity(problem);
    field.setAttribute("aria-invalid", problem ? "true" : "false");
    if (hint) hint.textContent = problem || usual;
  };
  field.addEventListener("input", check);
  check();
}

function preview(form) {
  const source = document.getElementById(`${form.dataset.preview}-place`).dataset.src;
  let turn = 0;
  let timer = 0;
  const load = async () => {
    const mine = ++turn;
    const query = new URLSearchParams({ expression: form.elements.expression.value, zone: form.elements.zone.value });
    const response = await fetch(`${source}?${query}`, { credentials: "same-origin" });
    const text = await response.text();
    if (mine !== turn) return;
    const place = document.getElementById(form.dataset.preview);
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById(form.dataset.preview);
    if (fresh) place.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  };
  for (const name of ["expression", "zone"]) {
    form.elements[name].addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => load().catch(() => {}), 200);
    });
  }
}

export function startForms() {
  document.querySelectorAll("textarea[data-json]").forEach(jsonField);
  document.querySelectorAll("form[data-preview]").forEach(preview);
  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 4000);
  });
}
