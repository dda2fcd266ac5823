// Checks the hash chain of one partition's decision batches from the oldest to the newest and reports where it breaks.
// Anchors hold the hashes of some batches in an append-only file of JSON lines outside Kafka. They also prove the
// beginning of the chain after retention has deleted earlier batches.

import { z } from 'zod'
import { parseJson } from '../parse-json.ts'
import type { DecisionBatch } from '../wire/records.ts'
import { batchHashOf } from './batch-hash.ts'

const COUNT = z.int().nonnegative()
const ANCHOR = z.object({
  streamId: z.string(),
  partition: COUNT,
  /** Offset of the batch in the decisions topic. */
  offset: COUNT,
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Decision batches of the partition up to and including this one, as far back as was known. */
  blocks: COUNT,
  decidedAtMs: COUNT,
  anchoredAtMs: COUNT,
})

export type Anchor = Readonly<z.infer<typeof ANCHOR>>

export function anchorLine(anchor: Anchor): string {
  return `${JSON.stringify(anchor)}\n`
}

/** The anchor in a line; null when the line is not an anchor. */
export function parseAnchor(line: string): Anchor | null {
  return parseJson(ANCHOR, line)
}

/** Faults of a chain. Closed list. */
export const CHAIN_FAULTS = [
  'altered_batch',
  'missing_batch',
  'out_of_order',
  'unreadable_batch',
  'anchor_differs',
  'anchor_missing',
  'head_unverified',
  'tail_missing',
] as const
export type ChainFault = (typeof CHAIN_FAULTS)[number]

export interface ChainFinding {
  readonly fault: ChainFault
  readonly partition: number
  /** Offset of the batch in the decisions topic; null when it is missing there. */
  readonly offset: number | null
  readonly detail: string
}

/** Evidence for the first batch present: nothing precedes it, an anchor vouches for it, or neither. */
export type HeadStatus = 'first' | 'anchored' | 'unverified' | 'empty'

export interface ChainSummary {
  readonly partition: number
  readonly blocks: number
  readonly decisions: number
  readonly erasedDecisions: number
  readonly head: HeadStatus
  /**
   * Number of decision batches before the oldest one present, according to the anchors; null without such an anchor.
   */
  readonly blocksBefore: number | null
  /** The newest decision batch; null when there is none. */
  readonly newest: Omit<Anchor, 'anchoredAtMs'> | null
  readonly findings: readonly ChainFinding[]
}

/** Most findings kept per partition; the first break is the one that matters. */
export const FINDINGS_MAX = 1_000

const SHOWN_DIGITS = 16

interface Seen {
  readonly offset: number
  readonly hash: Buffer
  readonly block: DecisionBatch
}

export class ChainCheck {
  readonly #partition: number
  #anchors: readonly Anchor[]
  readonly #findings: ChainFinding[] = []
  #last: Seen | null = null
  #first: { readonly offset: number; readonly previousHash: Uint8Array } | null = null
  #blocks = 0
  #decisions = 0
  #erased = 0
  /** Number of decision batches before the oldest one present, according to the newest matching anchor. */
  #before: number | null = null
  #isVouchedFor = false
  #nextAnchor = 0
  #hasBroken = false
  readonly #committedHash: string | null
  #hasCommitted = false

  /** `committedHash`, base64: the hash that the scorer last committed; null when it is not known. */
  constructor(partition: number, anchors: readonly Anchor[], committedHash: string | null) {
    this.#partition = partition
    this.#anchors = anchors
      .filter((anchor) => anchor.partition === partition)
      .toSorted((a, b) => a.offset - b.offset)
    this.#committedHash = committedHash
  }

