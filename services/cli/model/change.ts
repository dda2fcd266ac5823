// Says to a stream which models are to serve.

import { controlOf, NO_WISH, type Wish } from '../../core/control/wish.ts'
import { systemClock } from '../../platform/clock.ts'
import { publishControl, readWish, type ControlAccess } from '../../platform/kafka/control-topic.ts'
import { printJson, printLine } from '../command.ts'
import { authorOf, type ChangeOptions } from './model-stream.ts'

/** What is in force, nothing said being `NO_WISH`. */
export async function wishInForce(access: ControlAccess): Promise<Wish> {
  return (await readWish(access, 'model'))?.wish ?? NO_WISH
}

/** Publishes the wish and prints what was said. */
export async function publishWish(
  access: ControlAccess,
  wish: Wish,
  options: ChangeOptions,
  reason = options.reason,
): Promise<void> {
  const word = { author: authorOf(options), reason, atMs: systemClock.nowMs() }
  const position = await publishControl(access, controlOf(wish, word))
  if (options.json === true) {
    printJson({ position, active: wish.active, shadow: wish.shadow, ...word })
    return
  }
  printLine(`active  ${wish.active ?? "the scorers' own (SLUICE_MODEL)"}`)
  printLine(`shadow  ${wish.shadow ?? 'none'}`)
  printLine(
    `said at offset ${position} of ${access.topicPrefix}control; scorers switch between batches`,
  )
}
