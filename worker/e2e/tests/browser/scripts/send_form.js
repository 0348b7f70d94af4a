// Sends a form that is on no page: to this place, with these fields.
const [action, fields] = arguments;
const form = document.createElement("form");
form.method = "post";
form.action = action;
for (const [name, value] of Object.entries(fields)) {
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name, value });
  form.append(field);
}
document.body.append(form);
// Not at once: the driver waits for the script's answer.
setTimeout(() => form.submit());
return null;
