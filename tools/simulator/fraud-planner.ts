// The frauds that are planned ahead: an episode is a list of payments, made when the episode begins.
//
// | pattern              | what it looks like |
// | -------------------- | ------------------ |
// | card_testing         | 8 to 20 e-commerce payments of 0.50 to 3.00 within minutes, one device, many declined; half of the time one large purchase after them |
// | stolen_card          | 3 to 8 card-present payments minutes apart, several times the usual amount, at merchants whose goods are easily sold on |
// | compromised_terminal | for weeks, most payments at one tampered terminal are fraud, dearer than usual (compromised-terminals.ts) |
// | impossible_travel    | soon after the holder paid in one city, a magstripe copy pays in a city that no aircraft reaches in that time |
// | account_takeover     | a device and network never seen with the card: one small e-commerce payment, then 2 to 5 larger ones within hours |
// | below_limit          | 5 to 12 payments, each just below the same limit (50.00, 100.00, ... 500.00) |
// | leaked_card          | on 2 to 4 nights, local 00:30 to 04:30, bursts of e-commerce with no device or a changing one |
// | device_sweep         | one device pays 12 to 30 times, with many cards, at one to three merchants within an hour and a half |
// | friendly_fraud       | the holder pays as always, and disputes it weeks later: not to be seen in the payment itself |

import { FRAUD_PATTERNS, type FraudPattern } from '../../services/producer/stream-event.ts'
import { Chance } from './chance.ts'
import { localMidnightMs, type Payment, usualAmountMinor } from './genuine.ts'
import type { SimulatorOptions } from './options.ts'
import {
  type Card,
  type City,
  ipNetworkOf,
  type Merchant,
  roughDistanceKm,
  type Terminal,
  type World,
} from './world.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** A city this far away cannot be reached between two payments of an episode. */
const FAR_KM_MIN = 1_000
const LIMITS_MINOR = [5_000, 10_000, 15_000, 25_000, 50_000]
const SEARCHES_MAX = 12

/** The patterns whose episodes are planned here. */
export type PlannedPattern = Exclude<
  FraudPattern,
  'compromised_terminal' | 'impossible_travel' | 'friendly_fraud'
>

/** Plans an episode that begins at or soon after `nowMs`; its payments are in time order. */
export function planEpisode(
  pattern: PlannedPattern,
  nowMs: number,
  world: World,
  chance: Chance,
): readonly Payment[] {
  const card = chance.pick(world.cards)
  switch (pattern) {
    case 'card_testing':
      return cardTesting(card, nowMs, world, chance)
    case 'stolen_card':
      return stolenCard(card, nowMs, world, chance)
    case 'account_takeover':
      return accountTakeover(card, nowMs, world, chance)
    case 'below_limit':
      return belowLimit(card, nowMs, world, chance)
    case 'leaked_card':
      return leakedCard(card, nowMs, world, chance)
    case 'device_sweep':
      return deviceSweep(nowMs, world, chance)
  }
}

/** A copy of the card pays far away soon after `seen`; null when the world has no far city. */
export function impossibleTravel(
  seen: Payment,
  world: World,
  chance: Chance,
): readonly Payment[] | null {
  const from = seen.merchant.city
  const far = world.cities.filter((city) => roughDistanceKm(from, city) >= FAR_KM_MIN)
  if (far.length === 0) return null
  const city = chance.pick(far)
  let timeMs = seen.timeMs + chance.integer(20 * MINUTE_MS, 75 * MINUTE_MS)
  return Array.from({ length: chance.integer(2, 5) }, () => {
    const payment = presentFraud(seen.card, timeMs, findTerminal(city, world, chance, 0.5), {
      pattern: 'impossible_travel',
      entryMode: 'magstripe',
      factor: 0.8 + 2.4 * chance.unit(),
      declineShare: 0.2,
      chance,
    })
    timeMs += chance.integer(4 * MINUTE_MS, 40 * MINUTE_MS)
    return payment
  })
}

