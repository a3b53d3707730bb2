// @ts-check
// A network that was trained in Python: read from its file, run on a picture, followed backward.
// Nothing here draws.
import {
  avgPool2d,
  avgPool2dBackward,
  blurPool2d,
  blurPool2dBackward,
  conv2d,
  conv2dBackward,
  conv2dWeightBackward,
  linear,
  linearBackward,
  linearWeightBackward,
  map,
  maxPool2d,
  maxPool2dBackward,
  scaleChannels,
  softmax,
  zeros,
} from "./operators.js";

/**
 * Numbers row by row: a picture and its maps have the shape [c, h, w].
 * @typedef {{ shape: number[], values: Float32Array }} Tensor
 */
/**
 * What Python says of a layer, by `describe` in cnncourse/records/stored.py: of the words behind
 * name and type it has those of its type.
 * @typedef {{ name: string, type: string, stride: number[], padding: number[], dilation: number[],
 *   groups: number, padding_mode: string, kernel_size: number[], in_features: number,
 *   eps: number }} Layer
 */
/**
 * @typedef {{ layers: Layer[], weights: Record<string, Tensor>, about: Record<string, any> }} Network
 */

// The file: 8 bytes say how long its table is; the table says where each tensor's numbers stand.

/** @type {Record<string, { size: number, read: (file: DataView, place: number) => number }>} */
const NUMBERS = {
  F32: { size: 4, read: (file, place) => file.getFloat32(place, true) },
  F16: { size: 2, read: (file, place) => half(file.getUint16(place, true)) },
  I64: { size: 8, read: (file, place) => Number(file.getBigInt64(place, true)) },
  U8: { size: 1, read: (file, place) => file.getUint8(place) },
};

/**
 * Read a file that Python wrote with `save_network`.
 * @param {DataView} file
 * @returns {Network}
 */
export function readNetwork(file) {
  const start = 8 + Number(file.getBigUint64(0, true));
  const table = new Uint8Array(file.buffer, file.byteOffset + 8, start - 8);
  const { __metadata__: told, ...entries } = JSON.parse(new TextDecoder().decode(table));
  const { layers, ...about } = JSON.parse(told.network);
  /** @type {Record<string, Tensor>} */
  const weights = {};
  for (const name in entries) weights[name] = readTensor(file, start, entries[name]);
  for (const { name, in_features: columns } of layers) {
    const [codes, scale] = [weights[`${name}.weight`], weights[`${name}.weight.scale`]];
    if (scale) weights[`${name}.weight`] = unpack(codes, scale, columns, about.bits);
  }
  return { layers, weights, about };
}

/**
 * @param {DataView} file
 * @param {number} start
 * @param {{ dtype: string, shape: number[], data_offsets: number[] }} entry
 */
function readTensor(file, start, { dtype, shape, data_offsets: [first] }) {
  const { size, read } = NUMBERS[dtype];
  const found = zeros(shape);
  for (let k = 0; k < found.values.length; k++) {
    found.values[k] = read(file, start + first + size * k);
  }
  return found;
}

/**
 * A number in half precision: one bit of sign, five of the exponent, ten of the fraction.
 * @param {number} code
 */
function half(code) {
  const exponent = (code >> 10) & 31;
  const fraction = (code & 1023) / 1024;
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
  return code >> 15 ? -size : size;
}

/**
 * Read whole numbers of a few bits each, and multiply each row by its scale.
 * @param {Tensor} codes
 * @param {Tensor} scale
 * @param {number} columns
 * @param {number} bits at most 8
 */
function unpack({ shape: [rows, bytes], values: codes }, scale, columns, bits) {
  const weight = zeros([rows, columns]);
  const zero = 2 ** (bits - 1) - 1;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const first = column * bits;
      const byte = row * bytes + (first >> 3);
      const pair = (codes[byte] << 8) | codes[byte + 1]; // the number lies in one or in both
      const whole = (pair >> (16 - bits - (first & 7))) & (2 ** bits - 1);
      weight.values[row * columns + column] = (whole - zero) * scale.values[row];
    }
  }
  return weight;
}

