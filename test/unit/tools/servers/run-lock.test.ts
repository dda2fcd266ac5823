import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'node:test'
import { withRunLock } from '../../../../tools/servers/run-lock.ts'

function lockPath(): string {
  return join(mkdtempSync(join(tmpdir(), 'sluice-lock-')), 'run', 'stack.lock')
}

const silent = { onWait: () => undefined }

test('while one holds the lock the others wait, and each gets its turn', async () => {
  const path = lockPath()
  let inside = 0
  const most: number[] = []
  let waits = 0
  const work = async (): Promise<void> => {
    inside += 1
    most.push(inside)
    for (let turn = 0; turn < 20; turn += 1) await nextTurn()
    inside -= 1
  }
  const options = {
    onWait: () => {
      waits += 1
    },
  }
  await Promise.all(Array.from({ length: 4 }, () => withRunLock(path, options, work)))
  deepStrictEqual(most, [1, 1, 1, 1])
  strictEqual(waits, 3)
  deepStrictEqual(readdirSync(dirname(path)), [])
})

test('the lock of a process that has ended counts for nothing', async () => {
  const path = lockPath()
  mkdirSync(dirname(path), { recursive: true })
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  for (const content of [JSON.stringify({ pid, startTime: '1' }), '', 'garbage', 'null']) {
    writeFileSync(path, content)
    strictEqual(await withRunLock(path, silent, () => Promise.resolve(7)), 7)
  }
})

test('the lock is released when the work fails', async () => {
  const path = lockPath()
  await rejects(
    withRunLock(path, silent, () => Promise.reject(new Error('no luck'))),
    /no luck/,
  )
  strictEqual(existsSync(path), false)
})

test('waiting for the lock ends when it is aborted', async () => {
  const path = lockPath()
  const controller = new AbortController()
  await withRunLock(path, silent, async () => {
    const second = withRunLock(
      path,
      {
        onWait: () => {
          controller.abort(new Error('enough'))
        },
        signal: controller.signal,
      },
      () => Promise.resolve(),
    )
    await rejects(second, /enough/)
  })
})
