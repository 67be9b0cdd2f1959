// Small comforts of the lead's console; everything works without them.
import { tr } from "./words.js";

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.confirm)) event.preventDefault();
  });
}

const link = document.querySelector("#link");
const copy = document.querySelector("#copy");
if (link && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(link.value);
    copy.textContent = tr("Copied");
  });
}
