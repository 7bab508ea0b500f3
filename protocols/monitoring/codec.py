"""Health reports as JSON."""

from __future__ import annotations

import json
from typing import Any

from cspd.health import Health, HealthState
from cspd.monitoring.report import HealthReport


def encode_report(report: HealthReport) -> bytes:
    """``{"state": ..., "parts": [{"part": ..., "state": ..., "reason": ...}]}``; ``reason`` where a part has one."""
    parts = [_part(part) for part in report.parts]
    return _encode({"state": report.state.value, "parts": parts})


def encode_state(state: HealthState) -> bytes:
    """``{"state": "ok"}``: what everybody may know."""
    return _encode({"state": state.value})


def _part(part: Health) -> dict[str, str]:
    told = {"part": part.part, "state": part.state.value}
    return {**told, "reason": part.reason} if part.reason else told


def _encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8") + b"\n"
