// The simulated world: merchants, their terminals, and cards with homes and habits. Made once from the seed.

import { CATEGORIES } from './categories.ts'
import type { Category } from './categories.ts'
import { Chance, WeightedIndex } from './chance.ts'
import type { SimulatorOptions } from './options.ts'
import { CITIES } from './places.ts'
import type { City } from './places.ts'

const DAY_MS = 86_400_000
const WORLD_STREAM = 1
const PHYSICAL_SHARE = 0.72
const FAVOURITE_TERMINALS = 8
const FAVOURITE_MERCHANTS = 4
const PAYMENTS_PER_DAY_MEDIAN = 1.6

export interface Merchant {
  readonly id: string
  readonly category: Category
  readonly city: City
  /** How dear this merchant is within its category; 1 is usual. */
  readonly level: number
}

export interface Terminal {
  readonly id: string
  readonly merchant: Merchant
  readonly latitude: number
  readonly longitude: number
  /** Set while somebody has tampered with it; see compromised-terminals.ts. */
  compromise: { remaining: number; readonly untilMs: number } | null
}

/** A card with its habits (fixed) and its situation (changes as the stream goes on). */
export interface Card {
  readonly token: string
  readonly home: City
  readonly meanGapMs: number
  /** How much this holder spends compared with others; 1 is usual. */
  readonly level: number
  readonly ecommerceShare: number
  readonly contactlessShare: number
  readonly favouriteTerminals: readonly Terminal[]
  readonly favouriteMerchants: readonly Merchant[]
  readonly ipNetwork: string
  readonly devices: string[]
  /** Where the holder is. */
  at: City
  tripEndsMs: number
  /** A fraud that waits for a fitting genuine payment of this card. */
  armed: 'impossible_travel' | 'friendly_fraud' | null
}

export interface World {
  readonly cards: readonly Card[]
  readonly cities: readonly City[]
  readonly terminalsOf: ReadonlyMap<City, readonly Terminal[]>
  readonly onlineMerchants: readonly Merchant[]
  /** A device id that nobody has had before. */
  newDevice(): string
}

/** Builds the world; the same options give the same world. */
export function buildWorld(options: SimulatorOptions): World {
  const chance = new Chance(options.seed, WORLD_STREAM)
  const physicalWanted = Math.round(options.merchants * PHYSICAL_SHARE)
  const physicalCount = Math.max(
    1,
    Math.min(options.merchants - 1, physicalWanted, options.terminals),
  )
  const cityIndex = new WeightedIndex(CITIES.map((city) => city.weight))
  const merchants = makeMerchants(options.merchants, physicalCount, cityIndex, chance)
  const terminals = makeTerminals(options.terminals, merchants.slice(0, physicalCount), chance)
  const terminalsOf = groupByCity(terminals)
  const onlineMerchants = merchants.slice(physicalCount)
  const cities = CITIES.filter((city) => terminalsOf.has(city))

  let deviceCount = 0
  const newDevice = (): string => {
    deviceCount += 1
    return `device-${padded(deviceCount, 6)}`
  }
  const homeIndex = new WeightedIndex(cities.map((city) => city.weight))
  const cards = Array.from({ length: options.cards }, (_, number) => {
    const home = cities[homeIndex.draw(chance)] as City
    const local = terminalsOf.get(home) ?? []
    return makeCard(number, home, { local, onlineMerchants, newDevice, options, chance })
  })
  return { cards, cities, terminalsOf, onlineMerchants, newDevice }
}

/** A network of the private range 10.0.0.0/8; `number` picks which. */
export function ipNetworkOf(number: number): string {
  return `10.${(number >>> 8) & 255}.${number & 255}.0/24`
}

/** Four decimals, about 11 m: more would pretend to know more. */
function roundedDegrees(degrees: number): number {
  return Math.round(degrees * 10_000) / 10_000
}

function makeMerchants(
  count: number,
  physicalCount: number,
  cityIndex: WeightedIndex,
  chance: Chance,
): readonly Merchant[] {
  const physical = CATEGORIES.filter((category) => category.channel !== 'ecommerce')
  const online = CATEGORIES.filter((category) => category.channel === 'ecommerce')
  const physicalIndex = new WeightedIndex(physical.map((category) => category.weight))
  const onlineIndex = new WeightedIndex(online.map((category) => category.weight))
  return Array.from({ length: count }, (_, number) => {
    const isPhysical = number < physicalCount
    const category = isPhysical
      ? physical[physicalIndex.draw(chance)]
      : online[onlineIndex.draw(chance)]
    return {
      id: `merchant-${padded(number, 5)}`,
      category: category as Category,
      city: CITIES[cityIndex.draw(chance)] as City,
      level: chance.factor(0.3),
    }
  })
}

function makeTerminals(
  count: number,
  merchants: readonly Merchant[],
  chance: Chance,
): readonly Terminal[] {
  return Array.from({ length: count }, (_, number) => {
    // Every physical merchant has one terminal, and chance deals out the rest.
    const merchant = merchants[number] ?? chance.pick(merchants)
    return {
      id: `term-${padded(number, 5)}`,
      merchant,
      latitude: roundedDegrees(merchant.city.latitude + (chance.unit() - 0.5) * 0.16),
      longitude: roundedDegrees(merchant.city.longitude + (chance.unit() - 0.5) * 0.24),
      compromise: null,
    }
  })
}

function groupByCity(terminals: readonly Terminal[]): ReadonlyMap<City, readonly Terminal[]> {
  const groups = new Map<City, Terminal[]>()
  for (const terminal of terminals) {
    const group = groups.get(terminal.merchant.city)
    if (group === undefined) groups.set(terminal.merchant.city, [terminal])
    else group.push(terminal)
  }
  return groups
}

interface CardSurroundings {
  readonly local: readonly Terminal[]
  readonly onlineMerchants: readonly Merchant[]
  readonly newDevice: () => string
  readonly options: SimulatorOptions
  readonly chance: Chance
}

function makeCard(number: number, home: City, around: CardSurroundings): Card {
  const { chance } = around
  const paymentsPerDay = Math.min(12, PAYMENTS_PER_DAY_MEDIAN * chance.factor(0.7))
  const deviceCount = chance.integer(1, around.options.devicesPerCardMax)
  return {
    token: `card-${padded(number, 5)}`,
    home,
    meanGapMs: DAY_MS / paymentsPerDay,
    level: chance.factor(0.45),
    ecommerceShare: 0.08 + 0.5 * chance.unit() * chance.unit(),
    contactlessShare: 0.4 + 0.55 * chance.unit(),
    favouriteTerminals: several(FAVOURITE_TERMINALS, around.local, chance),
    favouriteMerchants: several(FAVOURITE_MERCHANTS, around.onlineMerchants, chance),
    ipNetwork: ipNetworkOf(number),
    devices: Array.from({ length: deviceCount }, around.newDevice),
    at: home,
    tripEndsMs: 0,
    armed: null,
  }
}

function several<Entry>(
  count: number,
  entries: readonly Entry[],
  chance: Chance,
): readonly Entry[] {
  return Array.from({ length: count }, () => chance.pick(entries))
}

function padded(number: number, width: number): string {
  return String(number).padStart(width, '0')
}
