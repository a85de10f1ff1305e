'use strict';
// Streams that are no pictures: an IMU as lines, a laser scan from above, anything else as numbers and bytes. A view
// keeps what it was given and draws it when told; the same one serves a card (bare) and the full view.

/** Seconds of samples that are kept and drawn; a card draws fewer. */
const SAMPLE_SECONDS = 10;
const SAMPLE_SECONDS_BARE = 5;

const IMU_PLOTS = [
  { title: 'Angular velocity', unit: 'rad/s', fields: { x: 'gx', y: 'gy', z: 'gz' } },
  { title: 'Acceleration', unit: 'm/s²', fields: { x: 'ax', y: 'ay', z: 'az' } },
];

class RecordView {
  /** Puts what it needs into `place`. */
  constructor(place, bare) {
    this.place = place;
    this.bare = bare;
    this.kind = null;
    this.times = [];
    this.values = {};
    this.scan = null;
    this.zoom = 1;
    this.sequence = null;
  }

  take(answer) {
    const newest = answer.samples.at(-1);
    const kind = kindOf(newest);
    if (kind !== this.kind) this.become(kind);
    this.sequence = newest.sequence;
    if (kind === 'imu') this.takeImu(answer.samples);
    else if (kind === 'scan') this.scan = newest.values;
    else this.takeBytes(newest);
    this.draw();
  }

  become(kind) {
    this.kind = kind;
    this.times = [];
    this.values = {};
    this.place.replaceChildren();
    if (kind === 'bytes') {
      this.floats = element('pre', { class: 'floats' });
      this.hex = element('pre', { class: 'hex' });
      this.place.append(
        ...(this.bare ? [] : [element('h3', {}, 'As 32-bit floats')]), this.floats,
        ...(this.bare ? [] : [element('h3', {}, 'First 256 bytes')]), this.hex,
      );
    } else if (kind === 'scan') {
      this.canvas = this.place.appendChild(
        element('canvas', { class: 'plot', role: 'img', 'aria-label': 'Laser scan from above, ahead is up' }),
      );
    } else {
      // A card has room for one plot: the acceleration.
      this.plots = IMU_PLOTS.slice(this.bare ? 1 : 0).map(plot => ({
        ...plot,
        canvas: this.place.appendChild(
          element('canvas', { class: 'plot', role: 'img', 'aria-label': `${plot.title} in ${plot.unit} over time` }),
        ),
      }));
    }
    this.place.dataset.record = kind;
  }

  takeImu(samples) {
    for (const { capture_ms: time, values } of samples) {
      // A sensor that was started anew may have another clock.
      if (this.times.length && time < this.times.at(-1)) this.forget();
      this.times.push(time);
      for (const [name, value] of Object.entries(values)) (this.values[name] ??= []).push(value);
    }
    const oldest = this.times.at(-1) - SAMPLE_SECONDS * 1000;
    const drop = this.times.findIndex(time => time >= oldest) - 1;
    if (drop > 0) {
      this.times.splice(0, drop);
      for (const values of Object.values(this.values)) values.splice(0, drop);
    }
  }

  forget() {
    this.times = [];
    this.values = {};
  }

  takeBytes({ hex, f32: floats }) {
    const shown = floats.slice(0, this.bare ? 12 : 64);
    const columns = this.bare ? 3 : 4;
    const rows = [];
    for (let row = 0; row < shown.length; row += columns) {
      const cells = shown.slice(row, row + columns).map(value => readableFloat(value).padStart(11));
      rows.push((this.bare ? '' : String(row).padStart(4)) + cells.join(' '));
    }
    say(this.floats, rows.join('\n'));
    say(this.hex, hexDump(hex, this.bare ? 3 : 16, this.bare ? 8 : 16));
  }

  draw() {
    if (this.kind === 'scan' && this.scan) drawScan(this.canvas, this.scan, { bare: this.bare, zoom: this.zoom });
    if (this.kind !== 'imu') return;
    for (const { canvas, title, unit, fields } of this.plots) {
      const series = Object.entries(fields).map(([name, field]) => (
        { name, colour: CHANNEL_COLOURS[name], values: this.values[field] ?? [] }
      ));
      const seconds = this.bare ? SAMPLE_SECONDS_BARE : SAMPLE_SECONDS;
      drawLines(canvas, this.times, series, { seconds, unit, title, bare: this.bare });
    }
  }

  /** What there is, for a spreadsheet: [kind of file, text]. */
  asText() {
    if (this.kind === 'imu') {
      const names = Object.keys(this.values);
      const rows = this.times.map((time, index) => [time, ...names.map(name => this.values[name][index])].join(','));
      return ['csv', [['capture_ms', ...names].join(','), ...rows, ''].join('\n')];
    }
    if (this.kind === 'scan') {
      const { ranges, angle_min: start, angle_increment: turn } = this.scan;
      const rows = ranges.map((range, index) => `${start + index * turn},${range}`);
      return ['csv', ['angle_rad,range_m', ...rows, ''].join('\n')];
    }
    return ['txt', `${this.hex?.textContent ?? ''}\n`];
  }
}

/**
 * What a sample is, by what came of it: a record may have a type's name and another size, and then it comes as bytes, like
 * any that the server does not know.
 */
function kindOf({ values }) {
  if (!values) return 'bytes';
  return values.ranges ? 'scan' : 'imu';
}

function readableFloat(value) {
  if (value == null || !Number.isFinite(value)) return 'nan';
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential(3) : value.toPrecision(6);
}

/** Offset, bytes, and what of them is ASCII. */
function hexDump(hex, rows, columns) {
  const lines = [];
  for (let at = 0; at < hex.length / 2 && lines.length < rows; at += columns) {
    const row = hex.slice(2 * at, 2 * (at + columns)).match(/../g) ?? [];
    const ascii = row.map(byte => {
      const code = parseInt(byte, 16);
      return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '·';
    });
    lines.push(`${at.toString(16).padStart(4, '0')}  ${row.join(' ').padEnd(3 * columns - 1)}  ${ascii.join('')}`);
  }
  return lines.join('\n');
}
