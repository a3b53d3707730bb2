// @ts-check
// The operators of the course, for pictures given as numbers row by row. Nothing here draws.

/**
 * A picture or a kernel.
 * @typedef {{ values: ArrayLike<number>, h: number, w: number }} Grid
 */

/**
 * Slide a kernel over a picture: y[i, j] = sum over a, b of x[i + a, j + b] k[a, b].
 * @param {Grid} x
 * @param {Grid} kernel
 */
export function corr2d(x, kernel) {
  const [h, w] = [x.h - kernel.h + 1, x.w - kernel.w + 1];
  const values = new Float64Array(h * w);
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      for (let a = 0; a < kernel.h; a++) {
        for (let b = 0; b < kernel.w; b++) {
          values[i * w + j] += x.values[(i + a) * x.w + j + b] * kernel.values[a * kernel.w + b];
        }
      }
    }
  }
  return { values, h, w };
}

/**
 * Replace every window by one number; windows start `stride` pixels apart.
 * @param {Grid} x
 * @param {number} size
 * @param {number} stride
 * @param {(seen: number[]) => number} summary of the pixels of a window, row by row
 * @returns {Grid}
 */
export function slide(x, size, stride, summary) {
  const [h, w] = [x.h, x.w].map((side) => Math.floor((side - size) / stride) + 1);
  const values = new Float64Array(h * w);
  for (let i = 0; i < h; i++) {
    for (let j = 0; j < w; j++) {
      const seen = [];
      for (let a = 0; a < size; a++) {
        const first = (i * stride + a) * x.w + j * stride;
        for (let b = 0; b < size; b++) seen.push(x.values[first + b]);
      }
      values[i * w + j] = summary(seen);
    }
  }
  return { values, h, w };
}

/**
 * Turn a kernel by half a turn: what a convolution does before it slides.
 * @param {Grid} kernel
 */
export function flip(kernel) {
  return { ...kernel, values: Array.from(kernel.values).reverse() };
}

/**
 * @param {number[][]} rows
 */
export function toGrid(rows) {
  return { values: rows.flat(), h: rows.length, w: rows[0].length };
}

/**
 * @param {Grid} grid
 */
export function toRows({ values, h, w }) {
  return Array.from({ length: h }, (_, i) => Array.from(values).slice(i * w, (i + 1) * w));
}
