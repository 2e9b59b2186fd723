// Makes one element equal to another by changing only what differs. Children with an id are
// matched by the id, the others by their position.

export function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.hasAttribute("data-keep") || old.isEqualNode(fresh)) return;
  attributes(old, fresh);
  children(old, fresh);
}

// Attributes that the user or this script sets and the daemon does not send.
const OWN = new Set(["open", "value", "checked", "hidden", "disabled", "required"]);

function attributes(old, fresh) {
  const isOwn = (name) => OWN.has(name) && old.nodeName !== "METER";
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isOwn(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (!isOwn(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function children(old, fresh) {
  const known = new Map();
  for (const child of old.children) if (child.id) known.set(child.id, child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const kept = wanted.id ? known.get(wanted.id) : null;
    if (kept) {
      if (kept !== place) old.insertBefore(kept, place);
      place = kept.nextSibling;
      morph(kept, wanted);
    } else if (place && !place.id && !wanted.id) {
      const next = place.nextSibling;
      morph(place, wanted);
      place = next;
    } else {
      old.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}
