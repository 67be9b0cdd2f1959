// The review queue: keys to decide with, and checks of what is being written. The forms work without this script too.
import { keep } from "./keep.js";
import { isComposing, keyOf, Keys } from "./keys.js";
import { root, sendAndGo } from "./send.js";
import { tr } from "./words.js";

const PAUSE_BEFORE_CHECK = 500;
const WORDS = { good: tr("Good:"), look: tr("Look again:"), stop: tr("Not yet:") };

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
  const accept = document.querySelector("#accept");
  const numbered = document.querySelector("#numbered");
  const cuts = [...document.querySelectorAll("[data-cut]")];
  const nextCut = () => cuts.find((button) => !button.disabled);
  const nextKey = document.querySelector("[data-action=cut]");
  const takenOut = [...document.querySelectorAll("[data-back]")];
  const fields = edit ? [...edit.querySelectorAll("textarea")] : [];
  const isChanged = () => fields.some((text) => text.value !== text.defaultValue);

  // What is accepted is what the form shows: after a cut, or what was typed, the text with these changes.
  const follow = () => {
    accept.value = isChanged() ? "edit" : "accept";
    accept.firstElementChild.textContent = isChanged() ? tr("Accept with changes") : tr("Accept");
    for (const button of cuts) {
      const { cut, from } = button.dataset;
      const gone = !document.querySelector(`#${from}`).value.includes(cut);
      button.disabled = gone;
      button.closest("li").classList.toggle("cut", gone);
    }
    for (const button of takenOut) button.disabled = isBack(button.dataset);
    if (nextKey) (nextCut() ?? cuts.at(-1)).append(nextKey); // a disabled button shows none
  };
  const cutOut = (button) => {
    const field = document.querySelector(`#${button.dataset.from}`);
    field.value = without(field.value, button.dataset.cut);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    say(tr("Cut. Accept takes the text without it."));
  };
  for (const button of cuts) {
    button.hidden = false;
    button.addEventListener("click", () => cutOut(button));
  }
  for (const button of takenOut) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const field = fieldOf(button.dataset);
      const above = takenOut.map(({ dataset }) => dataset).filter((other) => isAbove(other, button.dataset) && isBack(other));
      field.value = restored(field, button.dataset, above);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      say(tr("It is back. Accept takes the text with it."));
    });
  }
  decide.addEventListener("input", follow);

  new Keys(dialog, {
    accept: () => accept.click(),
    ...(nextKey && { cut: () => nextCut() && cutOut(nextCut()) }),
    ...(edit && {
      edit: () => {
        edit.open = true;
        (document.querySelector("#answer") ?? document.querySelector("#prompt")).focus();
      },
    }),
    reject: () => {
      if (reason.value.trim()) return document.querySelector("#reject").click();
      numbered.hidden = false;
      reason.focus();
    },
    undo: () => document.querySelector("#undo button").click(),
    help: () => dialog.showModal(),
  });
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  reason.addEventListener("keydown", (event) => {
    if (isComposing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const usual = !numbered.hidden && !reason.value && document.querySelectorAll("#reasons option")[keyOf(event) - 1];
    if (usual) {
      event.preventDefault();
      reason.value = usual.value;
      return document.querySelector("#reject").click();
    }
    if (event.key !== "Enter") return;
    event.preventDefault();
    document.querySelector("#reject").click();
  });
  reason.addEventListener("blur", () => (numbered.hidden = true));
  const forget = keep(decide);
  follow();
  if (edit) edit.open ||= isChanged();
  sendAndGo(decide, say, {
    ready: (submitter) => {
      const ready = submitter?.value !== "reject" || reason.value.trim();
      if (!ready) {
        say(tr("Say why it is rejected."));
        reason.focus();
      }
      return ready;
    },
    done: forget,
  });
  sendAndGo(document.querySelector("#undo"), say);
}

// The text without a passage: with its line, where only a bullet or a quotation mark would be left, and with one blank line
// at most in its place.
function without(text, passage) {
  const at = text.indexOf(passage);
  if (at < 0) return text;
  const from = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at + passage.length);
  const to = end < 0 ? text.length : end;
  const before = text.slice(from, at);
  const behind = text.slice(at + passage.length, to);
  const rest = /^[\s>*#-]*(?:\d+[.)])?\s*$/.test(before) ? before + behind.trimStart() : `${before.trimEnd()} ${behind.trimStart()}`.trimEnd();
  const empty = /^[\s>*#-]*(?:\d+[.)])?\s*$/.test(rest);
  const left = text.slice(0, from) + (empty ? "" : rest) + text.slice(empty ? Math.min(to + 1, text.length) : to);
  return left.replace(/\n{3,}/g, "\n\n").trim();
}

function fieldOf({ from }) {
  return document.querySelector(`#${from}`);
}

function isAbove(one, other) {
  return one.from === other.from && Number(one.line) < Number(other.line);
}

// Whether the text holds a passage more often than without it: after a reload too, and no longer once it is deleted.
function isBack({ back, from }) {
  const { value, defaultValue } = fieldOf({ from });
  const count = (text, part) => text.split(part).length - 1;
  return count(value, back) > count(defaultValue, back);
}

// The text with a passage that was cut out: in the place of the lines that stand there instead, or before its line, which
// the passages that are back above it have moved down.
function restored({ value: text, defaultValue: cut }, { back, instead, line }, above) {
  const lines = text.split("\n");
  const size = (part) => (part ? part.split("\n").length : 0);
  const moved = above.reduce((sum, other) => sum + size(other.back) - size(other.instead), 0);
  const place = line < size(cut) ? Number(line) + moved : lines.length;
  const replaced = lines.slice(place, place + size(instead)).join("\n") === instead;
  if (instead && !replaced && text.includes(instead)) return text.replace(instead, () => back);
  lines.splice(place, replaced ? size(instead) : 0, ...back.split("\n"));
  return lines.join("\n");
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
      say(tr("No connection: the checks rest. Your text is kept in this browser."));
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
    word.textContent = `${WORDS[level]} `;
    line.append(word, text);
    return line;
  });
  document.querySelector("#findings").replaceChildren(...lines);
  const stops = findings.filter(({ level }) => level === "stop").length;
  say(stops ? tr("{number} to mend before it can be handed in.", { number: stops }) : "");
}

function say(sentence) {
  status.textContent = sentence;
}
