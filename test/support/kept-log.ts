// A logger whose lines tests can examine, as objects.

import { type Logger, openLogger } from '../../services/platform/log.ts'

export interface KeptLine extends Readonly<Record<string, unknown>> {
  readonly level: string
  readonly msg: string
}

/** The real logger, down to `debug`, with its lines collected instead of written. */
export function openKeptLog(): { readonly log: Logger; readonly lines: readonly KeptLine[] } {
  const lines: KeptLine[] = []
  const log = openLogger('test', 'debug', 'json', {
    write: (line) => {
      lines.push(JSON.parse(line) as KeptLine)
    },
  })
  return { log, lines }
}
