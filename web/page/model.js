'use strict';
// What is known of each stream: its newest figures, those of the last two minutes, and what state they come to.

/** Seconds of figures that are kept, one each second. */
const HISTORY = 120;

/** A stream that is no longer listed stays on the wall for so long, so that an end is seen. */
const ENDED_MS = 15000;

/** Without a new frame for so long, and for some periods, a stream is quiet. */
const QUIET_NS = 2e9;
const QUIET_PERIODS = 5;

const STATES = {
  live: 'Live',
  quiet: 'Quiet',
  gone: 'Publisher gone',
  closed: 'Closed',
  ended: 'Ended',
  error: 'Error',
  waiting: 'Waiting',
};

class Stream {
  constructor(name, backend) {
    this.name = name;
    this.backend = backend;
    this.key = Stream.key(name, backend);
    const slash = name.indexOf('/');
    this.bus = name.slice(0, slash);
    this.short = name.slice(slash + 1);
    this.figures = null;
    this.listedAt = performance.now();
    this.listed = false;
    this.history = { rate: [], latency: [], drops: [] };
  }

  /** Streams of one name on two backends are two; the usual backend is not spelled out. */
  static key(name, backend) {
    return !backend || backend === 'sysv' ? name : `${name}@${backend}`;
  }

  update(figures) {
    const before = this.figures;
    const drops = before && this.listed ? figures.refused - before.refused : 0;
    this.figures = figures;
    this.listed = true;
    this.listedAt = performance.now();
    this.remember('rate', figures.published_hz);
    this.remember('latency', figures.watch?.latency_p99_ns);
    // A producer that began anew counts from zero.
    this.remember('drops', Math.max(drops, 0));
  }

  remember(what, value) {
    const values = this.history[what];
    values.push(value ?? null);
    if (values.length > HISTORY) values.shift();
  }

  get state() {
    const figures = this.figures;
    if (!figures) return 'waiting';
    if (!this.listed) return 'ended';
    if (figures.watch?.error) return 'error';
    if (figures.publisher !== 'alive') return figures.publisher;
    if (figures.age_ns === null) return 'waiting';
    const period = figures.rate_hz ? 1e9 / figures.rate_hz : 0;
    return (figures.age_ns ?? Infinity) > Math.max(QUIET_NS, QUIET_PERIODS * period) ? 'quiet' : 'live';
  }

  get kind() {
    return this.figures?.kind_of ?? 'bytes';
  }

  /** What its frames are, in short. */
  get content() {
    const figures = this.figures;
    if (!figures) return '';
    if (this.kind === 'image') return `${figures.format} ${figures.width}×${figures.height}`;
    if (this.kind === 'record') return figures.type ?? 'record';
    return figures.content ?? 'not readable';
  }

  /** Values rather than colours: a palette makes sense. */
  get hasPalette() {
    return ['mono8', 'mono16', 'depth_f32'].includes(this.figures?.format);
  }

  get isDepth() {
    return Boolean(this.figures?.format?.startsWith('depth'));
  }

  /** Frames that its readers passed over or came too late for, all together. */
  get skipped() {
    return (this.figures?.subscribers ?? []).reduce((sum, one) => sum + one.skipped + one.missed, 0);
  }

  /** Palette and range that were chosen for it. */
  get look() {
    const otherwise = { palette: this.isDepth ? 'turbo' : 'grey', range: null };
    return this.hasPalette ? remembered.get(`look.${this.key}`, otherwise) : { palette: 'grey', range: null };
  }

  set look(look) {
    remembered.set(`look.${this.key}`, look);
  }
}

class Model {
  constructor() {
    this.streams = new Map();
  }

  /** What is not in a list that is not whole may be there all the same: it is left as it was last seen. */
  update(list, isWhole) {
    const now = performance.now();
    const listed = new Set();
    for (const figures of list) {
      const stream = this.of(figures.stream, figures.backend);
      stream.update(figures);
      listed.add(stream);
    }
    for (const [key, stream] of this.streams) {
      if (listed.has(stream) || !isWhole) continue;
      stream.listed = false;
      if (now - stream.listedAt > ENDED_MS && !stream.wanted) this.streams.delete(key);
    }
  }

  of(name, backend) {
    const key = Stream.key(name, backend);
    if (!this.streams.has(key)) this.streams.set(key, new Stream(name, backend));
    return this.streams.get(key);
  }
}
