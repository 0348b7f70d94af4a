// The field whose label begins with these words, if it is seen.
for (const label of document.querySelectorAll("label")) {
  if (label.textContent.trim().startsWith(arguments[0]) && label.control?.checkVisibility()) return label.control;
}
return null;
