// @ts-check
// The operators of a network on one picture, forward and backward, with the words of PyTorch.
// Nothing here draws.

/**
 * Numbers row by row: a picture and its maps have the shape [c, h, w].
 * @typedef {{ shape: number[], values: Float32Array }} Tensor
 */
/**
 * @typedef {{ stride: number[], padding: number[], dilation: number[], groups: number,
 *   padding_mode: string }} Convolution
 */
/**
 * @typedef {{ kernel_size: number[], stride: number[], padding: number[] }} Pooling
 */

/**
 * @param {number[]} shape
 * @returns {Tensor}
 */
export function zeros(shape) {
  return { shape, values: new Float32Array(shape.reduce((size, n) => size * n, 1)) };
}

// Padding: each pixel of the padded picture comes from one pixel, or from none.

/** @type {Record<string, (i: number, n: number) => number>} */
const SOURCES = {
  zeros: (i) => i,
  circular: (i, n) => (i + n) % n,
  reflect: (i, n) => n - 1 - Math.abs(n - 1 - Math.abs(i)),
};

/**
 * Call with the place of each pixel in the padded picture and in the picture itself.
 * @param {number[]} shape
 * @param {number[]} before rows above and columns to the left
 * @param {number[]} after
 * @param {string} mode
 * @param {(to: number, from: number) => void} visit
 */
function eachSource([c, h, w], before, after, mode, visit) {
  const source = SOURCES[mode];
  let to = 0;
  for (let k = 0; k < c; k++) {
    for (let i = -before[0]; i < h + after[0]; i++) {
      for (let j = -before[1]; j < w + after[1]; j++, to++) {
        const [row, column] = [source(i, h), source(j, w)];
        const inside = row >= 0 && row < h && column >= 0 && column < w;
        if (inside) visit(to, (k * h + row) * w + column);
      }
    }
  }
}

/**
 * @param {Tensor} x
 * @param {number[]} before
 * @param {number[]} after
 * @param {string} mode
 * @param {number} [border]
 */
function pad(x, before, after, mode, border = 0) {
  const [c, h, w] = x.shape;
  const padded = zeros([c, before[0] + h + after[0], before[1] + w + after[1]]);
  padded.values.fill(border);
  eachSource(x.shape, before, after, mode, (to, from) => padded.values[to] = x.values[from]);
  return padded;
}

/**
 * @param {number[]} shape of the picture
 * @param {Tensor} grad of the padded picture
 * @param {number[]} before
 * @param {number[]} after
 * @param {string} mode
 */
function padBackward(shape, grad, before, after, mode) {
  const gradX = zeros(shape);
  eachSource(shape, before, after, mode, (to, from) => gradX.values[from] += grad.values[to]);
  return gradX;
}

// Convolution. The output and the gradient walk through the same products.

/**
 * Say where the pixels of a window lie, counted from its corner: one for each weight of a kernel.
 * @param {number[]} shape of the padded picture
 * @param {number[]} kernels the shape of the weight
 * @param {number[]} dilation
 */
function windowOf([, h, w], [, cPerGroup, kh, kw], [dh, dw]) {
  const places = new Int32Array(cPerGroup * kh * kw);
  for (let channel = 0, k = 0; channel < cPerGroup; channel++) {
    for (let a = 0; a < kh; a++) {
      for (let b = 0; b < kw; b++, k++) places[k] = (channel * h + a * dh) * w + b * dw;
    }
  }
  return places;
}

/**
 * Call for each output with the corner of its window and its channel.
 * @param {number[]} shape of the padded picture
 * @param {number[]} kernels the shape of the weight
 * @param {number[]} out the shape of the output
 * @param {Convolution} convolution
 * @param {(output: number, corner: number, channel: number) => void} visit
 */
function eachWindow([, h, w], [, cPerGroup], [o, outH, outW], convolution, visit) {
  const { stride: [sh, sw], groups } = convolution;
  for (let k = 0, output = 0; k < o; k++) {
    const first = Math.floor(k / (o / groups)) * cPerGroup; // channel of the picture
    for (let i = 0; i < outH; i++) {
      for (let j = 0; j < outW; j++, output++) {
        visit(output, (first * h + i * sh) * w + j * sw, k);
      }
    }
  }
}

/**
 * @param {Tensor} x
 * @param {Tensor} weight [o, c / groups, kh, kw]
 * @param {Tensor | undefined} bias
 * @param {Convolution} convolution
 */
export function conv2d(x, weight, bias, convolution) {
  const { stride: [sh, sw], padding, dilation, padding_mode: mode } = convolution;
  const padded = pad(x, padding, padding, mode);
  const [[, h, w], [o, , kh, kw]] = [padded.shape, weight.shape];
  const y = zeros([o, outputSize(h, kh, sh, dilation[0]), outputSize(w, kw, sw, dilation[1])]);
  const places = windowOf(padded.shape, weight.shape, dilation);
  const [n, from, weights] = [places.length, padded.values, weight.values];
  eachWindow(padded.shape, weight.shape, y.shape, convolution, (output, corner, channel) => {
    let sum = bias ? bias.values[channel] : 0;
    for (let k = 0; k < n; k++) sum += weights[channel * n + k] * from[corner + places[k]];
    y.values[output] = sum;
  });
  return y;
}

