// The page's language: what the study's catalogue says for an English sentence, with its values put in.
const words = JSON.parse(document.documentElement.dataset.words ?? "{}");

export const tr = (text, values = {}) => (words[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
