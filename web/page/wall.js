'use strict';
// The wall: a card for each stream. A card asks for pictures only while it can be seen.

/** Cards are small: more than so many pictures a second nobody sees. */
const CARD_LEAST_MS = 33;

/** Sharper than this is not worth its bytes on a card. */
const CARD_MOST_DENSITY = 2;

class Card {
  constructor(link, stream, watcher) {
    this.stream = stream;
    this.canvas = element('canvas', { 'aria-hidden': 'true' });
    this.record = element('div', { class: 'record', 'aria-hidden': 'true' });
    this.badge = element('span', { class: 'badge' });
    this.stamp = element('span', { class: 'stamp numbers' });
    this.trouble = element('p', { class: 'trouble', hidden: '' });
    this.link = element('a', { class: 'open', href: linkTo(stream) },
      element('span', { class: 'bus' }, `${stream.bus}/`), element('span', { class: 'short' }, stream.short));
    this.content = element('span', { class: 'content' });
    this.dials = {
      rate: new Dial('Rate', 'rate', 'What is published, by sequence and time; below it what the publisher intends'),
      latency: new Dial('Latency p99', 'latency', 'From publication to this server having the frame'),
      drops: new Dial('Drops', 'drops', 'Frames that the producer could not publish because no slot was free'),
    };
    this.publisher = element('span', { class: 'publisher' });
    this.skipped = element('span', { class: 'skipped', title: 'Frames that readers passed over, all readers together' });
    this.readers = element('button', { class: 'readers', type: 'button', 'aria-expanded': 'false' });
    this.readers.addEventListener('click', () => this.toggleReaders());
    this.table = element('div', { class: 'table', hidden: '' });
    this.node = element('article', { class: 'card', 'data-stream': stream.key },
      element('div', { class: 'screen' }, this.canvas, this.record, this.trouble, this.badge, this.stamp),
      element('div', { class: 'heading' }, element('h2', {}, this.link), this.content),
      element('div', { class: 'dials' }, ...Object.values(this.dials).map(dial => dial.node)),
      element('div', { class: 'foot numbers' }, this.publisher, this.skipped, this.readers),
      this.table);
    this.view = new RecordView(this.record, true);
    this.seen = false;
    const trouble = text => this.complain(text);
    this.pictures = new PictureFeed(link, stream, {
      size: () => this.node.clientWidth * Math.min(devicePixelRatio || 1, CARD_MOST_DENSITY),
      look: () => stream.look,
      picture: (bitmap, header) => this.show(bitmap, header),
      trouble,
      leastMs: CARD_LEAST_MS,
    });
    this.samples = new SampleFeed(link, stream, { samples: answer => this.view.take(answer), trouble, leastMs: 100 });
    watcher.observe(this.node);
  }

  /** Who is not seen asks for nothing. */
  run(allowed) {
    const feed = this.stream.kind === 'image' ? this.pictures : this.samples;
    const other = feed === this.pictures ? this.samples : this.pictures;
    other.stop();
    if (allowed && this.seen && this.stream.figures) feed.start();
    else feed.stop();
  }

  show(bitmap, header) {
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.canvas.getContext('2d').drawImage(bitmap, 0, 0);
    bitmap.close();
    this.canvas.dataset.sequence = header.sequence;
  }

  complain(text) {
    say(this.trouble, text);
    this.trouble.hidden = !text;
  }

  /** The figures of each second. */
  update() {
    const { stream } = this;
    const { figures, state } = stream;
    if (!figures) return;
    this.node.dataset.state = state;
    this.node.dataset.kind = stream.kind;
    say(this.badge, STATES[state]);
    say(this.stamp, figures.age_ns == null ? '' : `${duration(figures.age_ns)} old`);
    say(this.content, stream.content);
    this.content.title = figures.content ?? '';
    const { watch } = figures;
    const nominal = figures.rate_hz ? `of ${hertz(figures.rate_hz)}` : 'no nominal rate';
    this.dials.rate.show(hertz(figures.published_hz), nominal, stream.history.rate, figures.rate_hz ?? 0);
    this.dials.latency.show(duration(watch?.latency_p99_ns), `p50 ${duration(watch?.latency_p50_ns)}`, stream.history.latency);
    this.dials.drops.show(count(figures.refused), `late ${count(figures.late)}`, stream.history.drops, 1);
    this.dials.drops.node.classList.toggle('bad', stream.history.drops.slice(-10).some(drops => drops > 0));
    say(this.publisher, publisherWord(figures));
    say(this.skipped, `skipped ${count(stream.skipped)}`);
    const readers = figures.subscribers.length;
    say(this.readers, `${readers} ${readers === 1 ? 'reader' : 'readers'}`);
    if (!this.table.hidden) fillReaders(this.table, stream, SHORT);
    if (state === 'error') this.complain(watch.error);
  }