// Layers. A backward function gets the layer's input x, its output y and the loss's gradient with
// respect to y, and returns the one with respect to x; where there is a weight, `weight` returns the
// one with respect to it. `w` finds a weight of the layer.

/** @typedef {(name: string) => Tensor} Weights */
/** @typedef {(x: Tensor, layer: Layer, w: Weights) => Tensor} Forward */
/** @typedef {(grad: Tensor, x: Tensor, y: Tensor, layer: Layer, w: Weights) => Tensor} Backward */

const TWO_BY_TWO = { kernel_size: [2, 2], stride: [1, 1], padding: [0, 0] };

/** @typedef {(grad: Tensor, x: Tensor, layer: Layer, w: Weights) => Tensor} WeightBackward */

/** @type {Record<string, { forward: Forward, backward: Backward, weight?: WeightBackward }>} */
const LAYERS = {
  Conv2d: {
    forward: (x, layer, w) => conv2d(x, w("weight"), w("bias"), layer),
    backward: (grad, x, _, layer, w) => conv2dBackward(x, w("weight"), grad, layer),
    weight: (grad, x, layer, w) => conv2dWeightBackward(x, w("weight"), grad, layer),
  },
  Linear: {
    forward: (x, _, w) => linear(x, w("weight"), w("bias")),
    backward: (grad, x, _, __, w) => linearBackward(x, w("weight"), grad),
    weight: (grad, x) => linearWeightBackward(x, grad),
  },
  ReLU: elementwise((x) => Math.max(0, x), (y) => (y > 0 ? 1 : 0)),
  Sigmoid: elementwise((x) => 1 / (1 + Math.exp(-x)), (y) => y * (1 - y)),
  Tanh: elementwise(Math.tanh, (y) => 1 - y * y),
  MaxPool2d: {
    forward: (x, layer) => maxPool2d(x, layer),
    backward: (grad, x, _, layer) => maxPool2dBackward(x, grad, layer),
  },
  AvgPool2d: {
    forward: (x, layer) => avgPool2d(x, layer),
    backward: (grad, x, _, layer) => avgPool2dBackward(x, grad, layer),
  },
  AdaptiveMaxPool2d: {
    forward: (x) => maxPool2d(x, whole(x)),
    backward: (grad, x) => maxPool2dBackward(x, grad, whole(x)),
  },
  AdaptiveAvgPool2d: {
    forward: (x) => avgPool2d(x, whole(x)),
    backward: (grad, x) => avgPool2dBackward(x, grad, whole(x)),
  },
  BlurMaxPool2d: {
    forward: (x) => blurPool2d(maxPool2d(x, TWO_BY_TWO)),
    backward: (grad, x) => {
      return maxPool2dBackward(x, blurPool2dBackward(maxPool2d(x, TWO_BY_TWO), grad), TWO_BY_TWO);
    },
  },
  BatchNorm2d: {
    forward: (x, layer, w) => {
      const factor = perDeviation(layer, w);
      const shift = map(w("bias"), (b, c) => b - w("running_mean").values[c] * factor.values[c]);
      return scaleChannels(x, factor.values, shift.values);
    },
    backward: (grad, _, __, layer, w) => scaleChannels(grad, perDeviation(layer, w).values),
  },
  Flatten: {
    forward: (x) => ({ shape: [x.values.length], values: x.values }),
    backward: (grad, x) => ({ shape: x.shape, values: grad.values }),
  },
  Identity: { forward: (x) => x, backward: (grad) => grad },
};

/**
 * @param {(x: number) => number} f
 * @param {(y: number) => number} slope told from the output
 * @returns {{ forward: Forward, backward: Backward }}
 */
function elementwise(f, slope) {
  return {
    forward: (x) => map(x, f),
    backward: (grad, _, y) => map(grad, (g, k) => g * slope(y.values[k])),
  };
}

/**
 * One window as large as the picture.
 * @param {Tensor} x
 */
function whole({ shape: [, h, w] }) {
  return { kernel_size: [h, w], stride: [1, 1], padding: [0, 0] };
}

/**
 * What batch norm multiplies each channel by, in evaluation mode.
 * @param {Layer} layer
 * @param {Weights} w
 */
