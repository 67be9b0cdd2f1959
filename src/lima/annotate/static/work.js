// Saves an answer without leaving the page, then goes on. Without this script the same forms work by themselves.
import { Clock } from "./clock.js";
import { keep } from "./keep.js";
import { Keys } from "./keys.js";
import { root, send, sendAndGo } from "./send.js";
import { tr } from "./words.js";

const ADVANCE_MILLISECONDS = 2000;

const form = document.querySelector("#answer");
const saved = document.querySelector("#saved");
const status = document.querySelector("#status");
const next = document.querySelector("#next");
const undo = document.querySelector("#undo button");
const previous = document.querySelector("#undo-previous");
const dialog = document.querySelector("#keys");
const clock = new Clock(form.elements.item.value);
form.dataset.keep = `answer-${form.elements.item.value}-${form.elements.attempt.value}`;
const forget = keep(form);
for (const part of form.querySelectorAll("details")) part.open ||= Boolean(part.querySelector("textarea")?.value);
const skip = document.querySelector("#skip");
let advance = null;
let busy = false;

const keys = new Keys(dialog, actions());
const opener = document.querySelector("#open-keys");
opener.hidden = false;
opener.addEventListener("click", () => dialog.showModal());
dialog.addEventListener("toggle", () => clearTimeout(advance));

mark();
sendAndGo(document.querySelector("#undo"), say);
if (previous) sendAndGo(previous, say);
if (skip) sendAndGo(skip, say, { done: forget });
form.addEventListener("change", () => {
  mark();
  const panel = form.parentElement;
  if (panel.scrollHeight > panel.clientHeight) scaleInHand()?.scrollIntoView({ block: "nearest" });
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!busy) answer(event.submitter);
});

function actions() {
  const digits = new Set([...form.querySelectorAll("[data-choice]")].map((choice) => choice.dataset.choice));
  return {
    ...Object.fromEntries([...digits].sort().map((digit) => [`choice${digit}`, () => choose(digit)])),
    undo: () => (saved.hidden ? previous?.querySelector("button").click() : undo.click()),
    next: () => (saved.hidden ? form.querySelector("#save")?.click() : next.click()),
    help: () => dialog.showModal(),
  };
}

function choose(digit) {
  if (saved.hidden && !busy) scaleInHand().querySelector(`[data-choice="${digit}"]`)?.click();
}

// Digits go to the first scale without an answer, or to the last one; only there their keys are shown.
function scaleInHand() {
  const scales = [...form.querySelectorAll("fieldset")];
  return scales.find((scale) => !scale.querySelector(":checked")) ?? scales.at(-1);
}

function mark() {
  for (const scale of form.querySelectorAll("fieldset")) scale.classList.toggle("current", scale === scaleInHand());
}

async function answer(submitter) {
  busy = true;
  form.elements.seconds.value = clock.seconds().toFixed(1);
  form.setAttribute("aria-busy", "true");
  submitter?.setAttribute("aria-pressed", "true");
  const reply = await send(form, submitter, say);
  busy = false;
  form.removeAttribute("aria-busy");
  submitter?.removeAttribute("aria-pressed");
  if (reply.to) location.assign(reply.to);
  else if (reply.problem) say(reply.problem);
  else if (!reply.saved) location.assign(`${root}/work`);
  else show(reply);
}

function show(reply) {
  forget();
  document.querySelector("#said").textContent = Object.entries(reply.answer).map(([name, value]) => words(name, value)).join("\n");
  const bar = document.querySelector("#progress");
  bar.value += 1;
  document.querySelector("#count").textContent = tr("{done} of {all}", { done: bar.value, all: bar.max });
  document.querySelector("#undo").elements.attempt.value = reply.attempt;
  form.hidden = true;
  previous?.remove();
  saved.hidden = false;
  say(tr("Saved."));
  next.focus();
  if (keys.settings.advance) {
    next.classList.add("counting");
    advance = setTimeout(() => location.assign(next.href), ADVANCE_MILLISECONDS);
    undo.addEventListener("click", () => clearTimeout(advance));
  }
}

function words(name, value) {
  const choice = form.querySelector(`[name="${name}"][value="${value}"]`);
  return (choice.closest(".choice") ?? choice).querySelector("span").textContent.trim();
}

function say(text) {
  status.textContent = text;
}
