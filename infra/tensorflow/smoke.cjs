// Whether a built addon computes, and on what: `node infra/tensorflow/smoke.cjs <folder>` prints `OK gpu ...` or
// `OK cpu ...`, or ends with an error. Plain JavaScript in a process of its own, so that a library that ends the
// process ends only this one.

'use strict'

const { deepStrictEqual } = require('node:assert')
const { createRequire } = require('node:module')
const { join, resolve } = require('node:path')
const util = require('node:util')

// tfjs-node 4.22 calls two functions: Node 23 took the first away, and warns of the second.
util.isNullOrUndefined ??= (value) => value === null || value === undefined
util.isArray = Array.isArray
process.env.NVIDIA_TF32_OVERRIDE ??= '0'
process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true'
process.env.TF_CPP_MIN_LOG_LEVEL ??= '1'

const tf = createRequire(join(resolve(process.argv[2]), 'package.json'))('@tensorflow/tfjs-node')
const { isUsingGpuDevice, binding } = tf.backend()
const product = tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([1, -1], [2, 1]))
deepStrictEqual([...product.dataSync()], [-1, -1])
// On a GPU without its compiler products work and a sigmoid does not.
const rounded = [...tf.sigmoid(tf.tensor1d([0, -1])).dataSync()].map((value) => value.toFixed(6))
deepStrictEqual(rounded, ['0.500000', '0.268941'])
const device = isUsingGpuDevice === true ? 'gpu' : 'cpu'
process.stdout.write(`OK ${device} TensorFlow ${binding.TF_Version}\n`)
