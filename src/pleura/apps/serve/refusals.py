"""Why a request is not served, though no film of it is at fault."""

from __future__ import annotations

from pleura.core.errors import PleuraError

__all__ = [
    "Busy",
    "CutOff",
    "ForeignOrigin",
    "KeyNeeded",
    "NotOffered",
    "Refusal",
    "Stopping",
    "TooLarge",
    "TooSlow",
    "TookTooLong",
    "UnknownHost",
]


class Refusal(PleuraError):
    """A request that is not served; its text says what to change."""


class TooLarge(Refusal):
    """More bytes or films than one request may bring."""


class TooSlow(Refusal):
    """The request's body did not arrive in time."""


class CutOff(Refusal):
    """The client went away before its body was there; nobody hears the answer."""


class Busy(Refusal):
    """Every place in the queue is taken, or the memory for uploads."""

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        """`retry_after_s` is when a place may be free."""
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Stopping(Refusal):
    """The service ends, and the films could not be finished before."""

    retry_after_s = 30
    """By then it may have been started again."""


class TookTooLong(Refusal):
    """The films were accepted, but not segmented in time."""


class KeyNeeded(Refusal):
    """No API key, or a wrong one."""


class UnknownHost(Refusal):
    """The request is for a host of another name than those that the service has."""


class ForeignOrigin(Refusal):
    """The request comes from a page of another site."""


class NotOffered(Refusal):
    """None of the kinds of answer that the client accepts."""
