import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isSluiceError, type ErrorCode } from '../../../../services/core/errors.ts'
import { createCodecs } from '../../../../services/core/wire/codecs.ts'
import { SUBJECTS } from '../../../../services/core/wire/schema-registry.ts'
import {
  FileRegistry,
  parseRegistryFile,
  schemaFolder,
} from '../../../../services/platform/registry/file-registry.ts'

describe('file registry', () => {
  let folder = ''

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-registry-'))
  })
  after(() => rm(folder, { recursive: true }))

  async function copy(name: string): Promise<string> {
    const target = join(folder, name)
    await cp(schemaFolder(), target, { recursive: true })
    return target
  }

  test('gives all subjects, and codecs can be made of them', async () => {
    const content = await new FileRegistry().load()
    const subjects = new Set(content.schemas.map(({ subject }) => subject))
    assert.deepEqual([...subjects].toSorted(), SUBJECTS.toSorted())
    assert.equal(createCodecs(content).knows(content.schemas[0]?.id ?? -1), true)
  })

  test('refuses a file that was changed after its release, and names it', async () => {
    const target = await copy('changed')
    const path = join(target, 'label/v1.avsc')
    await writeFile(path, (await readFile(path, 'utf8')).replace('"genuine"', '"genuin"'))
    await rejectsWith(target, 'SLUICE_SCHEMA_INCOMPATIBLE', /label\/v1\.avsc/)
  })

  test('refuses a folder in which a file is missing or no JSON', async () => {
    const lost = await copy('lost')
    await rm(join(lost, 'alert/v1.avsc'))
    await rejectsWith(lost, 'SLUICE_SCHEMA_UNKNOWN', /alert/)
    const torn = await copy('torn')
    await writeFile(join(torn, 'alert/v1.avsc'), '{"type": "rec')
    await rejectsWith(torn, 'SLUICE_CONFIG_INVALID', /alert/)
    await rejectsWith(join(folder, 'nowhere'), 'SLUICE_SCHEMA_UNKNOWN', /nowhere/)
  })

  test('knows no schema by id beyond those of the folder', async () => {
    assert.equal(await new FileRegistry().fetchSchema(), null)
  })

  async function rejectsWith(target: string, code: ErrorCode, message: RegExp): Promise<void> {
    await assert.rejects(
      new FileRegistry(target).load(),
      (error: unknown) => isSluiceError(error, code) && message.test(error.message),
    )
  }
})

test('registry.json is refused with the entry, the value and the remedy', () => {
  const good = {
    id: 1,
    subject: 'alert',
    version: 1,
    file: 'alert/v1.avsc',
    fingerprint: 'a'.repeat(64),
  }
  assert.deepEqual(parseRegistryFile({ schemas: [good] }), [good])
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [null, /not a list/],
    [{ schemas: {} }, /not a list/],
    [{ schemas: [null] }, /entry 0 is not an object/],
    [{ schemas: [{ ...good, subject: 'payment' }] }, /"payment"/],
    [{ schemas: [{ ...good, id: 2 ** 31 }] }, /2147483648/],
    [{ schemas: [{ ...good, id: '1' }] }, /id "1"/],
    [{ schemas: [{ ...good, version: 0 }] }, /version "0"/],
    [{ schemas: [{ ...good, file: '../../secret' }] }, /secret/],
    [{ schemas: [{ ...good, fingerprint: undefined }] }, /no fingerprint/],
    [{ schemas: [good, { ...good, subject: 'lease', file: 'lease/v1.avsc' }] }, /id 1 .* twice/],
    [{ schemas: [good, { ...good, id: 2 }] }, /alert v1 is listed twice/],
  ]
  for (const [json, message] of wrong) {
    assert.throws(
      () => parseRegistryFile(json),
      (error: unknown) =>
        isSluiceError(error, 'SLUICE_CONFIG_INVALID') &&
        message.test(error.message) &&
        error.message.includes('sluice schemas write'),
    )
  }
})
