// State of one partition under one epoch: one read and one write per micro-batch, whatever its size.
//
// A read is a single MGET of the partition's epoch and progress, the progress of all partitions, and those values of
// the batch's cards, and of its entities in every partition, that are not in memory. MGET is atomic, so each
// partition's progress says exactly which events its partial aggregates include: that is the frontier. The partition's
// own epoch and progress show whether the state is still as this session left it: a Redis that was emptied, or restored
// to an earlier state, is detected before anything is decided from it. A write is one script: fence, the same check,
// values, progress.

import { isSluiceError } from '../../core/errors.ts'
import { revisableFromMs } from '../../core/features/engine/late-revisions.ts'
import {
  encodeProgress,
  type Frontier,
  type PartitionProgress,
  type PageRun,
} from '../../core/stream/partition-progress.ts'
import type { RedisOperation } from '../metrics/partition-metrics.ts'
import { decodeDamage, encodeDamage } from './damage-note.ts'
import { type DamagedPart, ForeignParts } from './foreign-parts.ts'
import type { PartitionKeys } from './keys.ts'
import type { PartitionOwner, PartitionOwners } from './partition-owners.ts'
import { Snapshot } from './partition-snapshot.ts'
import type {
  CommittedFrontier,
  PartitionReading,
  PartitionSession,
  PartitionSnapshot,
  LateNeeds,
  NeededMessage,
  WriteReply,
} from './partition-store-contract.ts'
import { MessagePages } from './message-pages.ts'
import { OwnValues, type ValueLocation } from './own-values.ts'
import type { StateCodec } from './state-codec.ts'
import { timeToLiveS } from './time-to-live.ts'
import type { CachedValues, ValueCache } from './value-cache.ts'
import { encodeWrite, packLengths } from './value-write.ts'

/** A partition that was rebuilt since the last read has its state under other keys; it is then read once more. */
const READS_MAX = 2

/** Commands of a session. */
export interface SessionCommands {
  mget(keys: readonly string[]): Promise<(Buffer | null)[]>
  set(key: string, value: string): Promise<unknown>
  fencedWrite(keyCount: number, ...args: (string | number | Buffer)[]): Promise<number>
  switchGeneration(...args: (string | number)[]): Promise<number>
}

/** Dependencies that all sessions of one store share. */
export interface SessionShared {
  readonly commands: SessionCommands
  readonly keys: readonly PartitionKeys[]
  /** Each session has a codec of its own and reuses its buffers. */
  readonly openCodec: () => StateCodec
  readonly cache: ValueCache
  /** Generation of each partition as last read. */
  readonly generations: number[]
  readonly owners: PartitionOwners
  readonly call: <Reply>(
    operation: RedisOperation,
    limitMs: number,
    command: () => Promise<Reply>,
  ) => Promise<Reply>
}

/** Initial state of a session. */
export interface SessionStart {
  readonly partition: number
  readonly epoch: number
  readonly progress: PartitionProgress
  readonly purpose: 'work' | 'rebuild'
  /** Text stored under the key of the progress; empty for none. */
  readonly leftText: string
  /** Pages of messages that belong to the state. */
  readonly runs: readonly PageRun[]
  readonly answerMsMax: number
}

export class RedisPartitionSession implements PartitionSession, PartitionOwner {
  readonly epoch: number
  answerMsMax: number
  readonly #shared: SessionShared
  readonly #partition: number
  readonly #keys: PartitionKeys
  readonly #codec: StateCodec
  readonly #foreign: ForeignParts
  readonly #messages: MessagePages
  /** Cards by name, own partial aggregates of entities by key. */
  readonly kept: CachedValues
  #progress: PartitionProgress
  #purpose: 'work' | 'rebuild'
  #leftText: string
  /** Progress of a write that is in flight or was not answered; null for none. */
  #sentText: string | null = null
  /** End of the batches that are folded into memory; null during a fold. */
  #folded: PartitionProgress | null
  #isClosed = false

