// What has the focus: what it is called, of which kind it is, and whether it can be seen to have it.
const thing = document.activeElement;
const style = getComputedStyle(thing);
const place = thing.getBoundingClientRect();
const hasOutline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
const isWithin = place.width > 0 && place.height > 0 && place.left >= 0 && place.top >= 0 &&
  place.right <= innerWidth && place.bottom <= innerHeight;
const name = thing === document.body ? "" : thing.labels?.[0]?.textContent ?? thing.innerText;
return { name: name.trim(), kind: thing.tagName, is_seen: hasOutline && isWithin };