  toggleReaders() {
    this.table.hidden = !this.table.hidden;
    this.readers.setAttribute('aria-expanded', String(!this.table.hidden));
    if (!this.table.hidden) fillReaders(this.table, this.stream, SHORT);
  }

  remove(watcher) {
    this.pictures.stop();
    this.samples.stop();
    watcher.unobserve(this.node);
    this.node.remove();
  }
}

/** A name, a number, a remark, and the last two minutes of it. */
class Dial {
  constructor(name, colour, title) {
    this.colour = colour;
    this.value = element('strong', {}, NOTHING);
    this.remark = element('small', {}, '\u00a0');
    this.canvas = element('canvas', { 'aria-hidden': 'true' });
    this.node = element('div', { class: `dial numbers dial-${colour}`, title },
      element('span', {}, name), this.value, this.remark, this.canvas);
  }

  show(value, remark, history, top) {
    say(this.value, value);
    say(this.remark, remark);
    drawSparkline(this.canvas, history, this.colour, top);
  }
}

/** Who publishes, and whether it lives: alive, gone, closed. */
function publisherWord(figures) {
  const { publisher_pid: pid, publisher } = figures;
  return pid == null ? `publisher ${publisher}` : `pid ${pid} ${publisher}`;
}

/** What is told of each reader, beside a name: on a card, and, where there is room, of when it had its frames. */
const SHORT = [
  ['pid', one => String(one.pid ?? NOTHING), 'Its process'],
  ['Seen', one => count(one.seen), 'Different frames taken'],
  ['Skipped', one => count(one.skipped + one.missed), 'Passed over, or gone before they were asked for'],
  ['Held', one => count(one.held), 'Frames held now'],
  ['Blamed', one => count(one.blamed), 'Frames that could not be published because of it'],
];
const WHOLE = [
  SHORT[0], SHORT[1],
  ['Skipped', one => count(one.skipped), 'Passed over, because a newer one was taken'],
  ['Missed', one => count(one.missed), 'Gone before they were asked for'],
  ['Latency', one => both(one, 'latency'), 'From publication until taken: half of the frames, 99 %'],
  ['Age', one => both(one, 'age'), 'From capture until taken: half of the frames, 99 %'],
  ['Held for', one => both(one, 'hold'), 'From taken until let go of: half of the frames, 99 %'],
  ['Holds', one => (one.held ? `${count(one.held)}, ${duration(one.holding_ns)}` : NOTHING), 'Frames held now, and for how long'],
  ['Violated', one => (isBound(one) ? count(one.violations) : NOTHING), 'How often its contract was not kept'],
  SHORT[4],
];

const both = (one, what) => (one[`${what}_count`] ? `${duration(one[`${what}_p50_ns`])} / ${duration(one[`${what}_p99_ns`])}` : NOTHING);

const isBound = one => one.contract_max_age_ns != null || one.contract_max_skipped_per_s != null;

/** Who reads a stream, and whom the publisher blames for frames that it could not publish. */
function fillReaders(place, stream, columns) {
  const subscribers = stream.figures?.subscribers ?? [];
  if (!subscribers.length) {
    place.replaceChildren(element('p', { class: 'none' }, 'Nobody reads this stream.'));
    return;
  }
  const most = Math.max(...subscribers.map(one => one.blamed));
  const rows = subscribers.map(one => {
    const guilty = one.blamed > 0 && one.blamed === most;
    const trouble = guilty ? 'Held the slots when frames were refused' : one.violations ? 'Its contract was not kept' : '';
    return element('tr', trouble ? { class: 'guilty', title: trouble } : {},
      element('th', { scope: 'row', title: one.label }, one.label || 'unnamed'),
      ...columns.map(([, value]) => element('td', {}, value(one))));
  });
  place.replaceChildren(element('table', { class: 'numbers' },
    element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, 'Reader'),
      ...columns.map(([head, , title]) => element('th', { scope: 'col', title }, head)))),
    element('tbody', {}, ...rows)));
}

