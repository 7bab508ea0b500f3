"""Paths to routes."""

from __future__ import annotations

import pytest

from cspd.http.message import Request, Response, Route
from cspd.http.router import BadPath, MethodNotAllowed, NoRoute, RouteConflict, Router


async def answer(request: Request) -> Response:
    return Response(200)


def route(path: str, *methods: str) -> Route:
    return Route(methods=methods or ("GET",), path=path, handler=answer)


TEMPLATES = (
    "/",
    "/health",
    "/ocsp/{org}/{ca}/{request:path}",
    "/crl/{org}/{ca}/crl.crl",
    "/crl/{org}/{ca}/{certificate}",
    "/a/b/c",
    "/a/{x}/d",
    "/{any:path}",
)


@pytest.mark.parametrize(
    ("path", "template", "parameters"),
    [
        ("/", "/", {}),
        ("/health", "/health", {}),
        ("/%68ealth", "/health", {}),
        ("/health/", "/{any:path}", {"any": "health/"}),
        ("/ocsp/o/c/", "/ocsp/{org}/{ca}/{request:path}", {"org": "o", "ca": "c", "request": ""}),
        ("/ocsp/o/c/MF%2B//x=", "/ocsp/{org}/{ca}/{request:path}", {"org": "o", "ca": "c", "request": "MF%2B//x="}),
        ("/crl/o/c/crl.crl", "/crl/{org}/{ca}/crl.crl", {"org": "o", "ca": "c"}),
        ("/crl/o/c/1.cer", "/crl/{org}/{ca}/{certificate}", {"org": "o", "ca": "c", "certificate": "1.cer"}),
        ("/crl/o%2Fp/c%20/%C3%A4", "/crl/{org}/{ca}/{certificate}", {"org": "o/p", "ca": "c ", "certificate": "ä"}),
        ("/crl/%2541/c/x", "/crl/{org}/{ca}/{certificate}", {"org": "%41", "ca": "c", "certificate": "x"}),
        ("/a/b/c", "/a/b/c", {}),
        ("/a/b/d", "/a/{x}/d", {"x": "b"}),
        ("/a/../d", "/{any:path}", {"any": "a/../d"}),
        ("/crl//c/x", "/{any:path}", {"any": "crl//c/x"}),
    ],
)
def test_path_finds_its_route(path: str, template: str, parameters: dict[str, str]) -> None:
    match = Router(map(route, TEMPLATES)).resolve("GET", path)
    assert match.route.path == template
    assert dict(match.parameters) == parameters


@pytest.mark.parametrize(
    "path", ["", "*", "/b", "/a", "/a/", "/a//c", "/a/./c", "/a/%2e%2E/c", "/a/x/c/", "//a/x/c", "/A/x/c", "/r"]
)
def test_other_paths_have_none(path: str) -> None:
    with pytest.raises(NoRoute):
        Router([route("/a/{b}/c"), route("/r/{rest:path}")]).resolve("GET", path)


@pytest.mark.parametrize("path", ["/%", "/%4", "/%zz", "/%ff", "/%c3", "/%00", "/%0a", "/%7f", "/a/%C0%AF"])
def test_malformed_paths_are_bad(path: str) -> None:
    with pytest.raises(BadPath):
        Router([route("/{a}")]).resolve("GET", path)


def test_get_answers_head_and_others_are_named() -> None:
    router = Router([route("/a"), route("/a", "POST"), route("/{b}", "PUT")])
    assert router.resolve("HEAD", "/a").route.methods == ("GET",)
    assert router.resolve("POST", "/a").route.methods == ("POST",)
    assert router.resolve("PUT", "/a").route.path == "/{b}"
    with pytest.raises(MethodNotAllowed) as refused:
        router.resolve("DELETE", "/a")
    assert refused.value.allowed == ("GET", "HEAD", "OPTIONS", "POST", "PUT")


def test_methods_of_one_shape_may_name_variables_differently() -> None:
    router = Router([route("/{a}"), route("/{b}", "POST")])
    assert dict(router.resolve("GET", "/x").parameters) == {"a": "x"}
    assert dict(router.resolve("POST", "/x").parameters) == {"b": "x"}


@pytest.mark.parametrize(
    ("routes", "problem"),
    [
        ([route("/a"), route("/a")], "GET /a: also claimed by /a; HEAD /a: also claimed by /a"),
        ([route("/{a}", "PUT"), route("/{b}", "PUT")], "PUT /{b}: also claimed by /{a}"),
        ([route("/{a:path}", "PUT"), route("/{b:path}", "PUT")], "PUT /{b:path}: also claimed by /{a:path}"),
        ([route("a")], "a: has to start with a slash"),
        ([route("/{a:path}/b")], "/{a:path}/b: {a:path} has to be the last segment"),
        ([route("/{a}/{a}")], "/{a}/{a}: {a} stands twice"),
        ([route("/x{a}")], "/x{a}: 'x{a}' is neither literal text nor {name} nor {name:path}"),
        ([route("/a b")], "/a b: 'a b' is neither literal text nor {name} nor {name:path}"),
        ([route("/../a")], "/../a: '..' is neither literal text nor {name} nor {name:path}"),
        ([route("/a", "get")], "/a: needs methods in upper case, has ('get',)"),
    ],
)
def test_conflicts_and_malformed_templates_are_refused(routes: list[Route], problem: str) -> None:
    with pytest.raises(RouteConflict) as refused:
        Router(routes)
    assert str(refused.value) == problem


def test_all_problems_are_told() -> None:
    with pytest.raises(RouteConflict) as refused:
        Router([route("a"), route("/b", "PUT"), route("/b", "PUT")])
    assert len(refused.value.problems) == 2


def test_look_up_visits_a_node_once() -> None:
    """Templates that share long prefixes cannot be made to cost exponentially."""
    depth = 12
    templates = [
        "/" + "/".join("a" if mask >> bit & 1 else f"{{v{bit}}}" for bit in range(depth)) + f"/end{mask}"
        for mask in range(0, 1 << depth, 7)
    ]
    router = Router(map(route, templates))
    with pytest.raises(NoRoute):
        router.resolve("GET", "/a" * depth + "/nowhere")


def test_long_paths_are_found_and_not_remembered() -> None:
    """What is remembered was chosen by strangers: few paths, and none of them long."""
    router = Router([route("/a/{rest:path}")])
    for number in range(2000):
        assert router.resolve("GET", f"/a/{number}").parameters == {"rest": str(number)}
    for number in range(20):
        router.resolve("GET", "/a/" + "x" * 10_000 + str(number))
    assert len(router._lately) <= 1024
    assert all(len(path) <= 512 for _, path in router._lately)
