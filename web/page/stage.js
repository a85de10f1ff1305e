'use strict';
// The large picture: fitted, one to one, or zoomed and moved with wheel, drag and pinch. Everything is told in pixels of
// the frame, whatever size the picture has in which it came.

const MOST_ZOOM = 64;
const WHEEL_STEP = 1.0015;
/** From here on pixels are squares, and then squares with lines between them. */
const CRISP_ZOOM = 1.5;
const GRID_ZOOM = 14;

class Stage {
  /** `hover(x, y)` gets the pixel under the cursor, or nulls; `changed()` is called when the zoom has changed. */
  constructor(canvas, { hover, changed }) {
    this.canvas = canvas;
    this.hover = hover;
    this.changed = changed;
    this.bitmap = null;
    this.frame = null; // { width, height } of the frame
    this.fit = true;
    this.zoom = 1; // CSS pixels a frame pixel
    this.middle = { x: 0, y: 0 }; // the frame's point in the middle of the canvas
    this.pointers = new Map();
    this.cursor = null;
    this.pointed = null; // where the mouse is, on the canvas
    canvas.addEventListener('wheel', event => this.wheel(event), { passive: false });
    canvas.addEventListener('pointerdown', event => this.down(event));
    canvas.addEventListener('pointermove', event => this.move(event));
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, event => this.up(event));
    canvas.addEventListener('pointerleave', event => event.pointerType === 'mouse' && this.point(null));
    canvas.addEventListener('dblclick', event => (this.fit ? this.zoomTo(1, this.local(event)) : this.toFit()));
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Takes a picture over, and closes the one before. */
  show(bitmap, header) {
    if (this.bitmap !== bitmap) this.bitmap?.close();
    this.bitmap = bitmap;
    const frame = { width: header.width, height: header.height };
    if (this.frame?.width !== frame.width || this.frame?.height !== frame.height) {
      this.frame = frame;
      this.toFit();
      // Another pixel is under the cursor now, or none.
      this.point(this.pointed);
    } else {
      this.draw();
    }
  }

  clear() {
    this.bitmap?.close();
    this.bitmap = null;
    this.frame = null;
    this.fit = true;
    this.cursor = null;
    this.draw();
    this.changed();
  }

  /** How wide the whole frame is shown, in pixels of the screen. */
  shownWidth() {
    if (!this.frame) return this.canvas.clientWidth * (devicePixelRatio || 1);
    return this.frame.width * this.zoom * (devicePixelRatio || 1);
  }

  toFit() {
    this.fit = true;
    this.draw();
    this.changed();
  }

  /** A zoom, such that the frame's point at `at` (of the canvas) stays where it is. */
  zoomTo(zoom, at = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }) {
    if (!this.frame) return;
    const before = this.toFrame(at);
    this.fit = false;
    this.zoom = Math.min(Math.max(zoom, this.fitZoom() / 2), MOST_ZOOM);
    const after = this.toFrame(at);
    this.middle.x += before.x - after.x;
    this.middle.y += before.y - after.y;
    this.draw();
    this.changed();
  }

  fitZoom() {
    return Math.min(this.canvas.clientWidth / this.frame.width, this.canvas.clientHeight / this.frame.height) || 1;
  }

  toFrame({ x, y }) {
    return {
      x: this.middle.x + (x - this.canvas.clientWidth / 2) / this.zoom,
      y: this.middle.y + (y - this.canvas.clientHeight / 2) / this.zoom,
    };
  }

  draw() {
    const paper = prepare(this.canvas);
    if (!paper || !this.bitmap) return;
    const { pen, width, height } = paper;
    if (this.fit) {
      const before = this.zoom;
      this.zoom = this.fitZoom();
      // The window may have another size.
      if (this.zoom !== before) this.changed();
      this.middle = { x: this.frame.width / 2, y: this.frame.height / 2 };
    }
    // The frame can not be moved out of sight.
    this.middle.x = Math.min(Math.max(this.middle.x, 0), this.frame.width);
    this.middle.y = Math.min(Math.max(this.middle.y, 0), this.frame.height);
    const across = this.frame.width * this.zoom;
    const down = this.frame.height * this.zoom;
    const left = width / 2 - this.middle.x * this.zoom;
    const top = height / 2 - this.middle.y * this.zoom;
    pen.imageSmoothingEnabled = this.zoom < CRISP_ZOOM;
    pen.imageSmoothingQuality = 'high';
    pen.drawImage(this.bitmap, left, top, across, down);
    if (this.zoom >= GRID_ZOOM) this.drawGrid(pen, width, height, left, top);
    if (this.cursor) this.drawCursor(pen, left, top);
  }

  drawGrid(pen, width, height, left, top) {
    pen.strokeStyle = 'rgb(128 128 128 / 0.35)';
    pen.lineWidth = 1;
    pen.beginPath();
    const first = this.toFrame({ x: 0, y: 0 });
    const last = this.toFrame({ x: width, y: height });
    for (let x = Math.max(0, Math.ceil(first.x)); x <= Math.min(this.frame.width, last.x); x += 1) {
      pen.moveTo(left + x * this.zoom, Math.max(0, top));
      pen.lineTo(left + x * this.zoom, Math.min(height, top + this.frame.height * this.zoom));
    }
    for (let y = Math.max(0, Math.ceil(first.y)); y <= Math.min(this.frame.height, last.y); y += 1) {
      pen.moveTo(Math.max(0, left), top + y * this.zoom);
      pen.lineTo(Math.min(width, left + this.frame.width * this.zoom), top + y * this.zoom);
    }
    pen.stroke();
  }

  /** The pixel that is read out: a square around it, or a small cross where pixels are smaller than that. */
  drawCursor(pen, left, top) {
    const size = Math.max(this.zoom, 7);
    const x = left + (this.cursor.x + 0.5) * this.zoom - size / 2;
    const y = top + (this.cursor.y + 0.5) * this.zoom - size / 2;
    pen.lineWidth = 1;
    pen.strokeStyle = 'rgb(0 0 0 / 0.8)';
    pen.strokeRect(x - 1, y - 1, size + 2, size + 2);
    pen.strokeStyle = 'rgb(255 255 255 / 0.9)';
    pen.strokeRect(x, y, size, size);
  }

  local(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.zoomTo(this.zoom * WHEEL_STEP ** (-event.deltaY * lines * (event.ctrlKey ? 4 : 1)), this.local(event));
    this.point(this.local(event));
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.local(event));
    this.point(this.local(event));
  }

  move(event) {
    const at = this.local(event);
    const before = this.pointers.get(event.pointerId);
    if (before && this.frame) {
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
      if (others.length === 1) {
        // Two fingers: the distance between them is the zoom, the place between them stays.
        const other = others[0][1];
        const spread = (a, b) => Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1);
        const between = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
        this.zoomTo((this.zoom * spread(at, other)) / spread(before, other), between);
      } else if (!this.fit) {
        this.middle.x -= (at.x - before.x) / this.zoom;
        this.middle.y -= (at.y - before.y) / this.zoom;
      }
      this.pointers.set(event.pointerId, at);
    }
    if (this.pointers.size < 2) this.point(at);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
  }

  /** Tells which pixel of the frame is there. */
  point(at) {
    this.pointed = at;
    let cursor = null;
    if (at && this.frame) {
      const { x, y } = this.toFrame(at);
      if (x >= 0 && y >= 0 && x < this.frame.width && y < this.frame.height) {
        cursor = { x: Math.floor(x), y: Math.floor(y) };
      }
    }
    this.cursor = cursor;
    this.hover(cursor);
    this.draw();
  }
}
