'use strict';
// Everything that is drawn from numbers: sparklines, lines over time, a laser scan from above, histograms, the colour
// bar. Each function draws one canvas anew.

/** Colours of the page's style as the canvas needs them; forgotten when the theme changes. */
const colours = {
  known: new Map(),
  probe: null,
  get(name) {
    if (!this.known.has(name)) {
      this.probe ??= document.body.appendChild(element('span', { hidden: '' }));
      this.probe.style.color = `var(--${name})`;
      this.known.set(name, getComputedStyle(this.probe).color);
    }
    return this.known.get(name);
  },
  forget() {
    this.known.clear();
  },
};

/** The colours of x, y, z as every robot draws them, and w; of red, green, blue likewise. */
const CHANNEL_COLOURS = {
  x: 'axis-x', y: 'axis-y', z: 'axis-z', w: 'axis-w',
  R: 'axis-x', G: 'axis-y', B: 'axis-z', A: 'axis-w', U: 'axis-z', V: 'axis-x',
};

const FONT = '11px ui-sans-serif, system-ui, sans-serif';

/** Makes a canvas as large as it is shown, clears it, and gives its pen and its size in CSS pixels; null while hidden. */
function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const scale = Math.min(devicePixelRatio || 1, 3);
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = FONT;
  pen.lineJoin = 'round';
  return { pen, width, height };
}

/** Up to two minutes, newest at the right, from 0 up to the largest value, or `top` if that is more. */
function drawSparkline(canvas, values, colourName, top = 0) {
  const paper = prepare(canvas);
  if (!paper) return;
  const { pen, width, height } = paper;
  // A page that was just opened has little to show: it begins with half a minute.
  const seconds = Math.min(Math.max(values.length, 30), HISTORY);
  const most = Math.max(top, ...values.map(value => value ?? 0)) * 1.08 || 1;
  const at = (value, index) => [
    width - 1.5 - ((values.length - 1 - index) * (width - 3)) / (seconds - 1),
    height - 1.5 - (value / most) * (height - 3),
  ];
  // All zero is no news.
  const colour = colours.get(values.some(value => value) ? colourName : 'edge');
  pen.strokeStyle = colours.get('line');
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(0, height - 0.5);
  pen.lineTo(width, height - 0.5);
  pen.stroke();
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  pen.lineWidth = 1.5;
  // A second without a value is a gap.
  let run = [];
  const finish = () => {
    if (run.length === 1) pen.fillRect(run[0][0] - 1, run[0][1] - 1, 2, 2);
    if (run.length > 1) {
      pen.beginPath();
      run.forEach(([x, y]) => pen.lineTo(x, y));
      pen.stroke();
      pen.lineTo(run.at(-1)[0], height - 1);
      pen.lineTo(run[0][0], height - 1);
      pen.globalAlpha = 0.16;
      pen.fill();
      pen.globalAlpha = 1;
    }
    run = [];
  };
  values.forEach((value, index) => (value == null ? finish() : run.push(at(value, index))));
  finish();
}

