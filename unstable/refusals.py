"""Refused requests: error to status in one table, every answer JSON `{"error": …}`."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from .loopback import NotLocalError
from .overrides import BadOverrideError
from .settings import BadSettingError
from .telemetry import ROUTES

_STATUS: dict[type[Exception], int] = {
    BadOverrideError: 400,
    BadSettingError: 400,
    web.RequestPayloadError: 400,  # a body whose framing is broken
    NotLocalError: 403,
}
_REFUSALS = tuple(_STATUS)


@web.middleware
async def refuse_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except _REFUSALS as error:
        return _refusal(_STATUS[type(error)], str(error))
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"{request.path} does not take {error.method}; it takes {allowed}"
        return _refusal(error.status, text, Allow=allowed)
    except web.HTTPNotFound as error:
        text = f"nothing at {request.path[:80]}; there is {', '.join(ROUTES)}"
        return _refusal(error.status, text)
    except web.HTTPException as error:
        return _refusal(error.status, error.text or error.reason)


def _refusal(status: int, text: str, **headers: str) -> web.Response:
    return web.json_response({"error": text}, status=status, headers=headers)
