// Writes the dashboards that Grafana provisions, from tools/dashboards/definitions. `npm run dashboards` writes them;
// `--check` only compares, and exits 1 when a file is missing, differs, or belongs to no dashboard.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DASHBOARDS_FOLDER, dashboardFiles } from './dashboard-files.ts'

const isCheck = process.argv.includes('--check')
mkdirSync(DASHBOARDS_FOLDER, { recursive: true })
const present = new Map(
  readdirSync(DASHBOARDS_FOLDER).map((name) => [
    name,
    readFileSync(join(DASHBOARDS_FOLDER, name), 'utf8'),
  ]),
)
const wanted = dashboardFiles()
const changed = [...wanted].filter(([name, text]) => present.get(name) !== text)
const superfluous = [...present.keys()].filter((name) => !wanted.has(name))

for (const [name, text] of changed) {
  if (!isCheck) writeFileSync(join(DASHBOARDS_FOLDER, name), text)
  process.stdout.write(`${name}: ${isCheck ? 'differs from its source' : 'written'}\n`)
}
for (const name of superfluous) {
  if (!isCheck) rmSync(join(DASHBOARDS_FOLDER, name))
  process.stdout.write(`${name}: ${isCheck ? 'has no source' : 'removed'}\n`)
}
if (changed.length + superfluous.length === 0)
  process.stdout.write(`${wanted.size} dashboards are up to date.\n`)
else if (isCheck) {
  process.stderr.write('Run "npm run dashboards" and commit the result.\n')
  process.exitCode = 1
}
