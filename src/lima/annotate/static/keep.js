// What is being typed into a form with data-keep, kept in this tab until the server has it: a reload loses nothing.
const FIELDS = "textarea, input:not([type=hidden], [type=radio])";

// Puts back what was kept into fields that nobody has touched, and returns a function that forgets it.
export function keep(form) {
  const place = `lima-${form.dataset.keep}`;
  const fields = [...form.querySelectorAll(FIELDS)];
  const kept = read(place);
  for (const field of fields) {
    const value = kept[name(field)];
    if (value === undefined) continue;
    if (field.type === "checkbox") field.checked = field.checked === field.defaultChecked ? value : field.checked;
    else if (field.value === field.defaultValue) field.value = value;
  }
  form.addEventListener("input", () => {
    const values = fields.map((field) => [name(field), field.type === "checkbox" ? field.checked : field.value]);
    attempt(() => sessionStorage.setItem(place, JSON.stringify(Object.fromEntries(values))));
  });
  return () => attempt(() => sessionStorage.removeItem(place));
}

const name = (field) => (field.type === "checkbox" ? `${field.name}=${field.value}` : field.name);
const read = (place) => attempt(() => JSON.parse(sessionStorage.getItem(place))) ?? {};

// A browser without storage keeps the text on the page alone.
function attempt(action) {
  try {
    return action();
  } catch {
    return null;
  }
}
