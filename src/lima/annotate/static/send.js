// Sends forms without leaving the page: one after the other in the order in which they were made, and each again while
// the connection is gone. The server knows a request that it has had before, so none counts twice.
import { tr } from "./words.js";

export const { root } = document.documentElement.dataset; // where a proxy serves the pages
const LONGEST_PAUSE = 15000;
let last = Promise.resolve();
let waiting = 0;

addEventListener("beforeunload", (event) => {
  if (waiting) event.preventDefault();
});

// What the server replied; `problem` is its sentence for the person.
export async function send(form, submitter, say) {
  const body = new URLSearchParams(new FormData(form, submitter));
  say(tr("Saving …"));
  waiting += 1;
  last = last.then(() => untilAnswered(form.action, body, say));
  const reply = await last;
  waiting -= 1;
  return reply;
}

// Sends a form when it is submitted, pressed twice just once, and goes where the reply says.
export function sendAndGo(form, say, { ready = () => true, done = () => {} } = {}) {
  const texts = form.querySelectorAll("textarea, input:not([type=hidden])");
  let busy = false;
  const turn = (on) => {
    busy = on;
    form.setAttribute("aria-busy", String(on));
    for (const text of texts) text.readOnly = on; // what is typed after it was sent would be lost
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy || !ready(event.submitter)) return;
    turn(true);
    const reply = await send(form, event.submitter, say);
    if (reply.to) {
      done();
      return location.assign(reply.to);
    }
    turn(false);
    say(reply.problem);
  });
  addEventListener("pageshow", (event) => event.persisted && turn(false));
}

async function untilAnswered(address, body, say) {
  for (let pause = 1000; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const reply = await once(address, body);
    if (!reply.missing) return reply;
    say(tr("Not saved yet: {reason}. Trying again …", { reason: reply.missing }));
    await rest(pause);
  }
}

async function once(address, body) {
  try {
    const response = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
    if (response.status >= 500) return { missing: tr("the server has a problem") };
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return isJson ? await response.json() : { problem: tr("Not saved: the server turned it away ({status}).", { status: response.status }) };
  } catch {
    return { missing: tr("no connection") };
  }
}

// Ends early when the browser is connected again.
export function rest(milliseconds) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    addEventListener("online", resolve, { once: true });
  });
}