function perDeviation({ eps }, w) {
  const variance = w("running_var").values;
  return map(w("weight"), (weight, c) => weight / Math.sqrt(variance[c] + eps));
}

// The whole network.

/**
 * Return the output of every layer; the last one holds the scores of the classes.
 * @param {Network} network
 * @param {Tensor} image
 * @returns {Tensor[]}
 */
export function forward({ layers, weights }, image) {
  let x = image;
  return layers.map((layer) => x = LAYERS[layer.type].forward(x, layer, of(weights, layer)));
}

/**
 * Return the gradient of the cross-entropy with respect to the output of every layer.
 * @param {Network} network
 * @param {Tensor[]} outputs of `forward`
 * @param {number} label
 * @returns {Tensor[]}
 */
export function backward({ layers, weights }, outputs, label) {
  const scores = outputs[outputs.length - 1];
  const shares = softmax(scores.values);
  /** @type {Tensor} */
  let grad = map(scores, (_, k) => shares[k] - (k === label ? 1 : 0));
  const gradients = [grad];
  for (let k = layers.length - 1; k > 0; k--) {
    const [x, y, w] = [outputs[k - 1], outputs[k], of(weights, layers[k])];
    grad = LAYERS[layers[k].type].backward(grad, x, y, layers[k], w);
    gradients.unshift(grad);
  }
  return gradients;
}

/**
 * @param {Record<string, Tensor>} weights
 * @param {Layer} layer
 * @returns {Weights}
 */
function of(weights, layer) {
  return (name) => weights[`${layer.name}.${name}`];
}

/**
 * Return the scales that `layer_scales` of cnncourse.lenet has, for a batch of pictures: of every
 * layer's output, of the part of it that tells pictures apart, and of the mean loss's gradient with
 * respect to the output, and to the weight of a convolution or a dense layer.
 * @param {Network} network
 * @param {Tensor[]} images
 * @param {number[]} labels
 */
export function scales(network, images, labels) {
  const outputs = images.map((image) => forward(network, image));
  const gradients = outputs.map((output, n) => backward(network, output, labels[n]));
  return network.layers.map((layer, k) => {
    const { weight } = LAYERS[layer.type];
    const before = outputs.map((output, n) => k ? output[k - 1] : images[n]);
    const w = of(network.weights, layer);
    const parts = weight && before.map((x, n) => weight(gradients[n][k], x, layer, w).values);
    const batch = inOne(outputs.map((output) => output[k].values));
    const size = batch.length / images.length;
    const units = new Float64Array(size).map((_, unit) => spread(batch, unit, size));
    return {
      name: layer.name,
      activation: spread(batch),
      signal: rootMeanSquare(units),
      gradient: spread(inOne(gradients.map((grad) => grad[k].values))) / images.length,
      weightGradient: parts ? spread(mean(parts)) : null,
    };
  });
}

/**
 * @param {Float32Array[]} parts
 */
function mean(parts) {
  const sum = new Float32Array(parts[0].length);
  for (const part of parts) {
    for (let k = 0; k < sum.length; k++) sum[k] += part[k];
  }
  return sum.map((value) => value / parts.length);
}

/**
 * The numbers of one picture after those of the other.
 * @param {Float32Array[]} batch
 */
function inOne(batch) {
  const all = new Float32Array(batch.length * batch[0].length);
  batch.forEach((values, n) => all.set(values, n * values.length));
  return all;
}

/**
 * @param {ArrayLike<number>} values
 */
export function rootMeanSquare(values) {
  let squares = 0;
  for (let k = 0; k < values.length; k++) squares += values[k] * values[k];
  return Math.sqrt(squares / values.length);
}

/**
 * The standard deviation: how far the numbers lie from their mean. Of each `step` numbers the one
 * at `first` counts.
 * @param {ArrayLike<number>} values
 * @param {number} [first]
 * @param {number} [step]
 */
export function spread(values, first = 0, step = 1) {
  const count = values.length / step;
  let [sum, squares] = [0, 0];
  for (let k = first; k < values.length; k += step) sum += values[k];
  for (let k = first; k < values.length; k += step) squares += (values[k] - sum / count) ** 2;
  return Math.sqrt(squares / count);
}