function cardTesting(card: Card, nowMs: number, world: World, chance: Chance): readonly Payment[] {
  const thief = { device: world.newDevice(), ipNetwork: randomNetwork(chance) }
  const merchants = [chance.pick(world.onlineMerchants), chance.pick(world.onlineMerchants)]
  let timeMs = nowMs + chance.integer(SECOND_MS, MINUTE_MS)
  const payments: Payment[] = []
  for (let left = chance.integer(8, 20); left > 0; left -= 1) {
    const amountMinor = chance.integer(50, 300)
    const kind = { pattern: 'card_testing', amountMinor, declineShare: 0.4, chance } as const
    payments.push(onlineFraud(card, timeMs, chance.pick(merchants), { ...kind, ...thief }))
    timeMs += chance.integer(3 * SECOND_MS, 40 * SECOND_MS)
  }
  if (chance.happens(0.5)) {
    const merchant = findMerchant(world, chance)
    const amountMinor = usualAmountMinor(card, merchant, 1 + 2 * chance.unit())
    const kind = { pattern: 'card_testing', amountMinor, declineShare: 0.2, chance } as const
    timeMs += chance.integer(MINUTE_MS, 8 * MINUTE_MS)
    payments.push(onlineFraud(card, timeMs, merchant, { ...kind, ...thief }))
  }
  return payments
}

function stolenCard(card: Card, nowMs: number, world: World, chance: Chance): readonly Payment[] {
  let timeMs = nowMs + chance.integer(SECOND_MS, 30 * MINUTE_MS)
  return Array.from({ length: chance.integer(3, 8) }, () => {
    const payment = presentFraud(card, timeMs, findTerminal(card.at, world, chance, 0.7), {
      pattern: 'stolen_card',
      entryMode: chance.happens(0.6) ? 'contactless' : 'magstripe',
      factor: 1 + 3 * chance.unit(),
      declineShare: 0.15,
      chance,
    })
    timeMs += chance.integer(3 * MINUTE_MS, 35 * MINUTE_MS)
    return payment
  })
}

function accountTakeover(
  card: Card,
  nowMs: number,
  world: World,
  chance: Chance,
): readonly Payment[] {
  const thief = { device: world.newDevice(), ipNetwork: randomNetwork(chance) }
  let timeMs = nowMs + chance.integer(SECOND_MS, 30 * MINUTE_MS)
  return Array.from({ length: chance.integer(3, 6) }, (_, index) => {
    const merchant = findMerchant(world, chance)
    const factor = index === 0 ? 0.1 + 0.3 * chance.unit() : 1 + 2.5 * chance.unit()
    const amountMinor = usualAmountMinor(card, merchant, factor)
    const kind = { pattern: 'account_takeover', amountMinor, declineShare: 0.1, chance } as const
    const payment = onlineFraud(card, timeMs, merchant, { ...kind, ...thief })
    timeMs += chance.integer(4 * MINUTE_MS, 50 * MINUTE_MS)
    return payment
  })
}

function belowLimit(card: Card, nowMs: number, world: World, chance: Chance): readonly Payment[] {
  const limitMinor = chance.pick(LIMITS_MINOR)
  let timeMs = nowMs + chance.integer(SECOND_MS, 20 * MINUTE_MS)
  return Array.from({ length: chance.integer(5, 12) }, () => {
    const payment = presentFraud(card, timeMs, findTerminal(card.at, world, chance, 0.3), {
      pattern: 'below_limit',
      entryMode: limitMinor <= 5_000 ? 'contactless' : 'chip',
      factor: 1,
      declineShare: 0.05,
      chance,
    })
    timeMs += chance.integer(2 * MINUTE_MS, 25 * MINUTE_MS)
    return { ...payment, amountMinor: limitMinor - chance.integer(1, limitMinor / 50) }
  })
}

function leakedCard(card: Card, nowMs: number, world: World, chance: Chance): readonly Payment[] {
  const payments: Payment[] = []
  let midnightMs = localMidnightMs(nowMs, card.home.utcOffsetMinutes) + DAY_MS
  for (let night = chance.integer(2, 4); night > 0; night -= 1) {
    const thief = {
      device: chance.happens(0.5) ? world.newDevice() : null,
      ipNetwork: randomNetwork(chance),
    }
    let timeMs = midnightMs + chance.integer(30 * MINUTE_MS, 3 * HOUR_MS)
    for (let left = chance.integer(2, 6); left > 0; left -= 1) {
      const merchant = findMerchant(world, chance)
      const amountMinor = usualAmountMinor(card, merchant, 0.6 + 2.4 * chance.unit())
      const kind = { pattern: 'leaked_card', amountMinor, declineShare: 0.15, chance } as const
      payments.push(onlineFraud(card, timeMs, merchant, { ...kind, ...thief }))
      timeMs += chance.integer(MINUTE_MS, 18 * MINUTE_MS)
    }
    midnightMs += DAY_MS * chance.integer(1, 2)
  }
  return payments
}

