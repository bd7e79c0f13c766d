"""DICOMweb services: how they are reached, and what their errors mean."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pleura.apps.pacs.addresses import Tls
from pleura.core.errors import PleuraError, UsageError

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["ANSWER_S", "AUTH", "CONNECT_S", "Refused", "Unreachable", "answered", "web_client"]

AUTH = "PLEURA_DICOMWEB_AUTH"
"""The environment variable: USER:PASSWORD, or `Bearer TOKEN`."""

CONNECT_S, ANSWER_S = 10.0, 60.0

_SHUT = frozenset({401, 403, 404, 502, 503, 504})
"""HTTP statuses that speak of the service, not of what was sent."""


class Unreachable(PleuraError):
    """Nobody answers there, or nobody lets us in: whatever is sent would fail."""


class Refused(PleuraError):
    """These results were not taken; others may be."""


def web_client(url: str, ca: Path | None = None) -> DICOMwebClient:
    """A client of a DICOMweb service, with the authorization that the environment holds.

    Raises:
        UsageError: the authorization is not written so, or the CA's file cannot be used.
    """
    import requests
    from dicomweb_client import DICOMwebClient

    session = requests.Session()
    session.auth = _authorization(os.environ.get(AUTH, "").strip())
    if ca is not None:
        Tls(ca=ca).calling()  # to be told of a wrong file now, not by the first film
        session.verify = str(ca)
    client = DICOMwebClient(
        url, session=session, permissive_uid=True, timeout=(CONNECT_S, ANSWER_S)
    )
    client.set_http_retry_params(retry=False)  # the queue waits better
    return client


@contextmanager
def answered() -> Iterator[None]:
    """Ask a service inside; what goes wrong is told without the address, which may hold UIDs.

    Raises:
        Unreachable: the service is not there, or lets nobody in.
        Refused: it does not take, or does not give, what it was asked for.
    """
    import requests

    try:
        yield
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        kind = Unreachable if status in _SHUT else Refused
        remedy = f"; see {AUTH} and ~/.netrc" if status in {401, 403} else ""
        raise kind(f"the service answered HTTP {status}{remedy}") from None
    except requests.ConnectionError as error:
        raise _not_connected(error) from None
    except requests.RequestException as error:
        raise Refused(f"no proper answer ({type(error).__name__})") from None


def _authorization(told: str) -> Any:
    """What requests signs with; None leaves it to ~/.netrc."""
    user, colon, password = told.partition(":")
    if told.lower().startswith("bearer "):
        return functools.partial(_signed, told)
    if told and not colon:
        raise UsageError(f"{AUTH} is neither USER:PASSWORD nor 'Bearer TOKEN'; write it so")
    return (user, password) if told else None


def _signed(told: str, request: Any) -> Any:
    """As an authorization, not as a header of the session, which ~/.netrc would replace."""
    request.headers["Authorization"] = told
    return request


def _not_connected(error: Exception) -> PleuraError:
    """A service that is not there, apart from one that hangs up on what it is sent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if type(reason).__name__ in {"NewConnectionError", "ConnectTimeoutError", "SSLError"}:
        remedy = "; see --tls-ca" if type(reason).__name__ == "SSLError" else ""
        return Unreachable(f"no connection ({type(reason).__name__}){remedy}")
    return Refused("the connection was cut off")
