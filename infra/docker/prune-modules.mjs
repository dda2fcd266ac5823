// Removes from a node_modules folder what a running service never reads: source maps, type declarations, bundles
// for browsers, and what only tests use.
//
// `node infra/docker/prune-modules.mjs [node_modules]`. Prints what it saved. Licences stay.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** An optional dependency that only tests use. */
const DEVELOPMENT_PACKAGES = ['cloudevents']
const NEVER_READ = /\.(map|d\.ts|d\.mts|d\.cts|tsbuildinfo)$/
/** Node takes the file that `main` names (tf.node.js and the like); these are for browsers and bundlers. */
const BROWSER_BUNDLE = /^@tensorflow\/tfjs[^/]*\/dist\/[^/]+\.(es2017|fesm|min)(\.[a-z0-9]+)*\.js$/
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
    if (entry.isDirectory()) walk(path)
    else if (NEVER_READ.test(path) || BROWSER_BUNDLE.test(path)) remove(join(modules, path))
    else if (entry.isFile()) keptBytes += statSync(join(modules, path)).size
  }
}

for (const path of DEVELOPMENT_PACKAGES) remove(join(modules, path))
walk('')
const mib = (bytes) => `${Math.round(bytes / BYTES_PER_MIB)} MiB`
process.stdout.write(`pruned ${mib(removedBytes)}, kept ${mib(keptBytes)}\n`)
