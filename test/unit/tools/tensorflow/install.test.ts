// Goal: an installation names its needs, changes nothing when it is impossible, and continues where it stopped.
// Method: machines that lack something, folders that hold something else, steps that fail; no network. The complete
// installation is run by hand (docs/backends.md).

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { installBackend, type InstallOptions } from '../../../../tools/tensorflow/install.ts'
import { findPrograms, RECIPES } from '../../../../tools/tensorflow/recipe.ts'
import { once, runStep } from '../../../../tools/tensorflow/steps.ts'

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-install-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  return folder
}

const quiet = (): void => undefined
const linux = { platform: 'linux', arch: 'x64', freeBytes: 2 ** 40 } as const

test('everything that a machine lacks is named at once, with the command that installs it', async (t) => {
  const machine = { ...linux, searchPath: folderOf(t), freeBytes: 2 ** 20 }
  await assert.rejects(findPrograms(RECIPES.cpu, machine), (error) => {
    assert.ok(isSluiceError(error, 'SLUICE_PREREQUISITE_MISSING'), String(error))
    for (const what of ['npm', 'python3', 'C\\+\\+ compiler', 'nm', 'GiB of free disk']) {
      assert.match(error.message, new RegExp(`- .*${what}`))
    }
    assert.match(error.message, /apt-get install .*Nothing was changed/)
    return true
  })
})

test('on a platform without TensorFlow, WebGPU is suggested', async (t) => {
  const machine = { ...linux, platform: 'darwin', arch: 'arm64', searchPath: folderOf(t) }
  await assert.rejects(findPrograms(RECIPES.gpu, machine), /Linux on x86-64.*--webgpu/s)
  await assert.rejects(findPrograms(RECIPES.webgpu, machine), (error) => {
    assert.ok(isSluiceError(error, 'SLUICE_PREREQUISITE_MISSING'), String(error))
    assert.deepEqual(error.details['missing'], ['npm'])
    return true
  })
})

test('a folder that holds something else is left alone', async (t) => {
  const root = folderOf(t)
  const folder = join(root, 'mine')
  mkdirSync(folder)
  writeFileSync(join(folder, 'thesis.txt'), 'years')
  const options: InstallOptions = {
    root,
    kind: 'cpu',
    folder,
    searchPath: '',
    force: true,
    onProgress: quiet,
  }
  await assert.rejects(installBackend(options), (error) => isSluiceError(error, 'SLUICE_USAGE'))
  assert.deepEqual(readdirSync(folder), ['thesis.txt'])
  assert.equal(existsSync(join(root, '.sluice/tensorflow')), false)
})

test('a complete step is not repeated, and a failed one is', async (t) => {
  const context = { work: folderOf(t), onProgress: quiet }
  const ran: string[] = []
  const step = (name: string, code: number): Promise<void> =>
    once(context, name, async () => {
      ran.push(name)
      await runStep(context, name, ['sh', '-c', `echo why; exit ${code}`], { limitMs: 10_000 })
    })
  await step('one', 0)
  await assert.rejects(step('two', 3), (error) => {
    assert.ok(isSluiceError(error, 'SLUICE_PROVISION_FAILED'), String(error))
    assert.match(error.message, /two failed \(exit code 3\):\nwhy\n.*continues from here/)
    return true
  })
  // As after a restart.
  await step('one', 0)
  await step('two', 0)
  await step('two', 0)
  assert.deepEqual(ran, ['one', 'two', 'two'])
})
