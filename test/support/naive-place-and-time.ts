// Distance and local time for the oracle of the features, by other means than the code under test.

const HOUR_MS = 3_600_000

/** The features of the local calendar, by name. */
export function calendarOf(
  eventTimeMs: number,
  utcOffsetMinutes: number | null,
): readonly (readonly [string, number])[] {
  const local = new Date(eventTimeMs + (utcOffsetMinutes ?? 0) * 60_000)
  const millisecondOfHour =
    local.getUTCMinutes() * 60_000 + local.getUTCSeconds() * 1_000 + local.getUTCMilliseconds()
  const isWeekend = local.getUTCDay() === 0 || local.getUTCDay() === 6
  return [
    ['is_weekend', isWeekend ? 1 : 0],
    ['is_night', local.getUTCHours() < 7 ? 1 : 0],
    ['hour_of_day', (local.getUTCHours() * HOUR_MS + millisecondOfHour) / HOUR_MS],
  ]
}

/** Distance by the angle between two unit vectors: another formula than the one under test. */
export function arcKm(
  latitudeA: number,
  longitudeA: number,
  latitudeB: number,
  longitudeB: number,
): number {
  const round = (degrees: number): number => Math.round(degrees * 1e4) / 1e4
  const vector = (latitude: number, longitude: number): [number, number, number] => {
    const phi = (round(latitude) * Math.PI) / 180
    const lambda = (round(longitude) * Math.PI) / 180
    return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)]
  }
  const a = vector(latitudeA, longitudeA)
  const b = vector(latitudeB, longitudeB)
  const cross = [
    a[1] * b[2] - a[2] * b[1],
    a[2] * b[0] - a[0] * b[2],
    a[0] * b[1] - a[1] * b[0],
  ] as const
  const dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
  return 6_371.0088 * Math.atan2(Math.hypot(...cross), dot)
}
