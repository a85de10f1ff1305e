'use strict';
// The page starts here: connection, model, wall and full view, and what goes across them: address, keys, theme, banner.

const THEMES = ['auto', 'light', 'dark'];

class App {
  constructor() {
    this.model = new Model();
    this.link = new Link();
    this.wall = new Wall(this.link, this.model);
    this.full = new FullView(this.link, this.model);
    this.full.showToggles();
    this.link.addEventListener('figures', event => this.figures(event.detail));
    this.link.addEventListener('up', () => this.showLink());
    this.link.addEventListener('down', () => this.lost());
    addEventListener('hashchange', () => this.route());
    document.addEventListener('visibilitychange', () => this.run());
    document.addEventListener('keydown', event => this.key(event));
    byId('try').addEventListener('click', () => this.link.tryNow());
    byId('theme').addEventListener('click', () => this.nextTheme());
    byId('help-button').addEventListener('click', () => byId('help').showModal());
    byId('back').addEventListener('click', () => this.toWall());
    byId('previous').addEventListener('click', () => this.neighbour(-1));
    byId('next').addEventListener('click', () => this.neighbour(1));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.themed());
    setInterval(() => this.showLink(), 500);
    this.setTheme(remembered.get('theme', 'auto'));
    this.route();
  }

  figures({ streams, server, unlisted }) {
    this.model.heard = true;
    this.wall.heard = true;
    this.model.update(streams, !unlisted.length);
    this.wall.tell(unlisted);
    this.wall.update();
    // A link named no backend, and the stream is on another one than the usual.
    if (this.full.stream && !this.full.stream.figures && this.backendOf(this.full.stream.name)) this.route();
    this.full.update();
    const all = [...this.model.streams.values()].filter(stream => stream.listed);
    const live = all.filter(stream => stream.state === 'live');
    const total = live.reduce((sum, stream) => sum + (stream.figures.published_hz ?? 0), 0);
    say(byId('summary-count'), `${all.length} ${all.length === 1 ? 'stream' : 'streams'} · ${live.length} live`);
    say(byId('summary-rate'), live.length ? ` · ${hertz(total)}` : '');
    const people = server ? `${server.clients} ${server.clients === 1 ? 'browser' : 'browsers'}` : '';
    say(byId('server'), server ? `${people} · encoding ${Math.round(server.busy_percent)} %` : '');
  }

  run() {
    this.wall.run();
    this.full.run();
  }

  // The connection.

  lost() {
    this.showLink();
    // After some tries: is it that we may not?
    if (this.link.pause >= 1000) {
      fetch('/api/streams').then(({ status }) => { this.forbidden = status === 401; }, () => { this.forbidden = false; });
    }
  }

  showLink() {
    const { connected, retryAt, socket } = this.link;
    if (connected) this.everConnected = true;
    document.documentElement.dataset.connected = String(connected);
    // The first connection is made in a moment: no alarm before it fails.
    byId('banner').hidden = connected || (!this.everConnected && !retryAt);
    if (byId('banner').hidden) return;
    const seconds = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
    say(byId('banner-word'), this.forbidden
      ? 'The server asks for a token: open the address with ?token=… that it printed when it started.'
      : socket || seconds === 0 ? 'No connection to the server. Trying again …'
        : `No connection to the server. Trying again in ${seconds} s.`);
  }

  // The address: #BUS/STREAM, with @BACKEND where it is not the usual one.

  route() {
    const [name, backend] = location.hash.slice(1).split('@').map(decodePart);
    const stream = /^[^/]+\/[^/]+$/.test(name) ? this.model.of(name, backend ?? this.backendOf(name)) : null;
    if (stream === this.full.stream && stream) return;
    byId('help').close();
    if (stream) {
      this.wall.show(false);
      this.full.open(stream);
      this.cameFrom = stream.key;
      byId('stage-box').focus({ preventScroll: true });
      scrollTo(0, 0);
    } else {
      this.full.close();
      this.wall.show(true);
      // Back where one was.
      const card = this.wall.cards.get(this.cameFrom);
      card?.link.focus();
    }
    document.documentElement.dataset.view = stream ? 'full' : 'wall';
  }

  /** Of a name without a backend: where there is such a stream. */
  backendOf(name) {
    return [...this.model.streams.values()].find(stream => stream.name === name && stream.figures)?.backend ?? null;
  }

  toWall() {
    location.hash = '';
  }

  neighbour(step) {
    const keys = this.wall.keys();
    if (!keys.length) return;
    const here = keys.indexOf(this.full.stream?.key);
    const next = here < 0 ? 0 : (here + step + keys.length) % keys.length;
    location.hash = linkTo(this.model.streams.get(keys[next]));
  }

  // Keys.

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId('help').open) return;
    const writing = event.target.matches?.('input, select, textarea');
    if (writing) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    const onButton = event.target.matches?.('button, a, summary');
    if (onButton && (event.key === ' ' || event.key === 'Enter')) return;
    const anywhere = {
      '?': () => byId('help').showModal(),
      t: () => this.nextTheme(),
    };
    const onWall = { '/': () => byId('filter').focus() };
    const { full } = this;
    const inFull = {
      ' ': () => full.togglePause(),
      ArrowRight: () => full.step(),
      '.': () => full.step(),
      s: () => full.toggleSaveMenu(),
      h: () => full.isImage && full.toggleHistogram(),
      f: () => full.stage.toFit(),
      1: () => full.stage.zoomTo(1 / (devicePixelRatio || 1)),
      '+': () => full.stage.zoomTo(full.stage.zoom * 1.5),
      '-': () => full.stage.zoomTo(full.stage.zoom / 1.5),
      i: () => full.toggleOverlay(),
      b: () => full.togglePanel(),
      p: () => this.neighbour(-1),
      n: () => this.neighbour(1),
      Escape: () => (byId('save-menu').hidden ? this.toWall() : full.toggleSaveMenu(false)),
    };
    const act = anywhere[event.key] ?? (full.stream ? inFull : onWall)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  // Dark or light.

  setTheme(theme) {
    this.theme = THEMES.includes(theme) ? theme : 'auto';
    document.documentElement.dataset.theme = this.theme;
    const label = `Theme: ${this.theme}`;
    byId('theme').setAttribute('aria-label', label);
    byId('theme').title = label;
    byId('theme').querySelector('use').setAttribute('href', `#icon-${this.theme}`);
    this.themed();
  }

  nextTheme() {
    this.setTheme(THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length]);
    remembered.set('theme', this.theme);
  }

  /** What was drawn with the other theme's colours is drawn again. */
  themed() {
    colours.forget();
    this.wall.update();
    this.full.update();
    this.full.view?.draw();
    this.full.readings.drawHistogram();
  }
}

function decodePart(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// All scripts are there by then, in whatever order they were joined.
addEventListener('DOMContentLoaded', () => { window.framebus = new App(); });
