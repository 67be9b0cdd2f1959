// What one browser remembers: keys, and whether to go on by itself. Nothing of this reaches the server.
const PLACE = "lima";
export const ACTIONS = {
  choice1: { label: "First choice", key: "1" },
  choice2: { label: "Second choice", key: "2" },
  choice3: { label: "Third choice", key: "3" },
  choice4: { label: "Fourth choice", key: "4" },
  choice5: { label: "Fifth choice", key: "5" },
  choice6: { label: "Sixth choice", key: "6" },
  undo: { label: "Undo", key: "u" },
  next: { label: "Save or next", key: "Enter" },
  accept: { label: "Accept", key: "a" },
  edit: { label: "Edit", key: "e" },
  reject: { label: "Reject", key: "r" },
  help: { label: "Show these keys", key: "?" },
};

const defaults = () => Object.fromEntries(Object.entries(ACTIONS).map(([name, { key }]) => [name, key]));

export function load() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(PLACE)) ?? {};
  } catch {
    // A browser that keeps nothing works with the defaults.
  }
  return { advance: kept.advance ?? true, keys: { ...defaults(), ...kept.keys } };
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
