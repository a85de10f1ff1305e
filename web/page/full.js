'use strict';
// One stream in full: the picture or the plots, what can be done with them, and all its figures.
//
// Paused means frozen in the server: pixel, histogram and snapshot are then of the very frame that is shown.

class FullView {
  constructor(link, model) {
    this.link = link;
    this.model = model;
    this.stream = null;
    this.paused = false;
    this.busy = null;
    this.node = byId('full');
    this.stage = new Stage(byId('stage'), {
      hover: cursor => this.readings.hover(cursor),
      changed: () => this.zoomed(),
    });
    this.readings = new Readings(link, this);
    this.panelShown = remembered.get('panel', true);
    this.overlayShown = remembered.get('overlay', false);
    this.dials = {
      rate: new Dial('Rate', 'rate', 'What is published, by sequence and time'),
      latency: new Dial('Latency p99', 'latency', 'From publication to this server having the frame'),
      drops: new Dial('Drops', 'drops', 'Frames that the producer could not publish because no slot was free'),
    };
    byId('full-dials').append(...Object.values(this.dials).map(dial => dial.node));
    this.wire();
    link.addEventListener('down', () => this.linkLost());
    new ResizeObserver(() => this.view?.draw()).observe(byId('full-record'));
  }

  wire() {
    const click = (id, act) => byId(id).addEventListener('click', act);
    click('pause', () => this.togglePause());
    click('step', () => this.step());
    click('fit', () => this.stage.toFit());
    click('actual', () => this.stage.zoomTo(1 / (devicePixelRatio || 1)));
    click('histogram-button', () => this.toggleHistogram());
    click('overlay-button', () => this.toggleOverlay());
    click('panel-button', () => this.togglePanel());
    byId('save').addEventListener('click', () => this.toggleSaveMenu());
    for (const button of byId('save-menu').children) {
      button.addEventListener('click', () => this.save(button.dataset.kind));
    }
    document.addEventListener('click', event => event.target.closest('.save') || this.toggleSaveMenu(false));
    byId('palette').addEventListener('change', () => this.changeLook());
    for (const id of ['low', 'high']) byId(id).addEventListener('change', () => this.changeLook());
    byId('fixed').addEventListener('change', () => {
      // Fixing begins with what there is.
      if (byId('fixed').checked && this.header?.range) {
        [byId('low').value, byId('high').value] = this.header.range.map(level);
      }
      this.changeLook();
    });
    byId('full-record').addEventListener('wheel', event => {
      if (this.view?.kind !== 'scan') return;
      event.preventDefault();
      this.view.zoom = Math.min(Math.max(this.view.zoom * WHEEL_STEP ** -event.deltaY, 0.5), 50);
      this.view.draw();
    }, { passive: false });
  }

  open(stream) {
    this.close();
    this.stream = stream;
    stream.wanted = true;
    this.node.hidden = false;
    this.node.dataset.kind = '';
    this.busy = null;
    this.stale = false;
    byId('fixed').checked = false;
    this.setPaused(false);
    this.clear();
    this.view = new RecordView(byId('full-record'), false);
    byId('full-record').replaceChildren();
    this.pictures = new PictureFeed(this.link, stream, {
      size: () => this.stage.shownWidth(),
      look: () => stream.look,
      picture: (bitmap, header) => this.show(bitmap, header),
      trouble: text => this.complain(text),
    });
    this.samples = new SampleFeed(this.link, stream, {
      samples: answer => this.showSamples(answer),
      trouble: text => this.complain(text),
    });
    this.update();
    document.title = `${stream.name} · framebus`;
  }

  /** Nothing is shown so far: of another stream, or of this one since it carries something else. */
  clear() {
    this.header = null;
    this.shownKind = null;
    this.complain('');
    this.stage.clear();
    this.readings.clear();
    say(byId('frame-number'), '');
    delete byId('stage').dataset.sequence;
    byId('bar').hidden = true;
  }

  close() {
    const { stream } = this;
    if (!stream) return;
    this.pictures.stop();
    this.samples.stop();
    if (this.paused) this.link.ask('thaw', stream).catch(() => {});
    stream.wanted = false;
    this.stream = null;
    this.node.hidden = true;
    document.title = 'framebus';
  }

