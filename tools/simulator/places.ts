// Cities of the simulated world. Offsets are those of standard time: the simulated world has no daylight
// saving, so that local time is one addition.

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
/** At about 50 degrees north, where most of the world lives; distances here only order things. */
const KM_PER_DEGREE_LONGITUDE = 71

/** A rough distance in kilometres, never a feature: enough to tell near from far. */
export function roughDistanceKm(from: City, to: City): number {
  const northKm = Math.abs(from.latitude - to.latitude) * KM_PER_DEGREE_LATITUDE
  const eastKm = Math.abs(from.longitude - to.longitude) * KM_PER_DEGREE_LONGITUDE
  return northKm > eastKm ? northKm + eastKm / 2 : eastKm + northKm / 2
}
