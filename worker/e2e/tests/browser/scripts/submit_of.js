// The button with these words in the form of a field with this label.
const [label, words] = arguments[0];
for (const one of document.querySelectorAll("label")) {
  const field = one.textContent.trim().startsWith(label) && one.control;
  const button = field && [...field.form.querySelectorAll("button")].find((one) => one.innerText.trim() === words);
  if (button) return button;
}
return null;
