// Keys for everything: shown beside what they do, changed in a dialog, silent while somebody types.
import { ACTIONS, bind, load, save, unbind } from "./settings.js";
import { tr } from "./words.js";

const TYPING = "textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=hidden])";
const NAMES = { " ": tr("Space"), ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Enter: "⏎" };

// A key by what is printed on it, whatever the layout: digits by their place (AZERTY has them under Shift), letters in
// lower case (Caps Lock), and by their place where a layout has other letters (Cyrillic).
export function keyOf(event) {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  if (digit) return digit[1];
  if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) return "?";
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  const letter = /^Key([A-Z])$/.exec(event.code);
  return letter ? letter[1].toLowerCase() : event.key;
}

// An input method is at work: its Enter and its letters belong to the word that is being put together.
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

const shown = (key = "–") => NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);

export class Keys {
  // `run` maps an action to a function; actions without one are left out of the dialog.
  constructor(dialog, run) {
    this.dialog = dialog;
    this.run = run;
    this.settings = load();
    this.waiting = null;
    document.addEventListener("keydown", (event) => this.pressed(event));
    dialog.querySelector("#close-keys").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => this.wait(null));
    dialog.querySelector("#reset-keys").addEventListener("click", () => this.change(unbind(this.settings)));
    const advance = dialog.querySelector("#advance");
    if (advance) advance.checked = this.settings.advance;
    advance?.addEventListener("change", () => this.change({ ...this.settings, advance: advance.checked }));
    this.draw();
  }

  pressed(event) {
    if (this.waiting) return this.rebind(event);
    if (isComposing(event) || event.repeat || event.ctrlKey || event.metaKey || event.altKey || this.dialog.open) return;
    if (event.target.closest(TYPING)) return;
    if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
    const action = Object.keys(this.run).find((name) => this.settings.keys[name] === keyOf(event));
    if (!action) return;
    event.preventDefault();
    this.run[action]();
  }

  rebind(event) {
    if (["Shift", "Control", "Alt", "AltGraph", "CapsLock", "Meta", "Tab"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    const action = this.waiting;
    this.waiting = null;
    this.change(event.key === "Escape" ? this.settings : bind(this.settings, action, keyOf(event)));
    this.dialog.querySelector(`[data-rebind=${action}]`).focus();
  }

  wait(action) {
    this.waiting = action;
    this.draw();
    if (action) this.dialog.querySelector(`[data-rebind=${action}]`).focus();
  }

  change(settings) {
    this.settings = settings;
    save(settings);
    this.draw();
  }

  draw() {
    const rows = Object.keys(this.run).map((action) => this.row(action));
    this.dialog.querySelector("#key-list").replaceChildren(...rows);
    for (const hint of document.querySelectorAll("kbd")) {
      const action = hint.dataset.action ?? `choice${hint.parentElement.querySelector("[data-choice]")?.dataset.choice ?? hint.parentElement.dataset.choice}`;
      const key = this.settings.keys[action];
      hint.textContent = shown(key);
      hint.hidden = !(action in this.run && key);
    }
  }

  row(action) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    const { label } = ACTIONS[action];
    button.type = "button";
    button.className = "button";
    button.dataset.rebind = action;
    button.textContent = this.waiting === action ? tr("Press a key") : shown(this.settings.keys[action]);
    button.setAttribute("aria-label", tr("{action}: {key}. Change", { action: label, key: button.textContent }));
    button.addEventListener("click", () => this.wait(action));
    row.append(label, button);
    return row;
  }
}
