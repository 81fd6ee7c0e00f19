"""What an auditor is told of a failure: our own refusals in full, of everything else nothing."""

import logging
import re
from typing import Any
from uuid import uuid4

from django.db import OperationalError
from graphql import GraphQLError
from psycopg.errors import QueryCanceled

from governance.errors import ColophonError

logger = logging.getLogger(__name__)

LONGEST = 300  # the library quotes values from the document in full
_SUGGESTION = re.compile(r" Did you mean .*\?$", re.DOTALL)


class TookTooLongError(ColophonError):
    """A query of the answer ran into the time limit."""

    code = "took_too_long"
    status = 503


def shown(error: GraphQLError) -> dict[str, Any]:
    """Return an error as the answer shows it.

    An error without a cause of its own is the library's and speaks of the document alone, so its
    words are shown, without names that the document did not use. Of an unexpected error only the
    kind and the place are logged, because messages can quote rows.
    """
    cause = _cause(error)
    if isinstance(cause, ColophonError):
        said: dict[str, Any] = {"message": cause.message, "extensions": {"code": cause.code}}
    elif cause is None:
        said = {
            "message": _SUGGESTION.sub("", error.message)[:LONGEST],
            "extensions": {"code": "document_invalid"},
        }
    else:
        correlation = str(uuid4())
        logger.error("answer failed: %s %s", correlation, _place(cause))
        said = {
            "message": "internal error",
            "extensions": {"code": "internal", "correlation_id": correlation},
        }
    if error.locations:
        said["locations"] = [each.formatted for each in error.locations]
    if error.path:
        said["path"] = error.path
    return said


def _cause(error: GraphQLError) -> BaseException | None:
    """Return what made the error, below the library's own wrapping; nothing for its own."""
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, OperationalError) and isinstance(cause.__cause__, QueryCanceled):
        return TookTooLongError("the answer took too long: ask for less at a time")
    return cause


def _place(cause: BaseException) -> str:
    """Return the error's kind and where it came from."""
    trace = cause.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "nowhere"
    return f"{type(cause).__qualname__} in {where}"
