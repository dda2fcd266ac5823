// Times in messages: ISO 8601, seconds to nanoseconds since the epoch, or a pattern such as `dd.MM.yyyy HH:mm:ss`. A time
// that names no zone is of the mapping's zone.

import { dayMs, isEventTimeMs, parseEventTimeMs, parseIsoTime } from '../files/event-time.ts'

/** Named formats; any other text is a pattern. */
export const TIME_FORMATS = ['auto', 'iso', 'epoch_s', 'epoch_ms', 'epoch_us', 'epoch_ns'] as const

/** Milliseconds UTC; null when the text is no time of the format, or none from 2000 to 2100. */
export type ParseTime = (text: string) => number | null

/** The offset of a zone at a local time, in minutes east of UTC. */
type OffsetAt = (wallMs: number) => number

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
/** Hours whose offsets a zone remembers: eleven years. */
const HOURS_KEPT_MAX = 100_000

/** Digits after the point of a second, by the unit of an epoch. */
const EPOCH_DIGITS: Readonly<Record<string, number>> = {
  epoch_s: 0,
  epoch_ms: 3,
  epoch_us: 6,
  epoch_ns: 9,
}

/** Compiles a format and a zone; null when one of them does not exist. */
export function compileTimeFormat(format: string, zone: string): ParseTime | null {
  const offsetAt = compileZone(zone)
  if (offsetAt === null) return null
  const parse = compileFormat(format, offsetAt)
  if (parse === null) return null
  return (text) => {
    const timeMs = parse(text)
    return timeMs !== null && isEventTimeMs(timeMs) ? timeMs : null
  }
}

function compileFormat(format: string, offsetAt: OffsetAt): ParseTime | null {
  const iso: ParseTime = (text) => {
    const time = parseIsoTime(text)
    if (time === null) return null
    return time.wallMs - (time.offsetMinutes ?? offsetAt(time.wallMs)) * MINUTE_MS
  }
  if (format === 'iso') return iso
  if (format === 'auto') return (text) => iso(text) ?? parseEventTimeMs(text)
  const digits = EPOCH_DIGITS[format]
  return digits === undefined ? compilePattern(format, offsetAt) : epochOf(digits)
}

/** Works on the text, since a float cannot represent every millisecond of a time in seconds. */
function epochOf(digits: number): ParseTime {
  return (text) => {
    const match = /^(\d{1,20})(?:\.(\d{1,12}))?$/.exec(text)
    if (match === null) return null
    const [, whole = '', fraction = ''] = match
    const all = whole + fraction.padEnd(12, '0')
    // All digits with the point after the whole seconds, cut to milliseconds.
    const seconds = whole.length - digits
    return seconds <= 0 ? null : Number(all.slice(0, seconds + 3))
  }
}

// Patterns: yyyy MM dd HH mm ss and one to nine S for a fraction; X for an offset such as +09:00 or Z. Other letters stand
// in quotes; all else stands for itself.

const LETTERS = /'([^']*)'|(yyyy|MM|dd|HH|mm|ss|S{1,9}|X)|([A-Za-z])|([^A-Za-z'])/g
const GROUPS: Readonly<Record<string, string>> = {
  yyyy: '(?<year>\\d{4})',
  MM: '(?<month>\\d\\d)',
  dd: '(?<day>\\d\\d)',
  HH: '(?<hour>\\d\\d)',
  mm: '(?<minute>\\d\\d)',
  ss: '(?<second>\\d\\d)',
  X: '(?<offset>Z|[+-]\\d\\d(?::?\\d\\d)?)',
}

function compilePattern(pattern: string, offsetAt: OffsetAt): ParseTime | null {
  let source = ''
  const seen = new Set<string>()
  for (const [whole, quoted, field, letter, other] of pattern.matchAll(LETTERS)) {
    if (letter !== undefined) return null
    if (field === undefined) {
      source += (quoted ?? other ?? whole).replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
      continue
    }
    const name = field.startsWith('S') ? 'S' : field
    if (seen.has(name)) return null
    seen.add(name)
    source += name === 'S' ? `(?<fraction>\\d{${field.length}})` : (GROUPS[field] ?? '')
  }
  if (!['yyyy', 'MM', 'dd'].every((needed) => seen.has(needed))) return null
  const form = new RegExp(`^${source}$`)
  return (text) => timeOf(form.exec(text)?.groups, offsetAt)
}

function timeOf(
  groups: Readonly<Record<string, string | undefined>> | undefined,
  offsetAt: OffsetAt,
): number | null {
  if (groups === undefined) return null
  const part = (name: string): number => Number(groups[name] ?? 0)
  const startMs = dayMs(part('year'), part('month'), part('day'))
  const [hour, minute, second] = [part('hour'), part('minute'), part('second')]
  if (startMs === null || hour > 23 || minute > 59 || second > 59) return null
  const fractionMs = Number((groups['fraction'] ?? '').padEnd(3, '0').slice(0, 3))
  const wallMs = startMs + ((hour * 60 + minute) * 60 + second) * 1_000 + fractionMs
  const offset = groups['offset']
  return wallMs - (offset === undefined ? offsetAt(wallMs) : fixedOffset(offset)) * MINUTE_MS
}

function fixedOffset(text: string): number {
  const [, sign = '+', hours = '0', minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(text) ?? []
  const offset = Number(hours) * 60 + Number(minutes)
  return sign === '-' ? -offset : offset
}

/** Null when the zone does not exist. */
function compileZone(zone: string): OffsetAt | null {
  if (zone === 'UTC' || zone === 'Z') return () => 0
  if (/^[+-]\d\d:?\d\d$/.test(zone)) {
    const offset = fixedOffset(zone)
    return () => offset
  }
  const at = zoneClock(zone)
  return at === null ? null : rememberingHours(at)
}

/** Offsets change on full or half hours only, so that one of each quarter of an hour is enough. */
function rememberingHours(at: OffsetAt): OffsetAt {
  const kept = new Map<number, number>()
  return (wallMs) => {
    const quarter = Math.floor(wallMs / (HOUR_MS / 4))
    const known = kept.get(quarter)
    if (known !== undefined) return known
    if (kept.size >= HOURS_KEPT_MAX) kept.clear()
    const offset = at(quarter * (HOUR_MS / 4))
    kept.set(quarter, offset)
    return offset
  }
}

/**
 * The offset of a zone at a local time. A local time that occurs twice is the first one; one that is skipped counts as if
 * the clock had not been changed yet.
 */
function zoneClock(zone: string): OffsetAt | null {
  let format: Intl.DateTimeFormat
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  } catch {
    return null
  }
  const offsetAtUtc = (utcMs: number): number => {
    const name = format.formatToParts(utcMs).find(({ type }) => type === 'timeZoneName')?.value
    return fixedOffset((name ?? '').replace('GMT', ''))
  }
  return (wallMs) => {
    // The offset a day before is that before a change; it holds when it explains the local time.
    const before = offsetAtUtc(wallMs - 24 * HOUR_MS)
    const after = offsetAtUtc(wallMs + 24 * HOUR_MS)
    if (before === after) return before
    const holds = (offset: number): boolean => offsetAtUtc(wallMs - offset * MINUTE_MS) === offset
    return holds(before) || !holds(after) ? before : after
  }
}
