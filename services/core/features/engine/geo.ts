const EARTH_RADIUS_KM = 6_371.0088
const RADIANS_PER_DEGREE = Math.PI / 180

/** Great-circle distance in kilometres between two places in degrees (haversine formula, mean Earth radius). */
export function distanceKm(
  latitudeA: number,
  longitudeA: number,
  latitudeB: number,
  longitudeB: number,
): number {
  const halfLatitude = ((latitudeB - latitudeA) * RADIANS_PER_DEGREE) / 2
  const halfLongitude = ((longitudeB - longitudeA) * RADIANS_PER_DEGREE) / 2
  const chord =
    Math.sin(halfLatitude) ** 2 +
    Math.cos(latitudeA * RADIANS_PER_DEGREE) *
      Math.cos(latitudeB * RADIANS_PER_DEGREE) *
      Math.sin(halfLongitude) ** 2
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)))
}
