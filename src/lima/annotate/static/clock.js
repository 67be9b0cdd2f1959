// Seconds in which an item was on a visible page, kept over a reload.
const PLACE = "lima-seconds";

export class Clock {
  constructor(item) {
    this.item = item;
    this.before = 0;
    this.since = null;
    try {
      const kept = JSON.parse(sessionStorage.getItem(PLACE));
      if (kept?.item === item) this.before = kept.seconds;
    } catch {
      // Without storage the time counts from this page's start.
    }
    document.addEventListener("visibilitychange", () => this.turn());
    addEventListener("pagehide", () => this.keep());
    this.turn();
  }

  turn() {
    this.before = this.seconds();
    this.since = document.hidden ? null : performance.now();
  }

  seconds() {
    return this.before + (this.since === null ? 0 : (performance.now() - this.since) / 1000);
  }

  keep() {
    try {
      sessionStorage.setItem(PLACE, JSON.stringify({ item: this.item, seconds: this.seconds() }));
    } catch {
      // As above.
    }
  }
}