  constructor(shared: SessionShared, start: SessionStart) {
    const keys = shared.keys[start.partition]
    if (keys === undefined) throw new RangeError(`Partition ${start.partition} does not exist.`)
    this.#shared = shared
    this.#keys = keys
    this.#codec = shared.openCodec()
    this.kept = shared.cache.open()
    const foreign = { ...shared, codec: this.#codec, kept: shared.cache.open() }
    this.#foreign = new ForeignParts(foreign, start.partition)
    this.epoch = start.epoch
    this.#messages = new MessagePages({
      runs: start.runs,
      newestEventMs: start.progress.newestEventMs,
      kept: shared.cache.open(),
    })
    this.#progress = start.progress
    this.#folded = start.progress
    this.#purpose = start.purpose
    this.#leftText = start.leftText
    this.answerMsMax = start.answerMsMax
    this.#partition = start.partition
    if (start.purpose === 'work') shared.owners.enter(start.partition, this)
  }

  get progress(): PartitionProgress {
    return this.#progress
  }

  get generation(): number {
    return this.#progress.generation
  }

  get isQuiescent(): boolean {
    return this.#sentText === null
  }

  get folded(): PartitionProgress | null {
    return this.#folded
  }

  holds(progressText: string): boolean {
    if (this.#isClosed) return false
    return progressText === this.#leftText || progressText === this.#sentText
  }

  get isRebuild(): boolean {
    return this.#purpose === 'rebuild'
  }

  async read(
    cards: readonly string[],
    entities: readonly number[],
    next: Frontier,
  ): Promise<PartitionReading> {
    const page = this.#messages.begin(next.nextOffset)
    return this.#read(cards, entities, page === null ? [] : [page], next)
  }

  async #read(
    cards: readonly string[],
    entities: readonly number[],
    pages: readonly number[],
    next: Frontier,
  ): Promise<PartitionReading> {
    for (let attempt = 1; ; attempt += 1) {
      const own = new OwnValues(this.#location, { cards, entities, pages })
      const { missing } = own
      const foreign = this.#purpose === 'work' ? this.#foreign.plan(entities, attempt === 1) : null
      const values = await this.#mget([
        ...[this.#keys.epoch, this.#progressKey, this.#keys.damage],
        ...missing,
        ...(foreign?.keys ?? []),
      ])
      const verdict = this.#verdict(values)
      if (verdict !== null) return verdict
      const found = foreign?.take(values.slice(3 + missing.length))
      if (found?.isCurrent === false && attempt < READS_MAX) continue
      if (await this.#isDamaged(values[2] ?? null)) return { kind: 'lost', loss: 'corrupt' }
      try {
        own.take(values.slice(3, 3 + missing.length), next)
      } catch (error) {
        if (isSluiceError(error, 'SLUICE_STATE_CORRUPT')) return { kind: 'lost', loss: 'corrupt' }
        throw error
      }
      if (found !== undefined && found.damaged !== null) await this.#notifyOwner(found.damaged)
      return {
        kind: 'read',
        snapshot: new Snapshot({
          cards: own.cards,
          parts: own.parts,
          foreign: found ?? null,
          messages: this.#messages,
        }),
      }
    }
  }

  async readMore(
    snapshot: PartitionSnapshot,
    { entities, messages: needed }: LateNeeds,
    next: Frontier,
  ): Promise<PartitionReading> {
    if (!(snapshot instanceof Snapshot))
      throw new TypeError('The snapshot belongs to another store.')
    const messages = this.#messages
    const pages = messages.unreadOf(needed.map(({ offset }) => offset))
    const more = await this.#read([], entities, pages, next)
    if (more.kind !== 'read') return more
    // A message that should be stored and is missing is lost state, never a message that was not stored.
    const fromMs = revisableFromMs(this.#progress.newestEventMs)
    const isGone = ({ offset, eventTimeMs }: NeededMessage): boolean =>
      eventTimeMs >= fromMs && messages.find(offset) === null
    if (needed.some(isGone)) return { kind: 'lost', loss: 'corrupt' }
    // The frontier of the first read applies to the whole batch; what others have added since is outside it.
    if (more.snapshot instanceof Snapshot) more.snapshot.mergeInto(snapshot)
    return { kind: 'read', snapshot }
  }

  beginFold(snapshot: PartitionSnapshot): void {
    if (!(snapshot instanceof Snapshot))
      throw new TypeError('The snapshot belongs to another store.')
    snapshot.seeFolded()
    this.#folded = null
  }

  endFold(snapshot: PartitionSnapshot, progress: PartitionProgress): void {
    if (!(snapshot instanceof Snapshot))
      throw new TypeError('The snapshot belongs to another store.')
    if (this.#isClosed) return
    for (const index of snapshot.parts.changed) {
      this.#shared.owners.notePresent(this.#partition, this, snapshot.parts.idAt(index))
    }
    snapshot.cards.cacheChanged(this.kept)
    snapshot.parts.cacheChanged(this.kept)
    this.#folded = progress
  }

  async write(
    snapshot: PartitionSnapshot,
    progress: PartitionProgress,
    committed: CommittedFrontier,
  ): Promise<WriteReply> {
    if (!(snapshot instanceof Snapshot))
      throw new TypeError('The snapshot belongs to another store.')
    const { commands } = this.#shared
    const codec = this.#codec
    const { generation } = progress
    const written = encodeWrite(snapshot, codec, this.#keys, generation, committed)
    const text = encodeProgress(progress, this.#messages.runs)
    this.#sentText = text
    const bytes = codec.take()
    const reply = await this.#call('write', () =>
      commands.fencedWrite(
        2 + written.wholeKeys.length + written.addedKeys.length,
        ...[this.#keys.epoch, this.#progressKey, ...written.wholeKeys, ...written.addedKeys],
        ...[this.epoch, timeToLiveS(), this.#leftText, text],
        ...[written.wholeKeys.length, bytes, packLengths(written)],
      ),
    )
    // After a failure the session is closed, and the buffers of a write in flight are not reused.
    codec.recycle()
    if (reply !== 1) return reply === 0 ? 'fenced' : 'lost'
    this.#leftText = text
    this.#sentText = null
    this.#progress = progress
    return 'written'
  }

  async confirm(): Promise<'stands' | 'fenced' | 'lost'> {
    const values = await this.#mget([this.#keys.epoch, this.#progressKey])
    return this.#verdict(values)?.kind ?? 'stands'
  }

  async switchOver(): Promise<WriteReply> {
    const { epoch, restore, progress, damage } = this.#keys
    const reply = await this.#call('write', () =>
      this.#shared.commands.switchGeneration(
        ...[epoch, restore, progress, damage],
        ...[this.epoch, this.#leftText],
      ),
    )
    if (reply !== 1) return reply === 0 ? 'fenced' : 'lost'
    this.#purpose = 'work'
    if (!this.#isClosed) this.#shared.owners.enter(this.#partition, this)
    return 'written'
  }

  close(): void {
    this.#isClosed = true
    this.#shared.owners.leave(this.#partition, this)
    this.kept.clear()
    this.#messages.close()
    this.#foreign.close()
  }

  get #location(): ValueLocation {
    const { generation } = this.#progress
    const [codec, messages] = [this.#codec, this.#messages]
    return { codec, keys: this.#keys, generation, kept: this.kept, messages }
  }

  get #progressKey(): string {
    return this.#purpose === 'work' ? this.#keys.progress : this.#keys.restore
  }

  /** Interprets the first two values, epoch and progress; null means that the state is as this session left it. */
  #verdict([epochBytes, leftBytes]: readonly (Buffer | null)[]): Exclude<
    PartitionReading,
    { readonly kind: 'read' }
  > | null {
    const epoch = epochBytes?.toString() ?? ''
    if (Number(epoch) > this.epoch) return { kind: 'fenced' }
    const left = leftBytes?.toString() ?? ''
    if (epoch === '' || (left === '' && this.#leftText !== '')) {
      return { kind: 'lost', loss: 'emptied' }
    }
    if (Number(epoch) < this.epoch || left !== this.#leftText) {
      return { kind: 'lost', loss: 'rolled_back' }
    }
    return null
  }

  async #notifyOwner({ noteKey, note }: DamagedPart): Promise<void> {
    await this.#call('write', () => this.#shared.commands.set(noteKey, encodeDamage(note)))
  }

  /**
   * Checks a reader's note that a value of this partition is damaged. Returns true if this session cannot decode it
   * either.
   */
  async #isDamaged(bytes: Buffer | null): Promise<boolean> {
    const note = decodeDamage(bytes?.toString() ?? '')
    if (note === null) return false
    const { generation } = this.#progress
    if (note.generation === generation && note.key.startsWith(this.#keys.entities(generation))) {
      const [value = null] = await this.#mget([note.key])
      try {
        this.#codec.decodeEntity(value)
      } catch (error) {
        if (isSluiceError(error, 'SLUICE_STATE_CORRUPT')) return true
        throw error
      }
    }
    await this.#call('write', () => this.#shared.commands.set(this.#keys.damage, ''))
    return false
  }

  #mget(keys: readonly string[]): Promise<(Buffer | null)[]> {
    return this.#call('read', () => this.#shared.commands.mget(keys))
  }

  #call<Reply>(operation: RedisOperation, command: () => Promise<Reply>): Promise<Reply> {
    return this.#shared.call(operation, this.answerMsMax, command)
  }
}