  /** Adds the next message of the partition; `block` is null when the message cannot be read as a decision batch. */
  add(offset: number, block: DecisionBatch | null): void {
    if (block === null) {
      this.#find('unreadable_batch', offset, 'the message is no decision batch')
      return
    }
    const hash = batchHashOf(block)
    if (this.#first === null) this.#begin(offset, block)
    else if (this.#last !== null) this.#link(this.#last, offset, block)
    this.#blocks += 1
    this.#decisions += block.decisions.length
    this.#erased += block.erased.length
    this.#last = { offset, hash, block }
    if (hash.toString('base64') === this.#committedHash) this.#hasCommitted = true
    this.#meetAnchors(offset, hash)
  }

  finish(): ChainSummary {
    const last = this.#last
    const head = this.#headStatus()
    // Retention may have removed everything of a partition that was quiet for long.
    if (head === 'empty') return this.#summary(head)
    // There must be no anchor beyond the newest decision batch.
    for (const anchor of this.#anchors.slice(this.#nextAnchor)) this.#missing(anchor)
    if (head === 'unverified') {
      this.#find(
        'head_unverified',
        this.#first?.offset ?? null,
        `the oldest block names one before it (${short(this.#first?.previousHash)}) that is gone, and no anchor vouches for it`,
      )
    }
    if (this.#committedHash !== null && this.#committedHash !== '' && !this.#hasCommitted) {
      this.#find(
        'tail_missing',
        last?.offset ?? null,
        `the scorer last committed the block ${short(Buffer.from(this.#committedHash, 'base64'))}, which is not there as it was`,
      )
    }
    return this.#summary(head)
  }

  #summary(head: HeadStatus): ChainSummary {
    const last = this.#last
    return {
      partition: this.#partition,
      blocks: this.#blocks,
      decisions: this.#decisions,
      erasedDecisions: this.#erased,
      head,
      blocksBefore: head === 'first' ? 0 : this.#before,
      newest: last === null ? null : this.#newest(last),
      findings: this.#findings,
    }
  }

  #begin(offset: number, { previousHash, streamId }: DecisionBatch): void {
    this.#first = { offset, previousHash }
    // One file may hold the anchors of several streams.
    this.#anchors = this.#anchors.filter((anchor) => anchor.streamId === streamId)
    if (previousHash.length === 0) this.#before = 0
    // Anchors of removed batches: the newest of them may be the very batch before the first one present.
    while ((this.#anchors[this.#nextAnchor]?.offset ?? Infinity) < offset) {
      const anchor = this.#anchors[this.#nextAnchor]
      this.#nextAnchor += 1
      if (anchor?.hash !== hexOf(previousHash)) continue
      this.#isVouchedFor = true
      this.#before = anchor.blocks
    }
  }

  #link(last: Seen, offset: number, block: DecisionBatch): void {
    if (last.hash.equals(block.previousHash)) return
    this.#hasBroken = true
    const names = `names ${short(block.previousHash)} as the one before it, and ${last.offset} is ${short(last.hash)}`
    if (block.nextOffset < last.block.nextOffset) {
      this.#find(
        'out_of_order',
        offset,
        `it ${names}; its transactions come before those of ${last.offset}`,
      )
    } else if (block.firstOffset > last.block.nextOffset) {
      const gap = `transactions ${last.block.nextOffset} to ${block.firstOffset - 1} are answered by neither`
      this.#find('missing_batch', offset, `it ${names}; ${gap}`)
    } else {
      this.#find(
        'altered_batch',
        last.offset,
        `${offset} ${names}; one of the two was altered, or one between them is gone`,
      )
    }
  }

  #meetAnchors(offset: number, hash: Buffer): void {
    for (;;) {
      const anchor = this.#anchors[this.#nextAnchor]
      if (anchor === undefined || anchor.offset > offset) return
      this.#nextAnchor += 1
      if (anchor.offset < offset) this.#missing(anchor)
      else if (anchor.hash !== hash.toString('hex')) {
        const was = `it was anchored as ${anchor.hash.slice(0, SHOWN_DIGITS)}`
        this.#find('anchor_differs', offset, `the batch is ${short(hash)}, and ${was}`)
      } else if (!this.#hasBroken) {
        // Its hash commits to all decision batches that link to it.
        this.#isVouchedFor = true
        this.#before = anchor.blocks - this.#blocks
      }
    }
  }

  #missing({ offset, hash }: Anchor): void {
    this.#find(
      'anchor_missing',
      null,
      `the block ${offset}, anchored as ${hash.slice(0, SHOWN_DIGITS)}, is gone`,
    )
  }

  #headStatus(): HeadStatus {
    if (this.#first === null) return 'empty'
    // An anchor states the number of batches, which exposes a batch that wrongly claims to be the first.
    if (this.#first.previousHash.length === 0 && !this.#isLateStart()) return 'first'
    return this.#isVouchedFor ? 'anchored' : 'unverified'
  }

  /** True when an anchor names earlier decision batches. */
  #isLateStart(): boolean {
    return this.#before !== null && this.#before !== 0
  }

  #newest({ offset, hash, block }: Seen): Omit<Anchor, 'anchoredAtMs'> {
    return {
      streamId: block.streamId,
      partition: this.#partition,
      offset,
      hash: hash.toString('hex'),
      blocks: Math.max(0, this.#before ?? 0) + this.#blocks,
      decidedAtMs: block.decidedAtMs,
    }
  }

  #find(fault: ChainFault, offset: number | null, detail: string): void {
    if (this.#findings.length >= FINDINGS_MAX) return
    this.#findings.push({ fault, partition: this.#partition, offset, detail })
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function short(hash: Uint8Array | undefined): string {
  return hash === undefined || hash.length === 0 ? 'none' : hexOf(hash).slice(0, SHOWN_DIGITS)
}