function deviceSweep(nowMs: number, world: World, chance: Chance): readonly Payment[] {
  const thief = { device: world.newDevice(), ipNetwork: randomNetwork(chance) }
  const merchants = Array.from({ length: chance.integer(1, 3) }, () => findMerchant(world, chance))
  let timeMs = nowMs + chance.integer(SECOND_MS, 10 * MINUTE_MS)
  return Array.from({ length: chance.integer(12, 30) }, () => {
    const card = chance.pick(world.cards)
    const amountMinor = chance.integer(900, 9_000)
    const kind = { pattern: 'device_sweep', amountMinor, declineShare: 0.3, chance } as const
    const payment = onlineFraud(card, timeMs, chance.pick(merchants), { ...kind, ...thief })
    timeMs += chance.integer(10 * SECOND_MS, 180 * SECOND_MS)
    return payment
  })
}

interface FraudKind {
  readonly pattern: FraudPattern
  readonly declineShare: number
  readonly chance: Chance
}

function presentFraud(
  card: Card,
  timeMs: number,
  terminal: Terminal,
  kind: FraudKind & { readonly entryMode: Payment['entryMode']; readonly factor: number },
): Payment {
  const { merchant } = terminal
  return {
    card,
    timeMs,
    amountMinor: usualAmountMinor(card, merchant, kind.factor),
    merchant,
    terminal,
    channel: merchant.category.channel === 'atm' ? 'atm' : 'pos',
    entryMode: kind.entryMode,
    authorisation: kind.chance.happens(kind.declineShare) ? 'declined' : 'approved',
    device: null,
    ipNetwork: null,
    utcOffsetMinutes: merchant.city.utcOffsetMinutes,
    intent: null,
    fraudPattern: kind.pattern,
  }
}

function onlineFraud(
  card: Card,
  timeMs: number,
  merchant: Merchant,
  kind: FraudKind & {
    readonly amountMinor: number
    readonly device: string | null
    readonly ipNetwork: string
  },
): Payment {
  return {
    card,
    timeMs,
    amountMinor: kind.amountMinor,
    merchant,
    terminal: null,
    channel: 'ecommerce',
    entryMode: 'credential',
    authorisation: kind.chance.happens(kind.declineShare) ? 'declined' : 'approved',
    device: kind.device,
    ipNetwork: kind.ipNetwork,
    utcOffsetMinutes: card.home.utcOffsetMinutes,
    intent: null,
    fraudPattern: kind.pattern,
  }
}

/** A terminal in the city; with probability `resellableShare` one that sells goods that are easily sold on. */
function findTerminal(city: City, world: World, chance: Chance, resellableShare: number): Terminal {
  const terminals = world.terminalsOf.get(city) ?? []
  let terminal = chance.pick(terminals)
  if (!chance.happens(resellableShare)) return terminal
  for (let search = 0; search < SEARCHES_MAX; search += 1) {
    if (terminal.merchant.category.resellable) break
    terminal = chance.pick(terminals)
  }
  return terminal
}

function findMerchant(world: World, chance: Chance): Merchant {
  let merchant = chance.pick(world.onlineMerchants)
  for (let search = 0; search < SEARCHES_MAX / 2; search += 1) {
    if (merchant.category.resellable) break
    merchant = chance.pick(world.onlineMerchants)
  }
  return merchant
}

function randomNetwork(chance: Chance): string {
  return ipNetworkOf(chance.below(65_536))
}

// Decides when each fraud begins, so that the long-run share of fraud is the requested one. Each pattern has an
// account: every genuine payment adds its part, an episode withdraws its expected cost. So one long episode never
// silences the other patterns.

const FRAUD_STREAM = 2
const ARM_TRIES_MAX = 16
/** Share of payments at a tampered terminal that are fraud. */
const TAMPERED_SHARE = 0.7

/** Each pattern's share of all fraud, and its mean transactions per episode. */
const PATTERNS: Readonly<Record<FraudPattern, { weight: number; sizeMean: number }>> = {
  card_testing: { weight: 0.17, sizeMean: 14.5 },
  stolen_card: { weight: 0.18, sizeMean: 5.5 },
  compromised_terminal: { weight: 0.17, sizeMean: 40 },
  impossible_travel: { weight: 0.1, sizeMean: 3.5 },
  account_takeover: { weight: 0.13, sizeMean: 4.5 },
  below_limit: { weight: 0.09, sizeMean: 8.5 },
  leaked_card: { weight: 0.11, sizeMean: 12 },
  device_sweep: { weight: 0.03, sizeMean: 21 },
  friendly_fraud: { weight: 0.02, sizeMean: 1 },
}

interface Account {
  readonly pattern: FraudPattern
  readonly perGenuine: number
  readonly sizeMean: number
  balance: number
  /** An episode begins when the balance reaches this. */
  threshold: number
}