  /** Asks for what is shown, and for nothing while nobody can see it. */
  run() {
    if (!this.stream) return;
    const allowed = !this.paused && !document.hidden && this.stream.figures;
    const [feed, other] = this.isImage ? [this.pictures, this.samples] : [this.samples, this.pictures];
    other.stop();
    if (allowed) feed.start();
    else feed.stop();
  }

  get isImage() {
    return this.stream?.kind === 'image';
  }

  /** The figures of each second. */
  update() {
    const { stream } = this;
    if (!stream) return;
    const { figures, state } = stream;
    this.followKind();
    say(byId('full-bus'), `${stream.bus}/`);
    say(byId('full-short'), stream.short);
    say(byId('full-content'), stream.content);
    this.node.dataset.state = state;
    this.node.dataset.kind = figures ? stream.kind : '';
    say(byId('full-state'), STATES[state]);
    byId('palette-tools').hidden = !stream.hasPalette;
    this.showLook();
    this.run();
    if (!figures) {
      this.complain(this.model.heard ? 'There is no such stream at the moment. It is shown as soon as somebody publishes it.' : '');
      return;
    }
    if (state === 'error') this.complain(figures.watch.error);
    const { watch } = figures;
    const nominal = figures.rate_hz ? `of ${hertz(figures.rate_hz)}` : 'no nominal rate';
    this.dials.rate.show(hertz(figures.published_hz), nominal, stream.history.rate, figures.rate_hz ?? 0);
    this.dials.latency.show(duration(watch?.latency_p99_ns), `p50 ${duration(watch?.latency_p50_ns)}`, stream.history.latency);
    this.dials.drops.show(count(figures.refused), `late ${count(figures.late)}`, stream.history.drops, 1);
    this.fillFacts(figures);
    fillReaders(byId('full-readers'), stream, WHOLE);
    this.fillOverlay();
  }

  /** A stream that was made anew may carry something else: pictures where there were samples, or the reverse. */
  followKind() {
    const { kind, figures } = this.stream;
    if (!figures || kind === this.shownKind) return;
    if (this.shownKind) {
      // What was frozen is of the stream before.
      if (this.paused && this.shownKind === 'image') this.link.ask('thaw', this.stream).catch(() => {});
      this.setPaused(false);
      this.clear();
    }
    this.shownKind = kind;
  }

  fillFacts(figures) {
    const { watch } = figures;
    const facts = [
      ['Sequence', count(figures.last_sequence)],
      ['Age', duration(figures.age_ns)],
      ['Latency max', duration(watch?.latency_max_ns)],
      ['Drops', `${count(figures.refused)} refused, ${count(figures.abandoned)} abandoned`],
      ['Late', count(figures.late)],
      ['Evicted', count(figures.evicted)],
      ['Skipped', `${count(this.stream.skipped)} by all readers`],
      ['Seen here', watch ? `${count(watch.seen)}, skipped ${count(watch.skipped)}` : NOTHING],
      ['Encoding', watch?.encode_ms ? `${digits(watch.encoded_fps)} fps, ${digits(watch.encode_ms)} ms each` : NOTHING],
      ['Publisher', publisherWord(figures)],
      ['Slots', `${figures.slots}, history ${figures.history}, ${bytes(figures.slot_capacity_bytes)} each`],
      ['Memory', `${bytes(figures.resident_bytes)} of ${bytes(figures.frames_bytes)} resident`],
      ['Content', figures.content ?? 'not readable'],
      ['Backend', figures.backend],
    ];
    const list = byId('facts');
    if (list.children.length !== 2 * facts.length) {
      list.replaceChildren(...facts.flatMap(() => [element('dt'), element('dd')]));
    }
    facts.forEach(([name, value], index) => {
      say(list.children[2 * index], name);
      say(list.children[2 * index + 1], value);
    });
  }

  show(bitmap, header) {
    if (!this.stream) {
      bitmap.close();
      return;
    }
    this.header = header;
    byId('stage-box').style.setProperty('--aspect', header.width / header.height);
    this.stage.show(bitmap, header);
    byId('stage').dataset.sequence = header.sequence;
    say(byId('frame-number'), `frame ${header.sequence}`);
    this.fillOverlay();
    this.showBar();
    this.readings.update();
  }

