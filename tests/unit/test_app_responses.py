"""Answers as JSON, whoever raised them."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from app.responses import from_http_exception, json_response


def body(response: web.Response) -> object:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def test_a_refusal_of_aiohttp_is_json_and_keeps_its_header_fields() -> None:
    response = from_http_exception(web.HTTPMethodNotAllowed("POST", ["GET"]))
    assert response.status == 405
    assert response.headers["Allow"] == "GET"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert body(response) == {"error": "This path does not take this method"}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (web.HTTPNotFound(), "There is nothing at this path"),
        (web.HTTPRequestEntityTooLarge(10, 11), "Maximum request body size 10 exceeded"),
        (web.HTTPBadRequest(), "Bad Request"),
        (web.HTTPBadRequest(text="the name is missing"), "the name is missing"),
        (web.HTTPConflict(reason="Taken"), "Taken"),
    ],
)
def test_a_handlers_own_words_are_kept(error: web.HTTPException, says: str) -> None:
    (message,) = json.loads(from_http_exception(error).body or b"").values()  # type: ignore[arg-type]
    assert message.startswith(says)


def test_a_redirect_stays_a_redirect() -> None:
    response = from_http_exception(web.HTTPFound("/elsewhere"))
    assert response.status == 302
    assert response.headers["Location"] == "/elsewhere"


def test_json_that_a_handler_raised_stays_as_it_is() -> None:
    error = web.HTTPBadRequest(text='{"why":1}', content_type="application/json")
    assert body(from_http_exception(error)) == {"why": 1}


def test_an_answer_ends_with_a_newline_for_the_terminal() -> None:
    response = json_response({"a": 1, "ä": "ö"}, status=201, headers={"X-Source": "live"})
    assert response.status == 201
    assert response.headers["X-Source"] == "live"
    assert response.body == b'{"a":1,"\\u00e4":"\\u00f6"}\n'
