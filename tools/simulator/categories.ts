// Merchant categories (ISO 18245 codes) with what people usually spend there.

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
