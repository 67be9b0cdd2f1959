// The desk: keys to decide with, and checks of what is being written. The forms work without this script too.
import { Keys } from "./keys.js";

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
    if (event.key !== "Enter") return;
    event.preventDefault();
    document.querySelector("#reject").click();
  });
  let sent = false;
  decide.addEventListener("submit", (event) => {
    const rejects = event.submitter?.value === "reject";
    if (sent || (rejects && !reason.value.trim())) event.preventDefault();
    else sent = true;
    if (rejects && !reason.value.trim()) {
      status.textContent = "Say why it is rejected.";
      reason.focus();
    }
  });
}

function writing() {
  let timer = null;
  let latest = 0;
  const kept = "lima-draft";
  restore(kept);
  write.addEventListener("input", () => {
    keep(kept);
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_BEFORE_CHECK);
  });
  write.addEventListener("submit", (event) => {
    event.preventDefault();
    handIn(kept);
  });
  check();

  async function handIn(name) {
    status.textContent = "Saving …";
    try {
      const body = new URLSearchParams(new FormData(write));
      const reply = await (await fetch(write.action, { method: "POST", body, headers: { Accept: "application/json" } })).json();
      if (!reply.to) return void (status.textContent = reply.problem);
      forget(name);
      location.assign(reply.to);
    } catch {
      status.textContent = "Not saved: no connection. Your text is kept; try again.";
    }
  }

  async function check() {
    const number = ++latest;
    if (!write.elements.prompt.value.trim()) return;
    try {
      const reply = await fetch("/desk/check", {
        method: "POST",
        body: new URLSearchParams(new FormData(write)),
        headers: { Accept: "application/json" },
      });
      const { findings } = await reply.json();
      if (number === latest && findings) show(findings);
    } catch {
      status.textContent = "No connection: the checks rest. Your text is kept in this browser.";
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
  status.textContent = stops ? `${stops} to mend before it can be handed in.` : "";
}

// A tab that is closed by mistake loses nothing: the text is kept until it is handed in.
function keep(name) {
  const { prompt, answer, notes } = write.elements;
  try {
    sessionStorage.setItem(name, JSON.stringify({ prompt: prompt.value, answer: answer.value, notes: notes.value }));
  } catch {
    // Without storage the page alone holds the text.
  }
}

function restore(name) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(name));
    for (const field of kept && !write.elements.prompt.value ? ["prompt", "answer", "notes"] : []) write.elements[field].value = kept[field];
  } catch {
    // As above.
  }
}

function forget(name) {
  try {
    sessionStorage.removeItem(name);
  } catch {
    // As above.
  }
}