/** Round numbers between two values, about `wanted` of them. */
function ticks(low, high, wanted) {
  const rough = (high - low) / Math.max(wanted, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(factor => factor * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return found.map(at => ({ at, text: (Math.abs(at) < step / 1e6 ? 0 : at).toFixed(digits) }));
}

/**
 * Lines over the last `seconds`. `series` is [{ name, colour, values }], `times` are ms; bare leaves out the axes, for
 * where there is little space.
 */
function drawLines(canvas, times, series, { seconds, unit, title, bare = false }) {
  const paper = prepare(canvas);
  if (!paper) return;
  const { pen, width, height } = paper;
  const box = bare
    ? { left: 6, right: width - 6, top: 24, bottom: height - 6 }
    : { left: 52, right: width - 14, top: 30, bottom: height - 34 };
  const newest = times.at(-1) ?? 0;
  const first = times.findIndex(time => time >= newest - seconds * 1000);
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of series) {
    for (let index = Math.max(first, 0); index < values.length; index += 1) {
      if (!Number.isFinite(values[index])) continue;
      low = Math.min(low, values[index]);
      high = Math.max(high, values[index]);
    }
  }
  if (!(low <= high)) [low, high] = [-1, 1];
  const margin = Math.max((high - low) * 0.08, Math.abs(high) * 1e-3, 1e-3);
  [low, high] = [low - margin, high + margin];
  const x = time => box.right - ((newest - time) / (seconds * 1000)) * (box.right - box.left);
  const y = value => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);

  pen.lineWidth = 1;
  pen.strokeStyle = colours.get('line');
  pen.fillStyle = colours.get('muted');
  if (bare) {
    if (low < 0 && high > 0) line(pen, box.left, y(0), box.right, y(0));
  } else {
    pen.textBaseline = 'middle';
    pen.textAlign = 'right';
    for (const { at, text } of ticks(low, high, (box.bottom - box.top) / 36)) {
      line(pen, box.left, y(at), box.right, y(at));
      pen.fillText(text, box.left - 7, y(at));
    }
    pen.textBaseline = 'top';
    pen.textAlign = 'center';
    for (const { at, text } of ticks(-seconds, 0, Math.min(seconds, width / 90))) {
      const across = x(newest + at * 1000);
      line(pen, across, box.top, across, box.bottom);
      pen.fillText(text, across, box.bottom + 6);
    }
    pen.textAlign = 'right';
    pen.fillText('seconds', box.right, box.bottom + 19);
  }
  pen.textAlign = 'left';
  pen.textBaseline = 'alphabetic';
  pen.fillStyle = colours.get('text');
  pen.fillText(`${title}, ${unit}`, box.left, bare ? 15 : 17);

  pen.save();
  pen.beginPath();
  pen.rect(box.left, box.top - 2, box.right - box.left, box.bottom - box.top + 4);
  pen.clip();
  pen.lineWidth = bare ? 1.25 : 1.75;
  for (const { colour, values } of series) {
    pen.strokeStyle = colours.get(colour);
    pen.beginPath();
    for (let index = Math.max(first - 1, 0); index < values.length; index += 1) {
      if (Number.isFinite(values[index])) pen.lineTo(x(times[index]), y(values[index]));
    }
    pen.stroke();
  }
  pen.restore();
  drawLegend(pen, series, box.right, bare ? 11 : 13, bare);
}

/** Names, with the newest values where there is space, right to left so that nothing moves. */
function drawLegend(pen, series, right, middle, bare) {
  pen.textBaseline = 'middle';
  pen.textAlign = 'right';
  for (const { name, colour, values } of [...series].reverse()) {
    const value = values.at(-1);
    if (!bare) {
      pen.fillStyle = colours.get('text');
      pen.fillText(Number.isFinite(value) ? value.toFixed(2) : NOTHING, right, middle);
      right -= 46;
    }
    pen.fillStyle = colours.get('muted');
    pen.fillText(name, right, middle);
    right -= 10;
    pen.fillStyle = colours.get(colour);
    pen.fillRect(right - 8, middle - 1.5, 8, 3);
    right -= bare ? 14 : 20;
  }
}

function line(pen, fromX, fromY, toX, toY) {
  pen.beginPath();
  pen.moveTo(fromX, fromY);
  pen.lineTo(toX, toY);
  pen.stroke();
}

