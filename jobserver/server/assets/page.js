// Makes pages livelier: figures as they change, a file dropped and looked at. Every page works without it.
"use strict";

// Whether somebody is in the middle of something on the page.
function isBusy() {
  const main = document.getElementById("main");
  const isWithin = main.contains(document.activeElement) && document.activeElement !== main;
  return isWithin || main.querySelector("details[open]") !== null;
}

// Fetches the page anew and shows what is different.
async function renew() {
  const main = document.getElementById("main");
  if (isBusy() || document.hidden) return;
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (response.redirected || !response.ok) return location.reload();
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  main.replaceChildren(...page.getElementById("main").childNodes);
  document.body.dataset.shape = page.body.dataset.shape;
}

function show(figures) {
  for (const place of document.querySelectorAll("[data-key]")) {
    const figure = figures[place.dataset.key];
    if (figure === undefined) continue;
    if (place instanceof HTMLProgressElement) place.value = Number(figure);
    else if (place.textContent !== figure) place.textContent = figure;
  }
  const stopped = document.getElementById("stopped");
  if (figures.stopped !== undefined) stopped.hidden = figures.stopped === "";
  if (figures.shape !== undefined && figures.shape !== document.body.dataset.shape) renew().catch(() => {});
}

function listen(place) {
  const source = new EventSource(place);
  source.addEventListener("figures", (event) => show(JSON.parse(event.data)));
  // The browser connects again by itself, unless it is refused.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) listenAgain(place).catch(() => setTimeout(listen, AGAIN, place));
  });
  addEventListener("pagehide", () => source.close());
}

// So long, in milliseconds, a page waits that was refused.
const AGAIN = 60_000;

// A session that is over leads to the login; what else kept the server from answering may pass.
async function listenAgain(place) {
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (response.redirected && !isBusy()) location.reload();
  else setTimeout(listen, AGAIN, place);
}

// So much of a file is sent to be looked at; so many records of a larger one are.
const LOOKED_AT = 4 * 1024 * 1024;
const RECORDS = 200;

async function look(form, file) {
  const fields = new FormData();
  for (const name of ["form_key", "plugin", "name", "priority"]) fields.append(name, form.elements[name].value);
  if (file.size > LOOKED_AT) fields.append("first", RECORDS);
  fields.append("file", file.slice(0, LOOKED_AT), file.name);
  const response = await fetch("/batches/preview", { method: "POST", body: fields, headers: { accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const seen = page.getElementById("looked") ?? page.querySelector(".alarm");
  if (seen) document.getElementById("preview").replaceChildren(seen);
}

function takeDrops(form) {
  const drop = form.querySelector(".drop");
  const chosen = form.elements.file;
  const again = () => chosen.files.length && look(form, chosen.files[0]).catch(() => {});
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    chosen.files = event.dataTransfer.files;
    again();
  });
  chosen.addEventListener("change", again);
  form.elements.plugin.addEventListener("change", again);
}

if (document.body.dataset.live) listen(document.body.dataset.live);
for (const form of document.querySelectorAll("[data-hand-in]")) takeDrops(form);
for (const back of document.querySelectorAll("[data-back]")) {
  back.addEventListener("click", (event) => {
    if (history.length < 2) return;
    event.preventDefault();
    history.back();
  });
}
