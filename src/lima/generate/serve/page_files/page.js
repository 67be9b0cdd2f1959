// Talk with the models of this server through its own OpenAI API: one column a model, each with its own history.
// Every text is set as text, never as HTML.

const here = (id) => document.getElementById(id);
const made = (tag, name = "", text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });
const key = () => here("key").value || sessionStorage.getItem("key") || "";
const headers = () => ({ "Content-Type": "application/json", ...(key() && { Authorization: `Bearer ${key()}` }) });

let sides = []; // {name, messages, log, last}: last is the box of the answer that "Another answer" replaces
let answering = null; // an AbortController while answers grow
let attempt = 0;

async function start() {
  const reply = await fetch("v1/models", { headers: headers() });
  here("unlock").hidden = reply.status !== 401;
  if (!reply.ok) {
    if (reply.status === 401) document.querySelector("details").open = true;
    return say((await reply.json()).error.message);
  }
  here("talk").replaceChildren();
  sides = (await reply.json()).data.map((model) => column(model.id));
  here("title").textContent = `Talk with ${sides.map((side) => side.name).join(" and ")}`;
  document.title = here("title").textContent;
  say("");
}

function column(name) {
  const section = made("section");
  const log = made("div");
  log.setAttribute("role", "log");
  log.setAttribute("aria-label", `Conversation with ${name}`);
  log.append(made("p", "none", "Nothing was said yet."));
  section.append(made("h2", "", name), log);
  here("talk").append(section);
  return { name, messages: [], log, last: null };
}

function turn(side, role, text) {
  side.log.querySelector(".none")?.remove();
  const box = made("div", `turn ${role}`);
  box.append(made("h3", "", role === "user" ? "You" : side.name), made("p", "", text));
  side.log.append(box);
  return box;
}

// The newest words stay above the form, unless the reader has scrolled up.
function following(change) {
  const root = document.documentElement;
  const atEnd = root.scrollHeight - root.clientHeight - root.scrollTop < 60;
  change();
  if (atEnd) root.scrollTop = root.scrollHeight;
}

function say(text) { here("said").textContent = text; }

function show() {
  const spoken = sides.some((side) => side.messages.some((message) => message.role === "assistant"));
  const replaceable = sides.some((side) => side.last);
  here("send").disabled = Boolean(answering);
  here("stop").hidden = !answering;
  for (const id of ["new", "save"]) here(id).disabled = Boolean(answering) || !spoken;
  here("again").disabled = Boolean(answering) || !replaceable;
}

function begin() {
  const system = here("system").value.trim();
  for (const side of sides) {
    if (side.messages.length === 0 && system) side.messages.push({ role: "system", content: system });
  }
}

async function ask(text) {
  if (sides.length === 0) await start();
  if (sides.length === 0 || answering) return;
  begin();
  for (const side of sides) {
    side.messages.push({ role: "user", content: text });
    turn(side, "user", text);
  }
  document.documentElement.scrollTop = document.documentElement.scrollHeight;
  await answer();
}

async function answer() {
  const asked = sides.filter((side) => side.messages.at(-1)?.role === "user");
  answering = new AbortController();
  say("Answering.");
  show();
  const results = await Promise.all(asked.map((side) => grow(side, answering.signal)));
  answering = null;
  say(results.every(Boolean) ? "Answered." : "Not every model answered; your message is taken back there.");
  show();
}

// Streams one answer. Without one the user's turn is taken back, so that the history stays a conversation.
async function grow(side, signal) {
  let box = null;
  following(() => { box = turn(side, "assistant", ""); });
  const place = box.querySelector("p");
  let reason = null;
  try {
    for await (const choice of choices(side, signal)) {
      following(() => { place.textContent += choice.delta?.content ?? ""; });
      reason = choice.finish_reason ?? reason;
    }
  } catch (problem) {
    reason = signal.aborted ? "stopped" : problem.message;
  }
  const known = { stop: "", length: "The answer reached its longest length.", stopped: "Stopped." };
  const note = reason === null ? "The connection was lost." : (known[reason] ?? reason);
  if (note) following(() => box.append(made("p", reason in known ? "note" : "note problem", note)));
  const complete = reason in known && place.textContent !== "";
  side.last = complete ? box : null;
  if (complete) side.messages.push({ role: "assistant", content: place.textContent });
  else side.messages.pop();
  return complete;
}

async function* choices(side, signal) {
  const number = (id) => Number(here(id).value);
  const body = {
    model: side.name, messages: side.messages, stream: true, seed: attempt,
    temperature: number("temperature"), top_p: number("top_p"), max_completion_tokens: number("max_tokens"),
  };
  const reply = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(body), signal });
  if (!reply.ok) throw new Error((await reply.json()).error.message);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      yield* chunk.choices;
    }
  }
}

function another() {
  attempt += 1;
  for (const side of sides.filter((one) => one.last)) {
    side.messages.pop();
    side.last.remove();
  }
  answer();
}

function restart() {
  attempt = 0;
  for (const side of sides) {
    side.messages = [];
    side.last = null;
    side.log.replaceChildren(made("p", "none", "Nothing was said yet."));
  }
  say("A new conversation.");
  show();
  here("text").focus();
}

// One row of JSON Lines a model, in the form of `lima chat`'s /save: an Example for training, or a dialogue.
function save() {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const spoken = sides.filter((side) => side.messages.at(-1)?.role === "assistant");
  const rows = spoken.map((side, place) => JSON.stringify({
    id: `chat/${random}${sides.length > 1 ? `-${place + 1}` : ""}`, source: "chat", messages: side.messages, meta: { system: side.name },
  }));
  const link = made("a");
  link.href = URL.createObjectURL(new Blob(rows.map((row) => `${row}\n`), { type: "application/jsonl" }));
  link.download = `chat-${random}.jsonl`;
  link.click();
  URL.revokeObjectURL(link.href);
  say(`Saved as ${link.download}.`);
}

here("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = here("text").value;
  if (!text.trim() || answering) return;
  here("text").value = "";
  ask(text);
});
here("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  here("say").requestSubmit();
});
here("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", here("key").value);
  start();
});
here("stop").addEventListener("click", () => answering?.abort());
here("again").addEventListener("click", another);
here("new").addEventListener("click", restart);
here("save").addEventListener("click", save);
start().catch((problem) => say(`The server does not answer (${problem.message}).`));