/** Keeps the accounts and changes the world when a fraud begins. */
export class FraudPlanner {
  readonly #world: World
  readonly #chance: Chance
  readonly #accounts: readonly Account[]

  constructor(options: SimulatorOptions, world: World) {
    this.#world = world
    this.#chance = new Chance(options.seed, FRAUD_STREAM)
    const perGenuine = options.fraudShare / (1 - options.fraudShare)
    this.#accounts = FRAUD_PATTERNS.map((pattern) => {
      const { weight, sizeMean } = PATTERNS[pattern]
      return {
        pattern,
        perGenuine: perGenuine * weight,
        sizeMean,
        // A random point of the account's cycle, since otherwise all patterns would begin at the same time.
        balance: options.fraudShare === 0 ? 0 : this.#chance.unit() * sizeMean,
        threshold: sizeMean,
      }
    })
  }

  /** Accounts for one genuine payment; returns the payments of episodes that begin now. */
  afterGenuine(nowMs: number): readonly Payment[] {
    let planned: Payment[] | null = null
    for (const account of this.#accounts) {
      account.balance += account.perGenuine
      if (account.balance < account.threshold || account.perGenuine === 0) continue
      const payments = this.#begin(account, nowMs)
      account.threshold = account.sizeMean * this.#chance.unit()
      if (payments.length === 0) continue
      planned ??= []
      for (const payment of payments) planned.push(payment)
    }
    return planned ?? NO_PAYMENTS
  }

  /** Returns the payment; at a tampered terminal it may become fraud, with another amount. */
  tamper(payment: Payment): Payment {
    const { terminal } = payment
    const compromise = terminal?.compromise
    if (terminal === null || compromise === null || compromise === undefined) return payment
    if (payment.timeMs >= compromise.untilMs || compromise.remaining === 0) {
      this.#account('compromised_terminal').balance += compromise.remaining
      terminal.compromise = null
      return payment
    }
    if (!this.#chance.happens(TAMPERED_SHARE)) return payment
    compromise.remaining -= 1
    const amountMinor = Math.round(payment.amountMinor * (1 + 0.8 * this.#chance.unit()))
    return {
      ...payment,
      amountMinor,
      authorisation: 'approved',
      fraudPattern: 'compromised_terminal',
    }
  }

  /** Corrects the account by the difference between an armed episode's size and the mean. */
  settle(pattern: FraudPattern, size: number): void {
    this.#account(pattern).balance -= size - PATTERNS[pattern].sizeMean
  }

  /** The fraudsters' random numbers, separate from those of the holders. */
  get chance(): Chance {
    return this.#chance
  }

  #begin(account: Account, nowMs: number): readonly Payment[] {
    const { pattern } = account
    switch (pattern) {
      case 'impossible_travel':
      case 'friendly_fraud':
        if (this.#arm(pattern)) account.balance -= account.sizeMean
        return NO_PAYMENTS
      case 'compromised_terminal': {
        const budget = this.#chance.integer(25, 55)
        if (this.#compromise(nowMs, budget)) account.balance -= budget
        return NO_PAYMENTS
      }
      case 'card_testing':
      case 'stolen_card':
      case 'account_takeover':
      case 'below_limit':
      case 'leaked_card':
      case 'device_sweep': {
        const payments = planEpisode(pattern, nowMs, this.#world, this.#chance)
        account.balance -= payments.length
        return payments
      }
    }
  }

  #arm(pattern: 'impossible_travel' | 'friendly_fraud'): boolean {
    for (let tries = 0; tries < ARM_TRIES_MAX; tries += 1) {
      const card = this.#chance.pick(this.#world.cards)
      if (card.armed !== null) continue
      card.armed = pattern
      return true
    }
    return false
  }

  #compromise(nowMs: number, budget: number): boolean {
    for (let tries = 0; tries < ARM_TRIES_MAX; tries += 1) {
      // A terminal that somebody visits often: tampering with an idle one gains nothing.
      const card = this.#chance.pick(this.#world.cards)
      const terminal: Terminal | undefined = card.favouriteTerminals[0]
      if (terminal === undefined || terminal.compromise !== null) continue
      const untilMs = nowMs + this.#chance.integer(14 * DAY_MS, 28 * DAY_MS)
      terminal.compromise = { remaining: budget, untilMs }
      return true
    }
    return false
  }

  #account(pattern: FraudPattern): Account {
    const account = this.#accounts[FRAUD_PATTERNS.indexOf(pattern)]
    if (account === undefined) throw new RangeError(`No account for ${pattern}.`)
    return account
  }
}

const NO_PAYMENTS: readonly Payment[] = []
