// The review queue: keys to decide with, and checks of what is being written. The forms work without this script too.
import { keep } from "./keep.js";
import { isComposing, Keys } from "./keys.js";
import { root, sendAndGo } from "./send.js";

const PAUSE_BEFORE_CHECK = 500;
const WORDS = { good: "Good: ", look: "Look again: ", stop: "Not yet: " };

const status = document.querySelector("#status");
const decide = document.querySelector("#decide");
const write = document.querySelector("#write");
if (decide) reading();
if (write) writing();

function reading() {
  const dialog = document.querySelector("#keys");
  const edit = document.querySelector("#edit");
  const reason = document.querySelector("#reason");
  const opener = document.querySelector("#open-keys");
  new Keys(dialog, {
    accept: () => document.querySelector("#accept").click(),
    edit: () => {
      if (!edit) return;
      edit.open = true;
      (document.querySelector("#answer") ?? document.querySelector("#prompt")).focus();
    },
    reject: () => (reason.value.trim() ? document.querySelector("#reject").click() : reason.focus()),
    undo: () => document.querySelector("#undo button").click(),
    help: () => dialog.showModal(),
  });
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  reason.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || isComposing(event)) return;
    event.preventDefault();
    document.querySelector("#reject").click();
  });
  const forget = keep(decide);
  if (edit) edit.open ||= [...edit.querySelectorAll("textarea")].some((text) => text.value !== text.defaultValue);
  sendAndGo(decide, say, {
    ready: (submitter) => {
      const ready = submitter?.value !== "reject" || reason.value.trim();
      if (!ready) {
        say("Say why it is rejected.");
        reason.focus();
      }
      return ready;
    },
    done: forget,
  });
  sendAndGo(document.querySelector("#undo"), say);
}

function writing() {
  let timer = null;
  let latest = 0;
  sendAndGo(write, say, { done: keep(write) });
  write.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_BEFORE_CHECK);
  });
  check();

  async function check() {
    const number = ++latest;
    if (!write.elements.prompt.value.trim()) return;
    try {
      const reply = await fetch(`${root}/review/check`, {
        method: "POST",
        body: new URLSearchParams(new FormData(write)),
        headers: { Accept: "application/json" },
      });
      const { findings } = await reply.json();
      if (number === latest && findings) show(findings);
    } catch {
      say("No connection: the checks rest. Your text is kept in this browser.");
    }
  }
}

function show(findings) {
  document.querySelector("#hint").hidden = true;
  const lines = findings.map(({ level, text }) => {
    const line = document.createElement("li");
    const word = document.createElement("span");
    line.className = `finding-${level}`;
    word.className = "unseen";
    word.textContent = WORDS[level];
    line.append(word, text);
    return line;
  });
  document.querySelector("#findings").replaceChildren(...lines);
  const stops = findings.filter(({ level }) => level === "stop").length;
  say(stops ? `${stops} to mend before it can be handed in.` : "");
}

function say(sentence) {
  status.textContent = sentence;
}