/** A laser scan from above: ahead is up, left is left, rings every few metres. */
function drawScan(canvas, scan, { bare = false, zoom = 1 } = {}) {
  const paper = prepare(canvas);
  if (!paper) return;
  const { pen, width, height } = paper;
  const { angle_min: start, angle_increment: turn, range_min: least, range_max: most, ranges } = scan;
  const hits = ranges.map((range, index) => [range, start + index * turn]);
  const valid = hits.filter(([range]) => Number.isFinite(range) && range >= least && range <= most && range > 0);
  const far = Math.max(...valid.map(([range]) => range), 0.1);
  const reach = Math.min(far * 1.1, most > 0 ? most * 1.02 : Infinity) / zoom;
  const middle = [width / 2, height / 2];
  const scale = (Math.min(width, height) / 2 - (bare ? 6 : 18)) / reach;
  const place = (range, angle) => [middle[0] - Math.sin(angle) * range * scale, middle[1] - Math.cos(angle) * range * scale];

  pen.lineWidth = 1;
  pen.strokeStyle = colours.get('line');
  pen.fillStyle = colours.get('muted');
  pen.textAlign = 'left';
  pen.textBaseline = 'bottom';
  const corner = Math.hypot(width, height) / 2 / scale;
  for (const { at, text } of ticks(0, bare ? reach : corner, bare ? 3 : 9).filter(({ at }) => at > 0)) {
    pen.beginPath();
    pen.arc(...middle, at * scale, 0, 2 * Math.PI);
    pen.stroke();
    if (at * scale < height / 2) pen.fillText(`${text} m`, middle[0] + 4, middle[1] - at * scale);
  }
  for (let spoke = 0; spoke < 12; spoke += 1) {
    const angle = (spoke * Math.PI) / 6;
    const [toX, toY] = place(corner, angle);
    pen.globalAlpha = spoke % 3 === 0 ? 1 : 0.5;
    line(pen, ...middle, toX, toY);
  }
  pen.globalAlpha = 1;

  // What is free, faintly; what was hit, as points: near is warm.
  pen.fillStyle = colours.get('accent');
  pen.globalAlpha = 0.1;
  pen.beginPath();
  if (turn * ranges.length < 6.2) pen.moveTo(...middle);
  for (const [range, angle] of valid) pen.lineTo(...place(range, angle));
  pen.fill();
  pen.globalAlpha = 1;
  const size = bare ? 1.5 : 2.5;
  for (const [range, angle] of valid) {
    const [x, y] = place(range, angle);
    pen.fillRect(x - size / 2, y - size / 2, size, size);
  }
  // The sensor, its nose ahead.
  pen.fillStyle = colours.get('text');
  pen.beginPath();
  pen.moveTo(middle[0], middle[1] - 7);
  pen.lineTo(middle[0] + 5, middle[1] + 5);
  pen.lineTo(middle[0] - 5, middle[1] + 5);
  pen.fill();
}

/** A histogram: a filled line a channel. With `log`, rare values show. */
function drawHistogram(canvas, channels, log) {
  const paper = prepare(canvas);
  if (!paper) return;
  const { pen, width, height } = paper;
  const box = { left: 1, right: width - 1, top: 6, bottom: height - 18 };
  const weigh = number => (log ? Math.log1p(number) : number);
  const most = Math.max(1e-9, ...channels.flatMap(({ bins }) => bins.map(weigh)));
  pen.strokeStyle = colours.get('line');
  for (let quarter = 0; quarter <= 4; quarter += 1) {
    const x = Math.round(box.left + ((box.right - box.left) * quarter) / 4) - 0.5;
    line(pen, x, box.top, x, box.bottom);
  }
  for (const { channel, bins } of channels) {
    const colour = colours.get(CHANNEL_COLOURS[channel] ?? 'muted');
    pen.fillStyle = colour;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.25;
    pen.beginPath();
    bins.forEach((number, index) => {
      const x = box.left + ((index + 0.5) / bins.length) * (box.right - box.left);
      pen.lineTo(x, box.bottom - (weigh(number) / most) * (box.bottom - box.top));
    });
    pen.stroke();
    pen.lineTo(box.right, box.bottom);
    pen.lineTo(box.left, box.bottom);
    pen.globalAlpha = 0.22;
    pen.fill();
    pen.globalAlpha = 1;
  }
  if (!channels.length) return;
  const { low, high } = channels[0];
  pen.fillStyle = colours.get('muted');
  pen.textBaseline = 'bottom';
  pen.textAlign = 'left';
  pen.fillText(level(low), box.left, height - 2);
  pen.textAlign = 'center';
  pen.fillText(level((low + high) / 2), width / 2, height - 2);
  pen.textAlign = 'right';
  pen.fillText(level(high), box.right, height - 2);
}

/** A value of a pixel in words: counts are whole, metres are not. */
function level(value) {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 100 ? 2 : 1);
}

/** Some colours of each palette, from low to high; the browser makes those between them. */
const PALETTES = {
  grey: ['#000', '#fff'],
  turbo: ['#23171b', '#4a58dd', '#2f9df5', '#27d7c4', '#4df884', '#95fb51', '#dedd32', '#ffa423', '#f65f18', '#ba2208', '#900c00'],
  viridis: ['#440154', '#482475', '#414487', '#355f8d', '#2a788e', '#21918c', '#22a884', '#44bf70', '#7ad151', '#bddf26', '#fde725'],
  inferno: ['#000004', '#160b39', '#420a68', '#6a176e', '#932667', '#bc3754', '#dd513a', '#f37819', '#fca50a', '#f6d746', '#fcffa4'],
};

const paletteGradient = name => `linear-gradient(to top, ${PALETTES[name].join(', ')})`;
