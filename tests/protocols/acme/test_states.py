"""Each allowed move, and each forbidden one."""

from __future__ import annotations

from itertools import product

import pytest

from protocols.acme.states import (
    MOVES,
    AccountStatus,
    AuthorizationStatus,
    ChallengeStatus,
    ForbiddenMove,
    OrderStatus,
    require_move,
    sources,
)

# The state diagrams of RFC 8555, 7.1.6, written down once more, so that a change of the table is seen.
ALLOWED = {
    ("order", "pending", "ready"),
    ("order", "pending", "invalid"),
    ("order", "ready", "processing"),
    ("order", "ready", "invalid"),
    ("order", "processing", "valid"),
    ("order", "processing", "invalid"),
    ("authorization", "pending", "valid"),
    ("authorization", "pending", "invalid"),
    ("authorization", "pending", "deactivated"),
    ("authorization", "pending", "expired"),
    ("authorization", "valid", "deactivated"),
    ("authorization", "valid", "expired"),
    ("authorization", "valid", "revoked"),
    ("challenge", "pending", "processing"),
    ("challenge", "processing", "valid"),
    ("challenge", "processing", "invalid"),
    ("account", "valid", "deactivated"),
    ("account", "valid", "revoked"),
}
KINDS = {
    "order": OrderStatus,
    "authorization": AuthorizationStatus,
    "challenge": ChallengeStatus,
    "account": AccountStatus,
}
ALL = [
    (kind, current.value, following.value)
    for kind, states in KINDS.items()
    for current, following in product(states, repeat=2)
]


@pytest.mark.parametrize(("kind", "current", "following"), sorted(set(ALL) - ALLOWED))
def test_a_forbidden_move_raises(kind: str, current: str, following: str) -> None:
    with pytest.raises(ForbiddenMove):
        require_move(KINDS[kind](current), KINDS[kind](following))


@pytest.mark.parametrize(("kind", "current", "following"), sorted(ALLOWED))
def test_an_allowed_move_passes(kind: str, current: str, following: str) -> None:
    require_move(KINDS[kind](current), KINDS[kind](following))
    assert KINDS[kind](current) in sources(KINDS[kind](following))


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == {state for states in KINDS.values() for state in states}
