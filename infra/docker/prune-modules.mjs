// Removes from a node_modules folder what a running service never reads: source maps, TypeScript, bundles for
// browsers, tests and documents of packages, and what only our own tests use.
//
// `node infra/docker/prune-modules.mjs [node_modules]`. Prints what it saved. Licences stay.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** An optional dependency that only tests use. */
const DEVELOPMENT_PACKAGES = ['cloudevents']
const NEVER_READ = /\.(map|ts|mts|cts|tsbuildinfo|html)$/
/** Folders at the top of a package. */
const PACKAGE_ONLY = /(^|node_modules\/)(@[^/]+\/)?[^@/][^/]*\/(test|docs|benchmarks?)$/
/** Node takes the file that `main` names (tf.node.js and the like); these are for browsers and bundlers. */
const BROWSER_BUNDLE =
  /^@tensorflow\/tfjs[^/]*\/dist\/(miniprogram\/|[^/]+\.(es2017|fesm|min)(\.[a-z0-9]+)*\.js$|tf(-(core|layers|converter|data))?\.js$)/
const BYTES_PER_MIB = 1024 * 1024

const modules = process.argv[2] ?? 'node_modules'
if (!existsSync(modules)) {
  process.stderr.write(`${modules} does not exist. Run "npm ci --omit=dev" first.\n`)
  process.exit(2)
}

let removedBytes = 0
let keptBytes = 0

function remove(path) {
  const entry = statSync(path, { throwIfNoEntry: false })
  if (entry === undefined) return
  if (entry.isDirectory()) {
    for (const name of readdirSync(path)) remove(join(path, name))
  } else removedBytes += entry.size
  rmSync(path, { recursive: true, force: true })
}

function walk(folder) {
  for (const entry of readdirSync(join(modules, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory() && PACKAGE_ONLY.test(path)) remove(join(modules, path))
    else if (entry.isDirectory()) walk(path)
    else if (NEVER_READ.test(path) || BROWSER_BUNDLE.test(path)) remove(join(modules, path))
    else if (entry.isFile()) keptBytes += statSync(join(modules, path)).size
  }
}

for (const path of DEVELOPMENT_PACKAGES) remove(join(modules, path))
walk('')
const mib = (bytes) => `${Math.round(bytes / BYTES_PER_MIB)} MiB`
process.stdout.write(`pruned ${mib(removedBytes)}, kept ${mib(keptBytes)}\n`)
