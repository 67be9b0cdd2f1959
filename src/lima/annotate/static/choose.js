// The choice between dialogues, sent again while the connection is gone.
import { sendAndGo } from "./send.js";

const status = document.querySelector("#status");
sendAndGo(document.querySelector("#choose"), (sentence) => {
  status.textContent = sentence;
});
