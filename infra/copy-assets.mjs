// Last step of the build: copies what the services read beside their own code, since tsc copies only code.
//
// `node infra/copy-assets.mjs [out folder, by default dist]`. Schemas and models are not copied: the compiled
// services find them, as the sources do, in the folder that holds package.json.

import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

const ASSET = /\.(lua|json|wasm)$/

const root = resolve(import.meta.dirname, '..')
const out = resolve(process.argv[2] ?? join(root, 'dist'))

if (!existsSync(join(out, 'services'))) {
  process.stderr.write(`${join(out, 'services')} does not exist. Run "npm run build".\n`)
  process.exit(2)
}
for (const path of readdirSync(join(root, 'services'), { recursive: true, encoding: 'utf8' })) {
  if (!ASSET.test(path)) continue
  const target = join(out, 'services', path)
  cpSync(join(root, 'services', path), target)
  process.stdout.write(`copied ${relative(out, target)}\n`)
}