  showSamples(answer) {
    this.complain('');
    this.view.take(answer);
    say(byId('frame-number'), `frame ${this.view.sequence}`);
  }

  complain(text) {
    say(byId('full-trouble'), text);
    byId('full-trouble').hidden = !text;
  }

  fillOverlay() {
    const overlay = byId('overlay');
    overlay.hidden = !this.overlayShown || !this.stream?.figures;
    if (overlay.hidden) return;
    const { figures } = this.stream;
    say(overlay, [
      `frame    ${this.header?.sequence ?? figures.last_sequence}`,
      `rate     ${hertz(figures.published_hz)}`,
      `latency  ${duration(figures.watch?.latency_p50_ns)} / ${duration(figures.watch?.latency_p99_ns)}`,
      `age      ${duration(this.header ? this.header.age_ms * 1e6 : figures.age_ns)}`,
      `drops    ${count(figures.refused)}`,
    ].join('\n'));
  }

  // What can be done.

  setPaused(paused) {
    this.paused = paused;
    this.node.dataset.paused = String(paused);
    byId('pause').setAttribute('aria-pressed', String(paused));
    say(byId('pause-word'), paused ? 'Resume' : 'Pause');
    byId('paused-word').hidden = !paused;
  }

  /** One thing at a time: freezing and stepping take a round trip. */
  async exclusively(act) {
    if (this.busy || !this.stream) return;
    const { stream } = this;
    const turn = {};
    this.busy = turn;
    try {
      await act(stream);
      // What was asked for meanwhile.
      while (this.stale && this.paused && this.stream === stream) {
        this.stale = false;
        await this.showFrozen(stream);
      }
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
    } finally {
      // Another stream, opened meanwhile, has turns of its own.
      if (this.busy === turn) this.busy = null;
    }
  }

  /** The frozen frame is to be shown anew: in other colours, or sharper. Now, or behind what is under way. */
  redraw() {
    if (!this.paused || !this.isImage) return;
    this.stale = true;
    this.exclusively(() => {});
  }

  /** A frame is frozen in the server. */
  canHold() {
    if (!this.link.connected) notice('There is no connection to the server, which would hold the frame.');
    return this.link.connected;
  }

  togglePause() {
    return this.exclusively(async stream => {
      if (this.paused) {
        this.setPaused(false);
        // In the order of the questions: the pictures that are asked for next are live ones.
        const thawed = this.isImage && this.link.ask('thaw', stream);
        this.run();
        await thawed;
        return;
      }
      if (this.isImage && !this.canHold()) return;
      this.setPaused(true);
      this.run();
      if (this.isImage) await this.hold('freeze', stream);
    });
  }

  step() {
    return this.exclusively(async stream => {
      if (!this.isImage || !this.canHold()) return;
      this.setPaused(true);
      this.run();
      await this.hold('step', stream);
    });
  }

  /** Freezes, and shows what is frozen. */
  async hold(want, stream) {
    const answer = await this.link.ask(want, stream);
    if (this.stream !== stream) return;
    if (answer.error) {
      this.complain(answer.error);
      this.setPaused(false);
      this.run();
    } else if (answer.nothing) {
      // Nothing newer: what is frozen stays, if anything is.
      if (want === 'freeze' || !(await this.showFrozen(stream))) this.goOn('There is no frame to hold.');
      else notice('No newer frame within two seconds.');
    } else {
      await this.showFrozen(stream);
    }
  }

  async showFrozen(stream) {
    const frozen = await this.pictures.frozen();
    if (!frozen?.bitmap || this.stream !== stream || !this.paused) {
      frozen?.bitmap?.close();
      return false;
    }
    this.show(frozen.bitmap, frozen.header);
    return true;
  }

  goOn(why) {
    this.setPaused(false);
    notice(why);
    this.run();
  }

  /** What was frozen is lost with the connection. */
  linkLost() {
    if (this.stream && this.paused && this.isImage) this.goOn('The connection was lost, and the paused frame with it: live again.');
  }

