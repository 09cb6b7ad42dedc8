// A link with data-dialog opens its page's card in a dialog. Without this script the link leads to that page.
export function toast(text) {
  const place = document.getElementById("toasts");
  if (!place) return;
  const item = document.createElement("div");
  item.className = "toast";
  item.textContent = text;
  place.append(item);
  while (place.children.length > 4) place.firstChild.remove();
  setTimeout(() => item.remove(), 6000);
}

async function open(link) {
  const response = await fetch(link.href, { credentials: "same-origin", headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const card = page.querySelector("main .confirm");
  if (!response.ok || !card) {
    location.href = link.href;
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.append(document.importNode(card, true));
  const title = dialog.querySelector("h1, h2");
  if (title) {
    title.id = "dialog-title";
    dialog.setAttribute("aria-labelledby", title.id);
  }
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (link.isConnected) link.focus();
  });
  for (const back of dialog.querySelectorAll("[data-back]")) {
    back.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.close();
    });
  }
  dialog.showModal();
  copyButtons(dialog);
}

function copyButtons(within) {
  for (const button of within.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select?.();
      try {
        await navigator.clipboard.writeText(field.value ?? field.textContent);
        toast("Copied.");
      } catch {
        toast("Select the text and copy it by hand: the browser does not allow it here.");
      }
    });
  }
}

export function startDialogs() {
  copyButtons(document);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-dialog]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    open(link).catch(() => (location.href = link.href));
  });
}