/**
 * @param {Tensor} x
 * @param {Tensor} weight
 * @param {Tensor} grad of the output
 * @param {Convolution} convolution
 */
export function conv2dBackward(x, weight, grad, convolution) {
  const { padding, dilation, padding_mode: mode } = convolution;
  const [c, h, w] = x.shape;
  const padded = zeros([c, h + 2 * padding[0], w + 2 * padding[1]]);
  const places = windowOf(padded.shape, weight.shape, dilation);
  const [n, to, weights] = [places.length, padded.values, weight.values];
  eachWindow(padded.shape, weight.shape, grad.shape, convolution, (output, corner, channel) => {
    const delta = grad.values[output];
    for (let k = 0; k < n; k++) to[corner + places[k]] += weights[channel * n + k] * delta;
  });
  return padBackward(x.shape, padded, padding, padding, mode);
}

/**
 * The gradient with respect to the weight: each weight meets a pixel of every window.
 * @param {Tensor} x
 * @param {Tensor} weight
 * @param {Tensor} grad of the output
 * @param {Convolution} convolution
 */
export function conv2dWeightBackward(x, weight, grad, convolution) {
  const { padding, dilation, padding_mode: mode } = convolution;
  const padded = pad(x, padding, padding, mode);
  const places = windowOf(padded.shape, weight.shape, dilation);
  const gradWeight = zeros(weight.shape);
  const [n, from, to] = [places.length, padded.values, gradWeight.values];
  eachWindow(padded.shape, weight.shape, grad.shape, convolution, (output, corner, channel) => {
    const delta = grad.values[output];
    for (let k = 0; k < n; k++) to[channel * n + k] += from[corner + places[k]] * delta;
  });
  return gradWeight;
}

/**
 * @param {number} n
 * @param {number} k
 * @param {number} stride
 * @param {number} dilation
 */
function outputSize(n, k, stride, dilation) {
  return Math.floor((n - dilation * (k - 1) - 1) / stride) + 1;
}

// Pooling.

/**
 * Call for each output with each pixel of its window, row by row.
 * @param {number[]} shape of the padded picture
 * @param {number[]} out the shape of the output
 * @param {Pooling} pooling
 * @param {(output: number, pixel: number) => void} visit
 */
function eachPixel([c, h, w], [, outH, outW], { kernel_size: [kh, kw], stride: [sh, sw] }, visit) {
  for (let k = 0, output = 0; k < c; k++) {
    for (let i = 0; i < outH; i++) {
      for (let j = 0; j < outW; j++, output++) {
        const corner = (k * h + i * sh) * w + j * sw;
        for (let a = 0; a < kh; a++) {
          for (let b = 0; b < kw; b++) visit(output, corner + a * w + b);
        }
      }
    }
  }
}

/**
 * @param {Tensor} padded
 * @param {Pooling} pooling
 */
function pooled({ shape: [c, h, w] }, { kernel_size: [kh, kw], stride: [sh, sw] }) {
  return zeros([c, outputSize(h, kh, sh, 1), outputSize(w, kw, sw, 1)]);
}

/**
 * @param {Tensor} x
 * @param {Pooling} pooling
 */
export function maxPool2d(x, pooling) {
  const padded = pad(x, pooling.padding, pooling.padding, "zeros", -Infinity);
  const y = pooled(padded, pooling);
  y.values.fill(-Infinity);
  eachPixel(padded.shape, y.shape, pooling, (output, pixel) => {
    if (padded.values[pixel] > y.values[output]) y.values[output] = padded.values[pixel];
  });
  return y;
}

/**
 * The gradient goes to the first largest pixel of each window.
 * @param {Tensor} x
 * @param {Tensor} grad
 * @param {Pooling} pooling
 */
export function maxPool2dBackward(x, grad, pooling) {
  const padded = pad(x, pooling.padding, pooling.padding, "zeros", -Infinity);
  const largest = new Int32Array(grad.values.length).fill(-1);
  eachPixel(padded.shape, grad.shape, pooling, (output, pixel) => {
    const best = largest[output];
    if (best < 0 || padded.values[pixel] > padded.values[best]) largest[output] = pixel;
  });
  const gradPadded = zeros(padded.shape);
  largest.forEach((pixel, output) => gradPadded.values[pixel] += grad.values[output]);
  return padBackward(x.shape, gradPadded, pooling.padding, pooling.padding, "zeros");
}

/**
 * The mean of each window; zeros that padding brought in count.
 * @param {Tensor} x
 * @param {Pooling} pooling
 */
