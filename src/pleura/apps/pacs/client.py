"""Clients of DICOMweb services: authorization, timeouts and errors."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pleura.apps.pacs.addresses import Tls
from pleura.core.errors import PleuraError, UsageError
from pleura.io.film_checks import MAX_BYTES

if TYPE_CHECKING:
    import requests
    from dicomweb_client import DICOMwebClient

__all__ = [
    "ANSWER_S",
    "AUTH",
    "CONNECT_S",
    "Refused",
    "Unreachable",
    "connection_fault",
    "web_client",
    "web_errors",
]

AUTH = "PLEURA_DICOMWEB_AUTH"
"""The environment variable for the authorization: USER:PASSWORD, or `Bearer TOKEN`."""

CONNECT_S, ANSWER_S = 10.0, 60.0
"""Timeouts to connect and for an answer, seconds."""

LONGEST_PAUSE_S = 60.0
"""The longest pause before a request is repeated, unless the service asks for a longer one."""

BUSY = (429, 502, 503, 504)
"""HTTP statuses of a service that may take the same request later."""

_UNREACHABLE_STATUSES = frozenset({401, 403, 404, *BUSY})
"""HTTP statuses by which the service takes no request at all."""

_NO_ANSWER = f"no answer within {ANSWER_S:g} s"

_DICOM_JSON = "application/dicom+json"
_WITHOUT_PARAMETERS = frozenset({_DICOM_JSON, "application/json", "application/dicom+xml"})
"""Media types that dicomweb-client knows only without a charset behind them."""


class Unreachable(PleuraError):
    """The destination does not answer, or denies access: every further request would fail."""

    retry_after_s: float = 0.0
    """The pause that the destination asks for, seconds."""


class Refused(PleuraError):
    """The destination rejected these results; it may take others."""


def web_client(url: str, ca: Path | None = None, *, retries: int = 0) -> DICOMwebClient:
    """A client of a DICOMweb service, with the authorization of the environment.

    A request that fails because the service is away or busy is repeated up to `retries` times,
    at once, then after 2, 4, 8 ... seconds, `LONGEST_PAUSE_S` at most, or as long as its
    Retry-After says. The node repeats nothing here: its queue does.

    Raises:
        UsageError: the authorization has another form, or the CA's file cannot be used.
    """
    import requests
    from dicomweb_client import DICOMwebClient

    session = requests.Session()
    session.auth = _authorization(os.environ.get(AUTH, "").strip())
    session.headers["Accept"] = _DICOM_JSON  # where dicomweb-client asks for nothing
    session.hooks["response"] += [_check_media_type, _limit_size]
    if ca is not None:
        Tls(ca=ca).client_context()  # raises now if the file is wrong, not at the first film
        session.verify = str(ca)
    client = DICOMwebClient(
        url, session=session, permissive_uid=True, timeout=(CONNECT_S, ANSWER_S)
    )
    client.set_http_retry_params(retry=False)  # it would repeat no request that had no connection
    if retries:
        session.mount("http://", _repeating_adapter(retries))
        session.mount("https://", _repeating_adapter(retries))
    return client


def _repeating_adapter(retries: int) -> Any:
    """An adapter of requests that repeats requests. Results have fixed UIDs, so POST is safe."""
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    return HTTPAdapter(
        max_retries=Retry(
            total=retries,
            backoff_factor=1,
            backoff_max=LONGEST_PAUSE_S,
            status_forcelist=BUSY,
            allowed_methods=None,
            raise_on_status=False,
        )
    )


@contextmanager
def web_errors() -> Iterator[None]:
    """Translate the errors of requests inside. The messages have no URL, which may hold UIDs.

    Raises:
        Unreachable: the service does not answer, or denies access.
        Refused: it rejects this request.
    """
    import requests

    try:
        yield
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        remedy = f"; see {AUTH} and ~/.netrc" if status in {401, 403} else ""
        text = f"the service answered HTTP {status}{remedy}"
        if status not in _UNREACHABLE_STATUSES:
            raise Refused(text) from None
        unreachable = Unreachable(text)
        unreachable.retry_after_s = _retry_after_s(error.response)
        raise unreachable from None
    except requests.ConnectionError as error:
        raise _connection_error(error) from None
    except requests.Timeout:
        raise Refused(_NO_ANSWER) from None
    except requests.RequestException as error:
        raise Refused(f"invalid answer ({type(error).__name__})") from None


def _check_media_type(response: Any, **_: Any) -> None:
    """Reject web pages, and leave out parameters of the media type that the client cannot read.

    Raises:
        Unreachable: a page for people, as a login or a proxy sends it with HTTP 200.
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.ok and media_type.startswith("text/"):
        response.close()
        raise Unreachable(
            f"the service answered HTTP {response.status_code} with {media_type}, a page for "
            f"people; expected DICOM JSON or XML: check the URL, a login or proxy before it, {AUTH}"
        )
    if media_type in _WITHOUT_PARAMETERS:
        response.headers["Content-Type"] = media_type


