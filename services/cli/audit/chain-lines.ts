// What a chain check found, as lines for people.

import type { ChainSummary, HeadStatus } from '../../core/audit/chain-check.ts'

const SHOWN_MAX = 20

const HEAD: Readonly<Record<HeadStatus, string>> = {
  first: 'whole from the first block on',
  anchored: 'an anchor vouches for the beginning',
  unverified: 'THE BEGINNING IS NOT VERIFIED',
  empty: 'no block',
}

export function chainLines(summaries: readonly ChainSummary[]): readonly string[] {
  const findings = summaries.flatMap((summary) => summary.findings)
  const blocks = summaries.reduce((sum, each) => sum + each.blocks, 0)
  const decisions = summaries.reduce((sum, each) => sum + each.decisions, 0)
  return [
    ...summaries.map(partitionLine),
    ...(findings.length === 0 ? [] : ['']),
    ...findings.slice(0, SHOWN_MAX).map(({ fault, partition, offset, detail }) => {
      const place = offset === null ? `decisions/${partition}` : `decisions/${partition}/${offset}`
      return `!! ${fault} ${place}: ${detail}`
    }),
    ...(findings.length > SHOWN_MAX ? [`and ${findings.length - SHOWN_MAX} more`] : []),
    '',
    findings.length === 0
      ? `${blocks} blocks with ${decisions} decisions: the chain holds.`
      : `The chain is broken: ${findings.length} findings in ${blocks} blocks.`,
  ]
}

function partitionLine({
  partition,
  blocks,
  decisions,
  head,
  blocksBefore,
  newest,
}: ChainSummary): string {
  const before =
    blocksBefore === null || blocksBefore === 0 ? '' : `, ${blocksBefore} blocks before it are gone`
  const end = newest === null ? '' : `; newest ${newest.offset} ${newest.hash.slice(0, 16)}`
  return `partition ${partition}: ${blocks} blocks, ${decisions} decisions, ${HEAD[head]}${before}${end}`
}
