# Made by "npm run docs:clients" from the OpenAPI document d77a8dbc84d1f1e3.

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict


class Transaction(TypedDict):
    id: str
    card: str
    eventTimeMs: int
    amountMinor: int
    currency: str
    merchant: NotRequired[str | None]
    merchantCategory: NotRequired[str | None]
    terminal: NotRequired[str | None]
    country: NotRequired[str | None]
    latitude: NotRequired[float | None]
    longitude: NotRequired[float | None]
    utcOffsetMinutes: NotRequired[int | None]
    device: NotRequired[str | None]
    ipNetwork: NotRequired[str | None]
    channel: NotRequired[Literal['unknown', 'pos', 'atm', 'ecommerce', 'moto'] | None]
    entryMode: NotRequired[
        Literal['unknown', 'chip', 'contactless', 'magstripe', 'manual', 'credential']
        | None
    ]
    authorisation: NotRequired[
        Literal['unknown', 'approved', 'declined', 'pending'] | None
    ]
    intentId: NotRequired[str | None]
    attributes: NotRequired[dict[str, str | float | bool] | None]


class ScoreBatch(TypedDict):
    transactions: list[Transaction]


class Reason(TypedDict):
    feature: str
    value: float | None
    baseline: float
    scoreAtBaseline: float
    text: str


class Lease(TypedDict):
    grade: Literal['suspected', 'corroborated', 'confirmed']
    startMs: int
    endMs: int


class Versions(TypedDict):
    model: str
    modelDigest: str
    policy: int
    policyDigest: str
    featureList: str


class Decision(TypedDict):
    id: str
    fallback: Literal[False]
    outcome: Literal['approve', 'flag', 'block']
    action: Literal['none', 'flag', 'block']
    score: float | None
    notScored: (
        Literal['unknown', 'duplicate', 'invalid_score', 'model_unavailable'] | None
    )
    reasons: list[Reason]
    annotations: list[str]
    segment: str | None
    rules: list[str]
    mode: Literal['observe', 'flag', 'enforce']
    alertId: str | None
    lease: Lease | None
    versions: Versions
    decidedAtMs: int
    partition: int
    offset: int


class Fallback(TypedDict):
    id: str
    fallback: Literal[True]
    fallbackReason: Literal['not_written', 'not_decided', 'dead_letter']
    outcome: Literal['approve', 'flag', 'block']
    action: Literal['none', 'flag', 'block']


ScoreAnswer: TypeAlias = Decision | Fallback


class Block(TypedDict):
    alertId: str
    revision: int
    startMs: int
    endMs: int


class CardBlock(TypedDict):
    blocked: bool
    block: Block | None


class Problem(TypedDict):
    type: Literal[
        'urn:sluice:problem:malformed',
        'urn:sluice:problem:unauthorised',
        'urn:sluice:problem:forbidden',
        'urn:sluice:problem:not_found',
        'urn:sluice:problem:method_not_allowed',
        'urn:sluice:problem:conflict',
        'urn:sluice:problem:too_large',
        'urn:sluice:problem:unsupported_media_type',
        'urn:sluice:problem:invalid',
        'urn:sluice:problem:card_number_suspected',
        'urn:sluice:problem:too_many_requests',
        'urn:sluice:problem:internal',
        'urn:sluice:problem:not_ready',
    ]
    title: str
    status: int
    detail: str
    field: NotRequired[str]


class Answers(TypedDict):
    id: str
    problem: Problem


class ScoreBatchAnswer(TypedDict):
    answers: list[ScoreAnswer | Answers]
