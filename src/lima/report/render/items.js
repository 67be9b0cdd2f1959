// Search, filter and sort of items. Without it the page shows all of them, in their order.
for (const form of document.querySelectorAll("form.finder")) {
  const list = form.nextElementSibling;
  const items = [...list.children];
  const asked = new Map(items.map((item) => [item, item.querySelector(".asked").textContent]));
  const texts = new Map(items.map((item) => [item, item.textContent.toLowerCase()]));
  const said = (item) => item.dataset.said.split("\n").filter(Boolean);
  const orders = {
    said: (a, b) => said(b).length - said(a).length,
    length: (a, b) => b.dataset.length - a.dataset.length,
    text: (a, b) => asked.get(a).localeCompare(asked.get(b)),
  };
  const fits = (item, { words, tag, said: wanted }) =>
    words.toLowerCase().split(/\s+/).every((word) => texts.get(item).includes(word)) &&
    (!tag || item.dataset.tags.split(" ").includes(tag)) &&
    (!wanted || (wanted === "several" ? said(item).length > 1 : said(item).includes(wanted)));
  const update = () => {
    const chosen = Object.fromEntries(new FormData(form));
    for (const item of items) item.hidden = !fits(item, chosen);
    list.append(...(chosen.order ? items.toSorted(orders[chosen.order]) : items));
    const shown = items.filter((item) => !item.hidden).length;
    form.querySelector("output").value = `${shown} of ${items.length}`;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  form.reset();
  update();
}
