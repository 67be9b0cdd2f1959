// The site's search runs in a worker, which browsers refuse to pages opened from the disk. There a hidden frame takes its
// place: it runs the same script, with the two functions of a worker's world that the script calls.
if (location.protocol === "file:") {
  const load = (frame, url) =>
    new Promise((resolve, reject) => {
      const script = frame.contentDocument.createElement("script");
      script.src = url;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${url} could not be read`));
      frame.contentDocument.head.append(script);
    });

  // Material's script knows by this name of its parent that it is in a frame.
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.world = frame.contentWindow;
      this.world.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.world.importScripts = (...urls) =>
        urls.reduce((before, one) => before.then(() => load(frame, one)), Promise.resolve());
      this.ready = load(frame, url);
    }

    // What is sent while the script loads waits for it, in order.
    postMessage(data) {
      this.ready.then(() => this.world.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
  window.Worker = window.IFrameWorker;
}
