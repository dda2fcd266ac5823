// Merchant categories (ISO 18245 codes) with typical amounts.

import { Chance, WeightedIndex } from './chance.ts'
import type { SimulatorOptions } from './options.ts'

export interface Category {
  readonly code: string
  readonly channel: 'pos' | 'atm' | 'ecommerce'
  /** Median amount in minor units. */
  readonly amountMinor: number
  /** Spread of the logarithm of amounts: 0.3 is tight, 1 is wide. */
  readonly spread: number
  /** Share of merchants of its channel, relative to the others. */
  readonly weight: number
  /** Goods that are easily sold on, which is what thieves buy. */
  readonly resellable: boolean
}

function category(
  code: string,
  channel: Category['channel'],
  [amountMinor, spread, weight]: readonly [number, number, number],
  resellable = false,
): Category {
  return { code, channel, amountMinor, spread, weight, resellable }
}

export const CATEGORIES: readonly Category[] = [
  category('5411', 'pos', [2_800, 0.7, 26]), // groceries
  category('5812', 'pos', [2_900, 0.6, 16]), // restaurants
  category('5814', 'pos', [950, 0.5, 14]), // fast food
  category('5541', 'pos', [5_200, 0.4, 8]), // fuel
  category('4111', 'pos', [450, 0.6, 8]), // local transport
  category('5912', 'pos', [1_600, 0.7, 7]), // pharmacies
  category('5651', 'pos', [5_400, 0.7, 7]), // clothes
  category('5311', 'pos', [4_500, 0.8, 5]), // department stores
  category('5732', 'pos', [13_000, 0.9, 4], true), // electronics
  category('5944', 'pos', [15_000, 0.9, 2], true), // jewellery
  category('7011', 'pos', [14_000, 0.6, 3]), // hotels
  category('6011', 'atm', [8_000, 0.6, 10]), // cash
  category('5815', 'ecommerce', [900, 0.6, 20]), // digital media
  category('5816', 'ecommerce', [1_200, 0.8, 10], true), // games
  category('5964', 'ecommerce', [3_800, 0.8, 30]), // catalogue merchants
  category('5691', 'ecommerce', [6_000, 0.6, 14]), // clothes by post
  category('5734', 'ecommerce', [11_000, 0.9, 8], true), // computers
  category('4722', 'ecommerce', [22_000, 0.8, 6]), // travel
  category('5947', 'ecommerce', [4_500, 0.6, 4], true), // gift cards
  category('8398', 'ecommerce', [2_000, 0.6, 4]), // donations
]

// Cities of the simulated world. Offsets are those of standard time: the simulated world has no daylight saving, so
// local time is one addition.

/** ISO 4217 codes that occur. */
type Currency = 'EUR' | 'GBP' | 'USD'

export interface City {
  readonly name: string
  /** ISO 3166-1 alpha-2. */
  readonly country: string
  readonly currency: Currency
  /** Degrees, WGS 84. */
  readonly latitude: number
  readonly longitude: number
  readonly utcOffsetMinutes: number
  /** Share of merchants and cards, relative to the other cities. */
  readonly weight: number
}

function city(
  name: string,
  country: string,
  currency: Currency,
  [latitude, longitude, utcOffsetMinutes, weight]: readonly [number, number, number, number],
): City {
  return { name, country, currency, latitude, longitude, utcOffsetMinutes, weight }
}

/** Mostly the euro area, then Great Britain, then a little of the United States. */
export const CITIES: readonly City[] = [
  city('Berlin', 'DE', 'EUR', [52.52, 13.405, 60, 14]),
  city('Hamburg', 'DE', 'EUR', [53.551, 9.994, 60, 9]),
  city('Munich', 'DE', 'EUR', [48.137, 11.575, 60, 9]),
  city('Paris', 'FR', 'EUR', [48.857, 2.352, 60, 13]),
  city('Lyon', 'FR', 'EUR', [45.764, 4.836, 60, 6]),
  city('Madrid', 'ES', 'EUR', [40.417, -3.704, 60, 9]),
  city('Barcelona', 'ES', 'EUR', [41.385, 2.173, 60, 6]),
  city('Rome', 'IT', 'EUR', [41.903, 12.496, 60, 8]),
  city('Milan', 'IT', 'EUR', [45.464, 9.19, 60, 6]),
  city('Amsterdam', 'NL', 'EUR', [52.368, 4.904, 60, 6]),
  city('Brussels', 'BE', 'EUR', [50.85, 4.352, 60, 4]),
  city('Vienna', 'AT', 'EUR', [48.208, 16.373, 60, 5]),
  city('Lisbon', 'PT', 'EUR', [38.722, -9.139, 0, 4]),
  city('Dublin', 'IE', 'EUR', [53.35, -6.26, 0, 3]),
  city('Athens', 'GR', 'EUR', [37.984, 23.728, 120, 3]),
  city('Helsinki', 'FI', 'EUR', [60.17, 24.938, 120, 3]),
  city('London', 'GB', 'GBP', [51.507, -0.128, 0, 9]),
  city('Manchester', 'GB', 'GBP', [53.481, -2.242, 0, 4]),
  city('New York', 'US', 'USD', [40.713, -74.006, -300, 4]),
  city('Miami', 'US', 'USD', [25.762, -80.192, -300, 2]),
  city('San Francisco', 'US', 'USD', [37.775, -122.419, -480, 2]),
]

const KM_PER_DEGREE_LATITUDE = 111
/** At about 50 degrees north, where most of the simulated world lies; distances here only order things. */
const KM_PER_DEGREE_LONGITUDE = 71

/** A rough distance in kilometres, never used as a feature: enough to tell near from far. */
export function roughDistanceKm(from: City, to: City): number {
  const northKm = Math.abs(from.latitude - to.latitude) * KM_PER_DEGREE_LATITUDE
  const eastKm = Math.abs(from.longitude - to.longitude) * KM_PER_DEGREE_LONGITUDE
  return northKm > eastKm ? northKm + eastKm / 2 : eastKm + northKm / 2
}

// The simulated world: merchants, their terminals, and cards with homes and habits. Built once from the seed.

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
  /** Price level of this merchant within its category; 1 is the mean. */
  readonly level: number
}

export interface Terminal {
  readonly id: string
  readonly merchant: Merchant
  readonly latitude: number
  readonly longitude: number
  /** Set while the terminal is tampered with; see compromised-terminals.ts. */
  compromise: { remaining: number; readonly untilMs: number } | null
}

/** A card with its behaviour (fixed) and its situation (which changes along the stream). */
export interface Card {
  readonly token: string
  readonly home: City
  readonly meanGapMs: number
  /** Spending of this holder compared with others; 1 is the mean. */
  readonly level: number
  readonly ecommerceShare: number
  readonly contactlessShare: number
  readonly favouriteTerminals: readonly Terminal[]
  readonly favouriteMerchants: readonly Merchant[]
  readonly ipNetwork: string
  readonly devices: string[]
  /** Position of the holder. */
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

/** Four decimals, about 11 m: more would be false precision. */
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
    // Every physical merchant has one terminal; the rest are assigned at random.
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
