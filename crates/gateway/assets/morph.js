// Makes one piece of a page into another, touching only what differs, so that focus, scroll, open details and running
// transitions stay.
const key = (node) => (node.nodeType === 1 ? node.getAttribute("data-key") || node.id || null : null);

export function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || key(from) !== key(to)) {
    from.replaceWith(document.importNode(to, true));
    return;
  }
  if (from.nodeType !== 1) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.isEqualNode(to)) return;
  if (from === document.activeElement && /^(INPUT|TEXTAREA|SELECT)$/.test(from.nodeName)) return;
  attributes(from, to);
  children(from, to);
}

function attributes(from, to) {
  const at = from.classList.contains("at");
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !(name === "open" && from.nodeName === "DETAILS")) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
  }
  if (at) from.classList.add("at");
}

function children(from, to) {
  const keyed = new Map();
  for (const child of from.children) if (key(child)) keyed.set(key(child), child);
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const name = key(wanted);
    let match = name ? keyed.get(name) : null;
    if (!match && !name && place && !key(place) && place.nodeType === wanted.nodeType && place.nodeName === wanted.nodeName) match = place;
    if (match) {
      if (match !== place) from.insertBefore(match, place);
      else place = place.nextSibling;
      morph(match, wanted);
    } else {
      from.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}
