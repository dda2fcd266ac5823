// Times in files: ISO 8601 (UTC when no zone is given), or seconds or milliseconds since the epoch.

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z|[+-]\d\d(?::?\d\d)?))?)?$/
const EPOCH = /^(\d{9,13})(?:\.(\d{1,9}))?$/
const ZONE = /^([+-])(\d\d):?(\d\d)?$/

const DAY_MS = 86_400_000
/** Times before 2000 or after 2100 are treated as mistakes, as in messages. */
const TIME_MS_MIN = 946_684_800_000
const TIME_MS_MAX = 4_102_444_800_000

/** Milliseconds UTC, or null when the text is not a time from 2000 to 2100. Fractions are truncated to 1 ms. */
export function parseEventTimeMs(text: string): number | null {
  const timeMs = parseIsoMs(text) ?? parseEpochMs(text)
  return timeMs !== null && isEventTimeMs(timeMs) ? timeMs : null
}

/** True for a time from 2000 to 2100. */
export function isEventTimeMs(timeMs: number): boolean {
  return timeMs >= TIME_MS_MIN && timeMs <= TIME_MS_MAX
}

/** Minutes east of UTC from `+02:00`, `Z` or a number of minutes; null when it is neither. */
export function parseUtcOffsetMinutes(text: string): number | null {
  if (text === 'Z') return 0
  if (/^-?\d{1,3}$/.test(text)) return Number(text)
  const match = ZONE.exec(text)
  if (match === null) return null
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0)
  return match[1] === '-' ? -minutes : minutes
}

/** A half-open range of event times, such as a day or a month. */
export interface TimeRange {
  readonly fromMs: number
  /** The first millisecond after the range. */
  readonly endMs: number
}

/** The range from the start of one bound to the end of the other; a missing bound is open. */
export function rangeBetween(from: TimeRange | undefined, to: TimeRange | undefined): TimeRange {
  return {
    fromMs: from?.fromMs ?? Number.NEGATIVE_INFINITY,
    endMs: to?.endMs ?? Number.POSITIVE_INFINITY,
  }
}

/** The day or month in a name such as `2018-07-25.csv.gz` or `2019-01.csv`; null when it has none. */
export function rangeOfName(name: string): TimeRange | null {
  const match = /(?<!\d)(\d{4})-(\d\d)(?:-(\d\d))?(?!\d)/.exec(name)
  if (match === null) return null
  const [year, month] = [Number(match[1]), Number(match[2])]
  if (month < 1 || month > 12) return null
  if (match[3] === undefined) {
    return { fromMs: Date.UTC(year, month - 1, 1), endMs: Date.UTC(year, month, 1) }
  }
  const fromMs = dayMs(year, month, Number(match[3]))
  return fromMs === null ? null : { fromMs, endMs: fromMs + DAY_MS }
}

/** The range meant by a bound on the command line: a whole day for a date, one instant otherwise. */
export function rangeOfBound(text: string): TimeRange | null {
  const fromMs = parseEventTimeMs(text)
  if (fromMs === null) return null
  return { fromMs, endMs: fromMs + (/^\d{4}-\d\d-\d\d$/.test(text) ? DAY_MS : 1) }
}

/** A time of an ISO 8601 text. */
export interface IsoTime {
  /** What the text says, read as if it were UTC, ms. */
  readonly wallMs: number
  /** Minutes east of UTC that the text names; null when it names none. */
  readonly offsetMinutes: number | null
}

/** Reads a date, or a date and a time. Null when it is neither. */
export function parseIsoTime(text: string): IsoTime | null {
  const match = ISO.exec(text)
  if (match === null) return null
  const startMs = dayMs(Number(match[1]), Number(match[2]), Number(match[3]))
  if (startMs === null) return null
  const [hour, minute, second] = [
    Number(match[4] ?? 0),
    Number(match[5] ?? 0),
    Number(match[6] ?? 0),
  ]
  if (hour > 23 || minute > 59 || second > 59) return null
  const fractionMs = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3))
  const offsetMinutes = match[8] === undefined ? null : parseUtcOffsetMinutes(match[8])
  if (match[8] !== undefined && offsetMinutes === null) return null
  return {
    wallMs: startMs + ((hour * 60 + minute) * 60 + second) * 1_000 + fractionMs,
    offsetMinutes,
  }
}

function parseIsoMs(text: string): number | null {
  const time = parseIsoTime(text)
  return time === null ? null : time.wallMs - (time.offsetMinutes ?? 0) * 60_000
}

function parseEpochMs(text: string): number | null {
  const match = EPOCH.exec(text)
  if (match === null) return null
  const whole = match[1] ?? ''
  // 2000 to 2100 is 9 or 10 digits in seconds and 12 or 13 in milliseconds.
  if (whole.length >= 12) return Number(whole)
  if (whole.length === 11) return null
  return Number(whole) * 1_000 + Number((match[2] ?? '').padEnd(3, '0').slice(0, 3))
}

/** Midnight UTC of the day; null when the calendar has no such day. */
export function dayMs(year: number, month: number, day: number): number | null {
  const timeMs = Date.UTC(year, month - 1, day)
  const date = new Date(timeMs)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? timeMs : null
}
