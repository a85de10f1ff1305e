'use strict';
// The one WebSocket: a question gets one answer, found by its number; figures of all streams come each second unasked.
// A lost connection is made again, at first at once and then with growing pauses. Questions that were open then fail,
// and whoever asked asks again when there is a connection.

/** Shortest and longest pause between two tries, ms. */
const RETRY_FIRST_MS = 250;
const RETRY_LONGEST_MS = 5000;

/**
 * The server speaks each second. After so long a silence it is asked by another way whether it is there: a large picture on
 * a slow line is heard only when all of it has come.
 */
const SILENCE_MS = 6000;

/** Without an answer to that for so long, the connection is held for dead. */
const PROBE_MS = 6000;

/** Also where the server answers, the connection is given up after so long; the next one gets twice the time. */
const PATIENCE_MS = 120000;

/** Most questions that are open; the server allows 64. The others wait here. */
const MOST_OPEN = 56;

class LinkLost extends Error {}

class Link extends EventTarget {
  constructor() {
    super();
    this.socket = null;
    this.connected = false;
    this.questions = new Map();
    this.waiting = [];
    this.number = 0;
    this.pause = RETRY_FIRST_MS;
    this.retryAt = 0;
    this.heardAt = 0;
    this.probedAt = 0;
    this.patience = PATIENCE_MS;
    this.timer = 0;
    // A laptop that wakes up or a network that is back need not wait for the pause to end.
    addEventListener('online', () => this.tryNow());
    document.addEventListener('visibilitychange', () => document.hidden || this.tryNow());
    setInterval(() => this.listen(), 1000);
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.heardAt = this.probedAt = performance.now();
    socket.onopen = () => {
      this.connected = true;
      this.pause = RETRY_FIRST_MS;
      this.dispatchEvent(new Event('up'));
    };
    socket.onmessage = message => this.hear(message.data);
    // An error is always followed by a close.
    socket.onclose = () => socket === this.socket && this.lost();
  }

  lost() {
    this.connected = false;
    this.socket = null;
    for (const { fail } of this.questions.values()) fail(new LinkLost('the connection was lost'));
    this.questions.clear();
    for (const go of this.waiting.splice(0)) go();
    const wait = this.pause * (0.75 + Math.random() / 2);
    this.pause = Math.min(this.pause * 2, RETRY_LONGEST_MS);
    this.retryAt = performance.now() + wait;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), wait);
    this.dispatchEvent(new Event('down'));
  }

  /** Without waiting for the pause to end. */
  tryNow() {
    if (!this.socket) this.connect();
  }

  /** A cable that was pulled says nothing: silence is the sign, but not all silence is one. */
  async listen() {
    // In a hidden tab timers are rare, and so is what we hear.
    if (!this.socket || document.hidden) return;
    const { socket } = this;
    const now = performance.now();
    if (now - Math.max(this.heardAt, this.probedAt) < SILENCE_MS) return;
    this.probedAt = Infinity;
    const patient = now - this.heardAt < this.patience;
    const there = patient && await isThere();
    if (socket !== this.socket) return;
    this.probedAt = performance.now();
    // What has been heard meanwhile counts more than a probe.
    if (there || this.heardAt > now) return;
    if (!patient) this.patience *= 2;
    this.lost();
    socket.onclose = null;
    socket.close();
  }

  hear(data) {
    this.heardAt = performance.now();
    let answer;
    if (typeof data === 'string') {
      answer = JSON.parse(data);
    } else {
      const length = new DataView(data).getUint32(0, true);
      answer = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      answer.body = new Uint8Array(data, 4 + length);
    }
    if (answer.streams) {
      this.dispatchEvent(new CustomEvent('figures', { detail: answer }));
    } else if (this.questions.has(answer.id)) {
      const { keep } = this.questions.get(answer.id);
      this.questions.delete(answer.id);
      this.waiting.shift()?.();
      keep(answer);
    }
  }

  /** Asks about a stream. Fails with `LinkLost`; what the server refuses is an answer with `error`. */
  async ask(want, stream, more = {}) {
    while (this.connected && this.questions.size >= MOST_OPEN) await new Promise(go => this.waiting.push(go));
    if (!this.connected) throw new LinkLost('there is no connection');
    this.number += 1;
    const id = this.number;
    const backend = stream.backend ?? undefined;
    this.socket.send(JSON.stringify({ id, want, stream: stream.name, backend, ...more }));
    return new Promise((keep, fail) => this.questions.set(id, { keep, fail }));
  }

  /** Until there is a connection. */
  async ready() {
    while (!this.connected) await new Promise(done => this.addEventListener('up', done, { once: true }));
  }
}

/** Whether the server answers anything at all. */
async function isThere() {
  try {
    await fetch('/ping', { cache: 'no-store', signal: AbortSignal.timeout(PROBE_MS) });
    return true;
  } catch {
    return false;
  }
}
