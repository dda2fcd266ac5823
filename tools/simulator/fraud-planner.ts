// Decides when which fraud begins, so that in the long run the share of fraud is the one asked for. Each
// pattern has an account: every genuine payment adds its part, an episode takes out what it will cost. One
// long episode therefore never silences the other patterns.

import { Chance } from './chance.ts'
import { planEpisode } from './fraud-episodes.ts'
import { FRAUD_PATTERNS, type FraudPattern } from '../../services/producer/stream-event.ts'
import type { SimulatorOptions } from './options.ts'
import type { Payment } from './payment.ts'
import type { Terminal, World } from './world.ts'

const FRAUD_STREAM = 2
const DAY_MS = 86_400_000
const ARM_TRIES_MAX = 16
/** Share of payments at a tampered terminal that are fraud. */
const TAMPERED_SHARE = 0.7

/** What part of all fraud each pattern is, and how many transactions an episode has on average. */
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
        // Begun at a random point of the account's cycle, or all would strike at the same time.
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

  /** Whether this payment at a tampered terminal is fraud, and what it then amounts to. */
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

  /** Books what an episode that was armed turned out to cost beyond its mean. */
  settle(pattern: FraudPattern, size: number): void {
    this.#account(pattern).balance -= size - PATTERNS[pattern].sizeMean
  }

  /** The chance of the fraudsters, apart from that of the holders. */
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
      // A terminal that somebody visits often: tampering with an idle one earns nothing.
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
