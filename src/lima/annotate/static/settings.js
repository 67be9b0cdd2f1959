// What one browser remembers: keys, and whether to go on by itself. Nothing of this reaches the server.
import { tr } from "./words.js";

const PLACE = "lima";
export const ACTIONS = {
  ...Object.fromEntries(Array.from("1234567890", (digit) => [`choice${digit}`, { label: tr("Choice {number}", { number: digit }), key: digit }])),
  undo: { label: tr("Undo"), key: "u" },
  next: { label: tr("Save or next"), key: "Enter" },
  accept: { label: tr("Accept"), key: "a" },
  edit: { label: tr("Edit"), key: "e" },
  reject: { label: tr("Reject"), key: "r" },
  cut: { label: tr("Cut the next marked passage"), key: "x" },
  help: { label: tr("Show these keys"), key: "?" },
};

const defaults = () => Object.fromEntries(Object.entries(ACTIONS).map(([name, { key }]) => [name, key]));

export function load() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(PLACE)) ?? {};
  } catch {
    // A browser that keeps nothing works with the defaults.
  }
  const chosen = Object.fromEntries(Object.entries(kept.keys ?? {}).filter(([name, key]) => name in ACTIONS && key && typeof key === "string"));
  return { advance: kept.advance !== false, keys: { ...free(defaults(), chosen), ...chosen } };
}

// What somebody chose before an action came in keeps its key; the new action has none until it gets one.
function free(all, chosen) {
  const taken = new Set(Object.values(chosen));
  return Object.fromEntries(Object.entries(all).filter(([name, key]) => name in chosen || !taken.has(key)));
}

export function save(settings) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(settings));
  } catch {
    // As above.
  }
}

// A key that another action had goes to that action's place: two actions never share one.
export function bind(settings, action, key) {
  const other = Object.keys(settings.keys).find((name) => settings.keys[name] === key);
  const keys = { ...settings.keys, [action]: key };
  if (other && other !== action) keys[other] = settings.keys[action];
  return { ...settings, keys };
}

export const unbind = (settings) => ({ ...settings, keys: defaults() });
