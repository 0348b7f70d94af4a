// How the page fits into a window of this width: how wide it is, what reaches beyond it, what no finger hits. The window
// grows by itself with what does not fit.
const width = arguments[0];
const said = (thing) => `${thing.tagName} ${thing.className} ${thing.textContent.trim().slice(0, 40)}`;
const scrolls = (thing) => ["auto", "scroll"].includes(getComputedStyle(thing).overflowX);
const isKept = (thing) => thing && (scrolls(thing) || isKept(thing.parentElement));
const seen = [...document.body.querySelectorAll("*")].filter((thing) => thing.checkVisibility() && !thing.closest("svg"));
const beyond = seen.filter((thing) => {
  const place = thing.getBoundingClientRect();
  return place.right > width + 1 && !isKept(thing.parentElement);
});
// As people with unsteady hands need it: WCAG 2.2, target size.
const FINGER = 24;
const small = seen.filter((thing) => thing.matches("nav a, button, .button, input, select, summary")).filter((thing) => {
  const place = thing.getBoundingClientRect();
  return place.width < FINGER || place.height < FINGER || place.right > width + 1;
});
return { width: document.documentElement.scrollWidth, beyond: beyond.map(said), small: small.map(said) };
