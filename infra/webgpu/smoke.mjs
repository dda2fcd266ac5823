// Whether WebGPU finds an adapter here and computes: `node infra/webgpu/smoke.mjs <folder>` prints `OK gpu ...`,
// `OK cpu ...` for an adapter in software, or `NONE ...` where there is no adapter that can be used.

import { deepStrictEqual } from 'node:assert'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(resolve(process.argv[2]), 'package.json'))
const { create, globals } = await import(pathToFileURL(require.resolve('webgpu')).href)
Object.assign(globalThis, globals)
const gpu = create(process.platform === 'linux' ? ['backend=vulkan'] : [])
const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
if (adapter === null) {
  process.stdout.write('NONE no GPU with a driver for WebGPU, and no adapter in software\n')
  process.exit(0)
}
const page = globalThis.navigator ?? {}
Object.defineProperty(page, 'gpu', { value: gpu, configurable: true })
Object.defineProperty(globalThis, 'navigator', { value: page, configurable: true })
require('@tensorflow/tfjs-backend-webgpu')
const tf = createRequire(require.resolve('@tensorflow/tfjs-backend-webgpu'))(
  '@tensorflow/tfjs-core',
)
if (!(await tf.setBackend('webgpu'))) throw new Error('the backend does not start')
const product = tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([1, -1], [2, 1]))
deepStrictEqual([...(await product.data())], [-1, -1])
const sigmoid = await tf.sigmoid(tf.tensor1d([0, -1])).data()
deepStrictEqual(
  [...sigmoid].map((value) => value.toFixed(5)),
  ['0.50000', '0.26894'],
)
const { vendor, device, description, isFallbackAdapter } = adapter.info
const kind = isFallbackAdapter === true ? 'cpu' : 'gpu'
process.stdout.write(`OK ${kind} ${[vendor, device, description].filter(Boolean).join(' ')}\n`)
process.exit(0)
