"""The OpenAPI document (3.1) of the JSON form, made of the messages themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from protocols.mdm.codec import schema_of
from protocols.mdm.errors import ANSWERS
from protocols.mdm.messages import OPERATIONS, Operation, Version

_SCHEMAS = "#/components/schemas/"
_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "description": "Why not (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "For programs; stable."},
        "requestId": {"type": "string", "description": "Finds the request in the server's log."},
    },
}


def openapi_document(url: str) -> bytes:
    """The document of the service at ``url``, JSON."""
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for operation in OPERATIONS:
        for kind in (operation.request, operation.answer):
            schema = dict(schema_of(kind, _SCHEMAS + "{model}"))
            schemas.update(schema.pop("$defs", {}))
            schemas[kind.__name__] = schema
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Digital IDs for mobile device management",
            "version": max(Version, key=lambda each: int(each.value)).value,
            "description": "The same operations as the SOAP form, whose WSDL is at ?wsdl.",
        },
        "servers": [{"url": url}],
        "security": [{"basic": []}],
        "paths": {f"/{{version}}/{operation.name}": {"post": _post(operation)} for operation in OPERATIONS},
        "components": {"schemas": schemas, "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
    }
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _post(operation: Operation) -> Mapping[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}
    statuses = sorted({answer.status for answer in ANSWERS.values()} | {413, 415, 500})
    return {
        "operationId": operation.name,
        "summary": (operation.request.__doc__ or "").strip().splitlines()[0],
        "parameters": [
            {
                "name": "version",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": [f"v{version.value}" for version in Version]},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{operation.request.__name__}"}}},
        },
        "responses": {
            "200": {
                "description": (operation.answer.__doc__ or "").strip().splitlines()[0],
                "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{operation.answer.__name__}"}}},
            },
            **{str(status): {"description": HTTPStatus(status).phrase, "content": problem} for status in statuses},
        },
    }
