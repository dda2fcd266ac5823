// What holds for every model of this trainer: who it is for, what for, and what it cannot do. Said once, for the model
// card and the bill of materials.

export const USERS: readonly string[] = [
  'operators of a card stream that have fraud analysts',
  'people who want to see how such a system works',
]

export const USES: readonly string[] = [
  'Ranking single card transactions by how likely they are fraud, from features that Sluice computes.',
  'Raising flags for analysts; blocking only where an operator has turned enforcement on for a policy.',
]

export const NOT_FOR: readonly string[] = [
  'Decisions on a person: credit, employment, insurance, or closing an account.',
  'Streams whose features are computed by other code, or whose payments are unlike those it was trained on.',
]

export const LIMITS: readonly string[] = [
  'Cards, terminals and devices that are new to the stream have little history, and scores say less about them.',
  'A label that never comes counts as genuine, in training as in these figures.',
  'Frauds change to evade detection; figures of a past period promise nothing for a later one.',
  'Nothing here was checked for fairness among groups of card holders; the features hold no trait of a person but ' +
    'hours and places of payments.',
]

/** Ethical risks and what is done about them. */
export const RISKS: readonly { readonly name: string; readonly mitigation: string }[] = [
  {
    name: 'A genuine payment is blocked.',
    mitigation:
      'Blocks are leases with an end, need a mode that an operator turns on, and are capped by a breaker.',
  },
  {
    name: 'Payments at unusual hours or places are flagged more often, whoever makes them.',
    mitigation: 'Every alert carries its reasons, so that an analyst sees what it rests on.',
  },
]
