/**
 * Two lanes of the last seconds, the caller's loudness above the line and the model's below, with a mark where a reply
 * was cut. It shows at a glance who spoke when, and how quickly the reply stopped.
 */
const SPAN_MS = 12_000;
const MAX_POINTS = 1_000;

export class Scope {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.points = { you: [], model: [] };
    this.cuts = [];
    this.running = false;
    new ResizeObserver(() => this.draw(performance.now())).observe(canvas);
  }

  /** @param {"you"|"model"} lane @param {number} level 0..1 */
  add(lane, level) {
    const points = this.points[lane];
    points.push([performance.now(), level]);
    if (points.length > MAX_POINTS) points.shift();
  }

  cut() {
    this.cuts.push(performance.now());
    if (this.cuts.length > 20) this.cuts.shift();
  }

  start() {
    if (this.running) return;
    this.running = true;
    // Who asks for less motion gets the same picture twice a second, without the scrolling.
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    const tick = () => {
      if (!this.running) return;
      this.draw(performance.now());
      if (calm.matches) setTimeout(tick, 500);
      else requestAnimationFrame(tick);
    };
    tick();
  }

  /** The picture stays as it was at the end of the call. */
  stop() {
    this.running = false;
  }

  draw(now) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(this.canvas);
    const paint = this.canvas.getContext("2d");
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    const x = (at) => width - ((now - at) / SPAN_MS) * width;
    const middle = Math.round(height / 2);
    paint.fillStyle = style.getPropertyValue("--line");
    paint.fillRect(0, middle, width, 1);
    for (let second = 2_000; second < SPAN_MS; second += 2_000) paint.fillRect(Math.round(x(now - second)), 0, 1, height);
    const half = middle - 4;
    paint.fillStyle = style.getPropertyValue("--you");
    for (const [at, level] of this.points.you) paint.fillRect(x(at), middle - 1 - level * half, 2, Math.max(1, level * half));
    paint.fillStyle = style.getPropertyValue("--accent");
    for (const [at, level] of this.points.model) paint.fillRect(x(at), middle + 2, 2, Math.max(1, level * half));
    paint.fillStyle = style.getPropertyValue("--bad");
    for (const at of this.cuts) paint.fillRect(Math.round(x(at)), 0, 2, height);
  }
}