const linkTo = stream => `#${stream.name}${stream.key === stream.name ? '' : `@${encodeURIComponent(stream.backend)}`}`;

/** Each gives what to compare, smallest first. */
const ORDERS = {
  name: stream => stream.key,
  rate: stream => -(stream.figures?.published_hz ?? -1),
  age: stream => stream.figures?.age_ns ?? Infinity,
  drops: stream => -(stream.figures?.refused ?? -1),
};

class Wall {
  constructor(link, model) {
    this.link = link;
    this.model = model;
    this.cards = new Map();
    this.shown = true;
    this.grid = byId('grid');
    this.filter = byId('filter');
    this.order = byId('order');
    this.order.value = remembered.get('order', 'name');
    this.watcher = new IntersectionObserver(entries => {
      for (const { target, isIntersecting } of entries) {
        const card = this.cards.get(target.dataset.stream);
        if (card) card.seen = isIntersecting;
      }
      this.run();
    }, { rootMargin: '80px' });
    this.filter.addEventListener('input', () => this.update());
    this.order.addEventListener('change', () => {
      remembered.set('order', this.order.value);
      this.update();
    });
    this.grid.addEventListener('keydown', event => this.walk(event));
  }

  /** The keys of the streams that are shown, in their order. */
  keys() {
    return [...this.grid.children].filter(node => !node.hidden).map(node => node.dataset.stream);
  }

  update() {
    const streams = [...this.model.streams.values()].filter(stream => stream.figures);
    for (const [key, card] of this.cards) {
      if (this.model.streams.get(key) === card.stream) continue;
      card.remove(this.watcher);
      this.cards.delete(key);
    }
    const of = ORDERS[this.order.value] ?? ORDERS.name;
    streams.sort((a, b) => {
      const [left, right] = [of(a), of(b)];
      return left < right ? -1 : left > right ? 1 : a.key < b.key ? -1 : 1;
    });
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    streams.forEach((stream, index) => {
      if (!this.cards.has(stream.key)) this.cards.set(stream.key, new Card(this.link, stream, this.watcher));
      const card = this.cards.get(stream.key);
      const text = `${stream.key} ${stream.content} ${stream.state}`.toLowerCase();
      card.node.hidden = !words.every(word => text.includes(word));
      shown += card.node.hidden ? 0 : 1;
      // Only cards that changed places are moved: moving one takes the focus from it.
      if (this.grid.children[index] !== card.node) this.grid.insertBefore(card.node, this.grid.children[index] ?? null);
      if (this.shown) card.update();
    });
    this.grid.dataset.few = String(shown <= 2);
    byId('none').hidden = streams.length > 0 || !this.heard || this.unlisted;
    byId('none-match').hidden = shown > 0 || streams.length === 0;
    this.run();
  }

  /** What the server can not list, and why: streams may be missing here. */
  tell(unlisted) {
    this.unlisted = unlisted.length > 0;
    say(byId('unlisted'), unlisted.join('\n'));
    byId('unlisted').hidden = !this.unlisted;
  }

  /** The wall is left, or come back to. */
  show(shown) {
    this.shown = shown;
    byId('wall').hidden = !shown;
    if (shown) this.update();
    else this.run();
  }

  run() {
    const allowed = this.shown && !document.hidden;
    for (const card of this.cards.values()) card.run(allowed && !card.node.hidden);
  }

  /** Arrow keys go from card to card. */
  walk(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 'down', ArrowUp: 'up' }[event.key];
    const card = event.target.closest?.('.card');
    if (!step || !card || event.target.closest('table')) return;
    const nodes = [...this.grid.children].filter(node => !node.hidden);
    const columns = nodes.filter(node => node.offsetTop === nodes[0].offsetTop).length;
    const by = { down: columns, up: -columns }[step] ?? step;
    const next = nodes[nodes.indexOf(card) + by];
    if (!next) return;
    event.preventDefault();
    next.querySelector('a.open').focus();
  }
}