export function avgPool2d(x, pooling) {
  const padded = pad(x, pooling.padding, pooling.padding, "zeros");
  const y = pooled(padded, pooling);
  const size = pooling.kernel_size[0] * pooling.kernel_size[1];
  eachPixel(padded.shape, y.shape, pooling, (output, pixel) => {
    y.values[output] += padded.values[pixel] / size;
  });
  return y;
}

/**
 * @param {Tensor} x
 * @param {Tensor} grad
 * @param {Pooling} pooling
 */
export function avgPool2dBackward(x, grad, pooling) {
  const [c, h, w] = x.shape;
  const padded = zeros([c, h + 2 * pooling.padding[0], w + 2 * pooling.padding[1]]);
  const size = pooling.kernel_size[0] * pooling.kernel_size[1];
  eachPixel(padded.shape, grad.shape, pooling, (output, pixel) => {
    padded.values[pixel] += grad.values[output] / size;
  });
  return padBackward(x.shape, padded, pooling.padding, pooling.padding, "zeros");
}

/**
 * The depthwise convolution that blurs: Pascal's triangle by rows and by columns.
 * @param {number} channels
 * @param {number} k
 * @param {number} stride
 */
function blur(channels, k, stride) {
  let row = [1];
  for (let n = 1; n < k; n++) row = [...row, 0].map((v, a) => (v + (row[a - 1] ?? 0)) / 2);
  const kernel = row.flatMap((v) => row.map((u) => v * u));
  const all = Array(channels).fill(kernel).flat();
  const weight = { shape: [channels, 1, k, k], values: Float32Array.from(all) };
  const none = { padding: [0, 0], dilation: [1, 1], padding_mode: "zeros" };
  const [before, after] = [Math.floor((k - 1) / 2), Math.floor(k / 2)];
  return {
    weight,
    convolution: { ...none, stride: [stride, stride], groups: channels },
    before: [before, before],
    after: [after, after],
  };
}

/**
 * Blur each channel, then keep every second pixel, or one of `stride`.
 * @param {Tensor} x
 * @param {number} [k]
 * @param {number} [stride]
 */
export function blurPool2d(x, k = 3, stride = 2) {
  const { weight, convolution, before, after } = blur(x.shape[0], k, stride);
  return conv2d(pad(x, before, after, "reflect"), weight, undefined, convolution);
}

/**
 * @param {Tensor} x
 * @param {Tensor} grad
 * @param {number} [k]
 * @param {number} [stride]
 */
export function blurPool2dBackward(x, grad, k = 3, stride = 2) {
  const { weight, convolution, before, after } = blur(x.shape[0], k, stride);
  const padded = pad(x, before, after, "reflect");
  const gradPadded = conv2dBackward(padded, weight, grad, convolution);
  return padBackward(x.shape, gradPadded, before, after, "reflect");
}

// Everything else.

/**
 * @param {Tensor} x
 * @param {Tensor} weight [o, n]
 * @param {Tensor | undefined} bias
 */
export function linear({ values: x }, { shape: [o, n], values: weight }, bias) {
  const y = zeros([o]);
  for (let k = 0; k < o; k++) {
    let sum = bias ? bias.values[k] : 0;
    for (let i = 0; i < n; i++) sum += weight[k * n + i] * x[i];
    y.values[k] = sum;
  }
  return y;
}

/**
 * @param {Tensor} x
 * @param {Tensor} weight
 * @param {Tensor} grad
 */
export function linearBackward(x, { shape: [o, n], values: weight }, { values: grad }) {
  const gradX = zeros(x.shape);
  for (let k = 0; k < o; k++) {
    for (let i = 0; i < n; i++) gradX.values[i] += weight[k * n + i] * grad[k];
  }
  return gradX;
}

/**
 * @param {Tensor} x
 * @param {Tensor} grad
 */
export function linearWeightBackward({ values: x }, { values: grad }) {
  const gradWeight = zeros([grad.length, x.length]);
  for (let k = 0; k < grad.length; k++) {
    for (let i = 0; i < x.length; i++) gradWeight.values[k * x.length + i] = grad[k] * x[i];
  }
  return gradWeight;
}

/**
 * Multiply each channel by a number of its own, and add another one.
 * @param {Tensor} x
 * @param {ArrayLike<number>} factor
 * @param {ArrayLike<number>} [shift]
 */
export function scaleChannels({ shape, values }, factor, shift) {
  const size = values.length / shape[0];
  const scaled = values.map((v, k) => {
    const channel = Math.floor(k / size);
    return v * factor[channel] + (shift ? shift[channel] : 0);
  });
  return { shape, values: scaled };
}

/**
 * @param {Tensor} x
 * @param {(value: number, place: number) => number} f
 */
export function map({ shape, values }, f) {
  return { shape, values: values.map((value, place) => f(value, place)) };
}

/**
 * Turn scores into probabilities.
 * @param {ArrayLike<number>} scores
 */
export function softmax(scores) {
  const largest = Math.max(...Array.from(scores)); // so that no power is infinite
  // In double precision: of a share near 1, a gradient needs what is missing to 1.
  const powers = Float64Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
