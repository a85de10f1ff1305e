'use strict';
// What the picture in full says: the value of the pixel under the cursor, and the histogram. Both are asked for one
// question at a time, and the last thing that changed is always answered.

const HISTOGRAM_MS = 400;
const PIXEL_MS = 60;

class Readings {
  /** `view` is the full view: its stream, the header of the picture that is shown, whether that is paused. */
  constructor(link, view) {
    this.link = link;
    this.view = view;
    this.channels = [];
    this.histogramShown = false;
    this.logarithmic = false;
    byId('log').addEventListener('click', () => {
      this.logarithmic = !this.logarithmic;
      byId('log').setAttribute('aria-pressed', String(this.logarithmic));
      this.drawHistogram();
    });
  }

  /** For another stream. */
  clear() {
    this.channels = [];
    this.drawHistogram();
    this.sayPixel(null);
  }

  /** There is a new picture. */
  update() {
    if (this.histogramShown) this.askHistogram();
    if (this.view.stage.cursor) this.askPixel();
  }

  toggleHistogram() {
    this.histogramShown = !this.histogramShown;
    byId('histogram-box').hidden = !this.histogramShown;
    byId('histogram-button').setAttribute('aria-pressed', String(this.histogramShown));
    if (!this.histogramShown) return;
    this.askHistogram();
  }

  /** Asks for the histogram of what is shown; while an answer is under way, once more behind it. */
  async askHistogram() {
    this.histogramDue = true;
    if (this.histogramAsked) return;
    this.histogramAsked = true;
    try {
      while (this.histogramDue && this.histogramShown && this.view.isImage && this.view.stream.figures) {
        this.histogramDue = false;
        const { stream } = this.view;
        const answer = await this.link.ask('histogram', stream);
        if (this.view.stream === stream && this.view.isImage) {
          this.channels = answer.channels ?? [];
          this.drawHistogram();
        }
        await sleep(HISTOGRAM_MS);
      }
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
    } finally {
      this.histogramAsked = false;
    }
  }

  drawHistogram() {
    drawHistogram(byId('histogram'), this.channels, this.logarithmic);
    byId('histogram').dataset.channels = this.channels.map(({ channel }) => channel).join(' ');
  }

  hover(cursor) {
    if (cursor) this.askPixel();
    else this.sayPixel(null);
  }

  /** Which pixel of which frame of which stream; null where there is none. */
  question() {
    const { cursor } = this.view.stage;
    return cursor && `${cursor.x} ${cursor.y} ${this.view.stream?.key} ${this.view.header?.sequence}`;
  }

  async askPixel() {
    if (this.pixelAsked || !this.view.isImage) return;
    this.pixelAsked = true;
    try {
      let asked;
      do {
        const { stream } = this.view;
        const at = this.view.stage.cursor;
        if (!at || !this.view.isImage) break;
        asked = this.question();
        const answer = await this.link.ask('pixel', stream, at);
        if (this.view.stream === stream && this.view.stage.cursor) {
          this.sayPixel(answer.error ? { ...at, readings: null } : answer);
        }
        await sleep(PIXEL_MS);
      } while (asked !== this.question());
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
    } finally {
      this.pixelAsked = false;
      if (!this.view.stage.cursor) this.sayPixel(null);
    }
  }

  sayPixel(pixel) {
    const place = byId('pixel');
    place.hidden = !pixel;
    if (!pixel) return;
    const readings = pixel.readings ?? [];
    const swatch = swatchOf(readings);
    byId('pixel-colour').hidden = !swatch;
    if (swatch) byId('pixel-colour').style.background = swatch;
    say(byId('pixel-place'), `x ${String(pixel.x).padStart(4)}  y ${String(pixel.y).padStart(4)}`);
    // Counts are whole; metres have millimetres, and none where nothing was measured.
    const inWords = value => (!this.view.stream?.isDepth ? value : value == null ? NOTHING : `${value.toFixed(3)} m`);
    say(byId('pixel-value'), readings.map(({ channel, value }) => `${channel} ${inWords(value)}`).join('   '));
    place.dataset.sequence = pixel.sequence ?? '';
  }
}

/** The colour of a pixel, where its channels are one. */
function swatchOf(readings) {
  const of = Object.fromEntries(readings.map(({ channel, value }) => [channel, value]));
  return of.R != null && of.G != null && of.B != null ? `rgb(${of.R} ${of.G} ${of.B})` : '';
}
