import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { distanceKm } from '../../../../../services/core/features/engine/geo.ts'
import { holds } from '../../../../support/property.ts'

const place = fc.tuple(
  fc.double({ min: -90, max: 90, noNaN: true }),
  fc.double({ min: -180, max: 180, noNaN: true }),
)

test('known distances come out within one in a thousand', () => {
  const degreeKm = (2 * Math.PI * 6_371.0088) / 360
  assert.ok(Math.abs(distanceKm(0, 0, 0, 1) - degreeKm) < 1e-6)
  assert.ok(Math.abs(distanceKm(0, 0, 90, 0) - 90 * degreeKm) < 1e-6)
  assert.ok(Math.abs(distanceKm(10, -180, 10, 180)) < 1e-6, 'the date line is one place')
  // Berlin to Paris.
  assert.ok(Math.abs(distanceKm(52.52, 13.405, 48.8566, 2.3522) - 877.5) < 1)
})

test('a distance is the same both ways, zero to itself, and never more than half way round', () => {
  holds(
    200,
    fc.property(place, place, ([latitudeA, longitudeA], [latitudeB, longitudeB]) => {
      const km = distanceKm(latitudeA, longitudeA, latitudeB, longitudeB)
      assert.ok(km >= 0 && km <= Math.PI * 6_371.0088 + 1e-6)
      const backKm = distanceKm(latitudeB, longitudeB, latitudeA, longitudeA)
      assert.ok(Math.abs(km - backKm) < 1e-9)
      assert.equal(distanceKm(latitudeA, longitudeA, latitudeA, longitudeA), 0)
    }),
  )
})
