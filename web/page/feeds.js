'use strict';
// Asking for one stream's pictures or samples, again and again, for as long as somebody looks. One question at a time:
// who is slow gets fewer, and always the newest.

/** After an error, and after a stream that is not there. */
const AFTER_ERROR_MS = 1000;

/** A feed runs between `start` and `stop`; both may be called at any time, and twice. */
class Feed {
  constructor(link, stream) {
    this.link = link;
    this.stream = stream;
    this.run = 0;
    this.running = false;
    this.ended = Promise.resolve();
    /** What we have; a stream that was made anew counts from 1 again, and the server takes any other number for newer. */
    this.after = '0';
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.run += 1;
    const { run } = this;
    // The run before may still have its question open.
    this.ended = this.ended.then(() => this.loop(run));
  }

  stop() {
    this.running = false;
    this.run += 1;
  }

  /** A fault of the page: told, and in a second all is tried again, for the next frame may be another one. */
  async fail(error) {
    reportError(error);
    if (this.running) this.trouble(`The page can not show this: ${error.message}`);
    await sleep(AFTER_ERROR_MS);
  }

  async loop(run) {
    while (this.run === run) {
      try {
        await this.turn(() => this.run === run);
      } catch (error) {
        if (error instanceof LinkLost) await this.link.ready();
        else await this.fail(error);
      }
    }
  }
}

/**
 * Pictures. `size()` tells how many pixels wide it is shown, `look()` palette and range, `picture(bitmap, header)` gets
 * each; it closes the bitmap. `trouble(text)` gets what the server refused, and '' when all is well again.
 */
class PictureFeed extends Feed {
  constructor(link, stream, { size, look, picture, trouble, leastMs = 0 }) {
    super(link, stream);
    Object.assign(this, { size, look, picture, trouble, leastMs });
    this.drawing = Promise.resolve();
  }

  question() {
    return { width: this.width(), height: 0, ...this.look() };
  }

  /** A frame is made smaller by whole numbers: ask for the next that is not smaller than what is shown. */
  width() {
    const shown = Math.max(1, Math.round(this.size()));
    const whole = this.stream.figures?.width;
    if (!whole || shown >= whole) return whole ?? shown;
    return Math.ceil(whole / Math.floor(whole / shown));
  }

  async turn(wanted) {
    const begun = performance.now();
    const answer = await this.link.ask('picture', this.stream, { ...this.question(), after: this.after });
    // The next picture is asked for while this one is decoded; a third waits.
    await this.drawing;
    if (!wanted()) return;
    if (answer.error) {
      this.trouble(answer.error);
      await sleep(AFTER_ERROR_MS);
      return;
    }
    this.trouble('');
    if (answer.nothing) {
      if (answer.publisher === 'none') await sleep(AFTER_ERROR_MS);
      return;
    }
    this.after = answer.sequence;
    this.drawing = this.draw(answer, wanted).catch(error => this.fail(error));
    const left = this.leastMs - (performance.now() - begun);
    if (left > 1) await sleep(left);
  }

  async draw(answer, wanted) {
    const bitmap = await decode(answer.body);
    if (bitmap && wanted()) this.picture(bitmap, answer);
    else bitmap?.close();
  }

  /** The frozen frame; null where the connection or the freeze is gone. */
  async frozen() {
    const answer = await this.link.ask('picture', this.stream, { ...this.question(), after: '0' });
    return answer.frozen ? { header: answer, bitmap: await decode(answer.body) } : null;
  }
}

async function decode(body) {
  try {
    return await createImageBitmap(new Blob([body], { type: 'image/jpeg' }));
  } catch {
    return null; // a picture that the browser can not read is left out
  }
}

/** Samples of a record stream, or the bytes of any other. `samples(answer)` gets each answer that has some. */
class SampleFeed extends Feed {
  constructor(link, stream, { samples, trouble, leastMs = 50 }) {
    super(link, stream);
    Object.assign(this, { samples, trouble, leastMs });
  }

  async turn(wanted) {
    const begun = performance.now();
    const answer = await this.link.ask('samples', this.stream, { after: this.after });
    if (!wanted()) return;
    this.trouble(answer.error ?? '');
    if (answer.error) {
      await sleep(AFTER_ERROR_MS);
      return;
    }
    if (answer.samples?.length) {
      this.after = answer.samples.at(-1).sequence;
      this.samples(answer);
    }
    await sleep(Math.max(this.leastMs - (performance.now() - begun), 5));
  }
}
