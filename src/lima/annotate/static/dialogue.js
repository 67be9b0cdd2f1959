// A dialogue: answers appear as they are written, ratings are saved without leaving the page.
// What counts is on the server: a reload, a second tab or a lost connection loses and doubles nothing.
import { keep } from "./keep.js";
import { isComposing } from "./keys.js";
import { rest, root, send, sendAndGo } from "./send.js";
import { tr } from "./words.js";

const LONGEST_PAUSE = 15000;

const main = document.querySelector("main.dialogue");
const { item } = main.dataset;
const status = document.querySelector("#status");
const composer = document.querySelector("#say");
const text = document.querySelector("#text");
const readFrom = new WeakMap(); // since when an answer that came on this page is whole, by its form

for (const answer of document.querySelectorAll(".answer[data-state=waiting]")) follow(answer);
for (const form of document.querySelectorAll("form.rate")) form.addEventListener("submit", rate);
document.querySelector(".exchange:last-of-type")?.scrollIntoView({ block: "start" });

sendAndGo(document.querySelector("#finish"), say);
for (const form of document.querySelectorAll("form.again")) sendAndGo(form, say);
if (composer) {
  sendAndGo(composer, say, { ready: () => text.value.trim(), done: keep(composer) });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !isComposing(event)) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });
}

async function follow(answer) {
  const where = new URLSearchParams({ item, number: answer.dataset.number });
  const place = answer.querySelector(".reply");
  for (let pause = 1000; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      await read(await fetch(`${root}/dialogue/stream?${where}`), place);
      const reply = await (await fetch(`${root}/dialogue/state?${where}`, { headers: { Accept: "application/json" } })).json();
      if (reply.problem) return say(reply.problem);
      if (reply.state !== "waiting") return settle(answer, place, reply);
    } catch {
      say(tr("No connection. Trying again …"));
    }
    await rest(pause);
  }
}

async function read(response, place) {
  if (response.status >= 500) throw new Error(String(response.status));
  if (!response.ok) return; // the state says why
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let whole = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    whole += part.value;
    place.textContent = whole; // as plain text; the rendered answer replaces it at the end
    place.classList.add("growing");
  }
}

// The HTML was made safe on the server, and the page's policy lets no script in it run.
function settle(answer, place, reply) {
  answer.querySelector(".waiting")?.remove();
  place.removeAttribute("aria-busy");
  place.classList.remove("growing");
  answer.dataset.state = reply.state;
  say("");
  if (reply.state === "failed") {
    const again = answer.querySelector(".again");
    place.replaceChildren();
    again.elements.attempt.value = reply.attempt;
    again.hidden = false;
    return mayFinish(reply.all);
  }
  const parsed = new DOMParser().parseFromString(reply.html, "text/html");
  place.replaceChildren(...parsed.body.childNodes);
  const form = answer.querySelector(".rate");
  readFrom.set(form, performance.now());
  form.hidden = false;
  if (composer) composer.hidden = false;
  say(tr("The answer is complete."));
}

async function rate(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const chosen = event.submitter;
  form.elements.seconds.value = ((performance.now() - (readFrom.get(form) ?? 0)) / 1000).toFixed(1);
  const reply = await send(form, chosen, say);
  say(reply.problem ?? tr("Saved."));
  if (reply.problem) return;
  for (const choice of form.querySelectorAll(".choice")) choice.setAttribute("aria-pressed", String(choice === chosen));
  mayFinish(reply.all);
}

function mayFinish(all) {
  document.querySelector("#finish").hidden = !all;
  document.querySelector("#unrated").hidden = all;
}

function say(sentence) {
  status.textContent = sentence;
}
