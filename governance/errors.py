"""The root of every error that a caller can do something about, and the few that many share."""

from typing import Any, ClassVar


class ColophonError(Exception):
    """A refusal with a stable ``code``; ``status`` is what HTTP makes of it.

    The message is one sentence for a person and never holds a personal identifier.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class NotFoundError(ColophonError):
    """There is no such thing, or it is not yours: the answer is the same."""

    code = "not_found"
    status = 404


class BodyTooLargeError(ColophonError):
    """A body is over its limit, as sent or once it is inflated; sending it again is no use."""

    code = "body_too_large"
    status = 413