def _limit_size(response: Any, **_: Any) -> None:
    """Let the body of an answer, which is not read yet, end with an error if it is too long."""
    response.raw = _LimitedBody(response.raw)


class _LimitedBody:
    """The body of an answer, as requests reads it; `Refused` beyond `MAX_BYTES`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *arguments: Any, **options: Any) -> Iterator[bytes]:
        """The body in pieces, unpacked."""
        size = 0
        for piece in self._raw.stream(*arguments, **options):
            size += len(piece)
            if size > MAX_BYTES:
                self._raw.close()
                raise Refused(
                    f"the service answered with more than {MAX_BYTES / 1e6:.0f} MB, the limit "
                    "for a film"
                )
            yield piece


def _retry_after_s(response: Any) -> float:
    """The seconds of the header Retry-After; 0 if it is missing or a date."""
    value = "" if response is None else str(response.headers.get("Retry-After", ""))
    return float(value) if value.isdigit() else 0.0


def _authorization(value: str) -> Any:
    """The authorization for a session of requests; None if it is in ~/.netrc."""
    user, colon, password = value.partition(":")
    if value.lower().startswith("bearer "):
        return functools.partial(_add_header, value)
    if value and not colon:
        raise UsageError(f"{AUTH} is neither USER:PASSWORD nor 'Bearer TOKEN'; write it so")
    return (user, password) if value else None


def _add_header(value: str, request: Any) -> Any:
    """Add the header to a request; ~/.netrc would replace a header of the session."""
    request.headers["Authorization"] = value
    return request


def connection_fault(error: BaseException | None) -> str:
    """Why there is no connection, of the error that ended the attempt."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); see --tls-ca"
    if isinstance(error, ssl.SSLError):
        return f"no TLS there ({error.reason or 'the handshake failed'})"
    if isinstance(error, TimeoutError):
        return f"no connection (no answer within {CONNECT_S:g} s)"
    if isinstance(error, OSError):
        return f"no connection ({error.strerror or error})"
    return "no connection"


def _connection_error(error: requests.ConnectionError) -> PleuraError:
    """`Unreachable` if there was no connection, `Refused` if the service closed it."""
    from urllib3 import exceptions

    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(reason, exceptions.ProxyError):
        return Unreachable(f"the proxy before it: {connection_fault(_cause(reason))}")
    if isinstance(reason, (exceptions.NewConnectionError, exceptions.SSLError)):
        return Unreachable(connection_fault(_cause(reason)))
    if isinstance(reason, exceptions.ConnectTimeoutError):  # the parent of NewConnectionError
        return Unreachable(connection_fault(TimeoutError()))
    if isinstance(reason, exceptions.ReadTimeoutError):
        return Refused(_NO_ANSWER)
    return Refused("the connection was cut off")


def _cause(error: BaseException) -> BaseException | None:
    """The error of the system inside an error of urllib3; None if there is none."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, OSError):
        nested = [argument for argument in inner.args if isinstance(argument, Exception)]
        inner = nested[0] if nested else inner.__cause__
    return inner
