"""The OpenAPI document, made from the route table and the wire messages. Served as it is: no page, no script, nothing fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from stillvault.protocol.messages import Problem
from stillvault.relay.routes import Route


def document(routes: Sequence[Route]) -> bytes:
    """The document as JSON."""
    kinds = sorted(
        {kind for route in routes for kind in (route.body, route.answer, Problem) if kind}, key=lambda kind: kind.__name__
    )
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        plain = route.path.replace(":path", "").replace(":str", "")
        paths.setdefault(plain, {})[route.method.lower()] = _operation(route, plain)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Stillvault relay",
                "version": "1",
                "description": "Bearers in Authorization. Errors are problem+json.",
            },
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        },
        order="sorted",
    )


def _reference(kind: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _operation(route: Route, path: str) -> dict[str, Any]:
    answer = {route.media: {"schema": _reference(route.answer)}} if route.answer else {route.media: {}}
    problem = {"description": "Refused", "content": {"application/problem+json": {"schema": _reference(Problem)}}}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]
    operation: dict[str, Any] = {
        "operationId": route.controller.__module__.rpartition(".")[2] + "_" + route.controller.__name__,
        "summary": f"For {route.rule.value}.",
        "parameters": parameters,
        "responses": {str(route.status): {"description": "Done", "content": answer}, "default": problem},
    }
    if route.body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _reference(route.body)}}}
    if route.rule.name != "ANYONE":
        operation["security"] = [{"bearer": []}] if route.rule.name != "DECIDER" else [{"bearer": []}, {}]
    return operation
