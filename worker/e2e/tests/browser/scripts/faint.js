// Texts that do not stand out enough from what is behind them: WCAG 2.2, contrast (minimum).
const LEAST = 4.5;
const LEAST_OF_LARGE = 3;

function parts(colour) {
  const numbers = colour.match(/[\d.]+/g).map(Number);
  return { red: numbers[0], green: numbers[1], blue: numbers[2], alpha: numbers[3] ?? 1 };
}

function over(above, below) {
  const mixed = (part) => above[part] * above.alpha + below[part] * (1 - above.alpha);
  return { red: mixed("red"), green: mixed("green"), blue: mixed("blue"), alpha: 1 };
}

function luminance({ red, green, blue }) {
  const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function behind(thing) {
  const own = parts(getComputedStyle(thing).backgroundColor);
  if (own.alpha === 1) return own;
  const white = { red: 255, green: 255, blue: 255, alpha: 1 };
  return over(own, thing.parentElement ? behind(thing.parentElement) : white);
}

const faint = [];
function look(thing, text, style) {
  const below = behind(thing);
  const ratio = contrast(over(parts(thing.closest("svg") ? style.fill : style.color), below), below);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  if (ratio < (isLarge ? LEAST_OF_LARGE : LEAST)) faint.push(`${ratio.toFixed(2)}: ${text.slice(0, 60)} (${thing.tagName} ${thing.className})`);
}

const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const thing = walker.currentNode.parentElement;
  const text = walker.currentNode.textContent.trim();
  if (text && thing.checkVisibility() && thing.tagName !== "TITLE") look(thing, text, getComputedStyle(thing));
}
for (const field of document.querySelectorAll("[placeholder]")) {
  if (field.checkVisibility()) look(field, field.placeholder, getComputedStyle(field, "::placeholder"));
}
for (const state of document.querySelectorAll(".state")) look(state, `sign of ${state.textContent}`, getComputedStyle(state, "::before"));
return faint;
