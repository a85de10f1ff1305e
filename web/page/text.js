'use strict';
// Numbers as words, and elements made of text. Text that came from a stream or a label goes through `say` or `element`
// alone: both make text nodes, so that nobody's name can be markup.

const NOTHING = '–';

/** Four digits at most: 29.97, 120.5, 1500. */
function digits(value) {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 1000 ? 1 : 0);
}

function hertz(value) {
  if (value == null || !Number.isFinite(value)) return NOTHING;
  return value >= 10000 ? `${digits(value / 1000)} kHz` : `${digits(value)} Hz`;
}

function duration(ns) {
  if (ns == null || !Number.isFinite(ns)) return NOTHING;
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${Math.round(ns / 1e3)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(ns < 1e7 ? 1 : 0)} ms`;
  if (ns < 60e9) return `${(ns / 1e9).toFixed(1)} s`;
  if (ns < 3600e9) return `${Math.floor(ns / 60e9)} min`;
  return `${Math.floor(ns / 3600e9)} h`;
}

function count(value) {
  if (value == null) return NOTHING;
  return value < 1e6 ? Number(value).toLocaleString('en') : `${digits(value / 1e6)} M`;
}

function bytes(value) {
  if (value == null) return NOTHING;
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : digits(value)} ${units[unit]}`;
}

/** Changes a text only where it differs: no layout for nothing, and screen readers are not told twice. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** An element with attributes and children; strings among the children become text. */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** One of the drawings in the page's <svg> of symbols. */
function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  const use = document.createElementNS(space, 'use');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

const byId = id => document.getElementById(id);

/** What a person chose, kept by the browser; a browser that keeps nothing is no failure. */
const remembered = {
  get(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`framebus.${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`framebus.${name}`, JSON.stringify(value));
    } catch { /* private mode: it holds as long as the page */ }
  },
};

const sleep = ms => new Promise(done => setTimeout(done, ms));