  zoomed() {
    const percent = Math.round(this.stage.zoom * (devicePixelRatio || 1) * 100);
    say(byId('zoom'), this.stage.frame ? `${percent} %` : '');
    this.node.dataset.zoomed = String(!this.stage.fit);
    byId('fit').setAttribute('aria-pressed', String(this.stage.fit));
    byId('actual').setAttribute('aria-pressed', String(!this.stage.fit && percent === 100));
    // A paused picture may be too coarse for a closer look.
    if (this.paused && this.isImage) {
      clearTimeout(this.sharpen);
      this.sharpen = setTimeout(() => this.redraw(), 200);
    }
  }

  changeLook() {
    const [low, high] = [byId('low').valueAsNumber, byId('high').valueAsNumber];
    const fixed = byId('fixed').checked && low < high;
    this.stream.look = { palette: byId('palette').value, range: fixed ? [low, high] : null };
    this.showLook();
    this.redraw();
  }

  showLook() {
    const { palette, range } = this.stream.look;
    byId('palette').value = palette;
    if (range) byId('fixed').checked = true;
    byId('range').hidden = !byId('fixed').checked;
    if (range && !byId('range').contains(document.activeElement)) {
      [byId('low').value, byId('high').value] = range;
    }
  }

  showBar() {
    const { range } = this.header;
    const bar = byId('bar');
    // Black is 0 and white is 255: everybody knows.
    const plain = this.stream.figures?.format === 'mono8' && this.stream.look.palette === 'grey' && !this.stream.look.range;
    bar.hidden = !this.stream.hasPalette || !range || plain;
    if (bar.hidden) return;
    byId('bar-colours').style.background = paletteGradient(this.stream.look.palette);
    const unit = this.stream.isDepth ? ' m' : '';
    say(byId('bar-low'), level(range[0]) + unit);
    say(byId('bar-high'), level(range[1]) + unit);
  }

  toggleHistogram() {
    this.readings.toggleHistogram();
    if (this.readings.histogramShown && !this.panelShown) this.togglePanel();
  }

  toggleSaveMenu(shown = byId('save-menu').hidden) {
    if (shown && !this.isImage) {
      this.save('data');
      return;
    }
    byId('save-menu').hidden = !shown;
    byId('save').setAttribute('aria-expanded', String(shown));
    if (shown) byId('save-menu').firstElementChild.focus();
  }

  async save(kind) {
    this.toggleSaveMenu(false);
    const { stream } = this;
    if (!stream) return;
    const name = sequence => `${stream.bus}-${stream.short}-${sequence}`;
    if (!this.isImage) {
      if (this.view.sequence == null) return;
      const [ending, text] = this.view.asText();
      download(new Blob([text], { type: 'text/plain' }), `${name(this.view.sequence)}.${ending}`);
      return;
    }
    try {
      const answer = await this.link.ask('save', stream, { kind });
      if (answer.error || !answer.body) {
        notice(`Not saved: ${answer.error ?? 'there is no frame'}`);
        return;
      }
      const file = `${name(answer.sequence)}.${kind}`;
      const type = { png: 'image/png', jpg: 'image/jpeg', tiff: 'image/tiff' }[kind];
      download(new Blob([answer.body], { type }), file);
      notice(`Saved ${file}`);
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      notice('Not saved: the connection was lost');
    }
  }

  toggleOverlay() {
    this.overlayShown = !this.overlayShown;
    remembered.set('overlay', this.overlayShown);
    this.showToggles();
    this.fillOverlay();
  }

  togglePanel() {
    this.panelShown = !this.panelShown;
    remembered.set('panel', this.panelShown);
    this.showToggles();
    if (this.panelShown) this.update();
  }

  showToggles() {
    this.node.dataset.panel = String(this.panelShown);
    byId('panel-button').setAttribute('aria-pressed', String(this.panelShown));
    byId('overlay-button').setAttribute('aria-pressed', String(this.overlayShown));
  }
}

function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const anchor = element('a', { href: address, download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** A few words at the lower edge that go by themselves. */
function notice(text) {
  const place = byId('notice');
  say(place, text);
  place.hidden = false;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => { place.hidden = true; }, 4000);
}
