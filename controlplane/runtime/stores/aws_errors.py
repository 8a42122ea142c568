"""What boto3 raises, as this project's errors. boto3 is imported when something is asked, never when this module is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from controlplane.runtime.errors import StoreError, StoreUnavailable


class ConditionFailedError(Exception):
    """A conditional write did not take place."""


class TableMissingError(StoreError):
    """Nothing was ever published here: the first publisher makes the table."""


class BucketMissingError(StoreError):
    """Nothing was ever written here: the first publisher makes the bucket."""


class KeyMissingError(StoreError):
    """The bucket has no object of this key."""


_CONDITION_CODES = {"ConditionalCheckFailedException", "PreconditionFailed", "ConditionalRequestConflict"}
_MISSING_CODES = {
    "ResourceNotFoundException": TableMissingError,
    "NoSuchBucket": BucketMissingError,
    "NoSuchKey": KeyMissingError,
    "404": KeyMissingError,
}
_BUSY_CODES = {
    "InternalError",
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottlingException",
}


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Raise what goes wrong in the block as a `StoreError` that says what could not be done."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnectionError

    try:
        yield
    except ClientError as problem:
        code = code_of(problem)
        if code in _CONDITION_CODES:
            raise ConditionFailedError(code) from problem
        kind = StoreUnavailable if code in _BUSY_CODES else _MISSING_CODES.get(code, StoreError)
        raise kind(f"cannot {what}: {code}") from problem
    except (HTTPClientError, NoConnectionError, OSError) as problem:
        raise StoreUnavailable(f"cannot {what}: {type(problem).__name__}") from problem
    except BotoCoreError as problem:  # no credentials, a request that was never sent, and their like
        raise StoreError(f"cannot {what}: {problem}") from problem


@contextmanager
def unless(code: str) -> Iterator[None]:
    """Pass over this one error."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as problem:
        if code_of(problem) != code:
            raise


def code_of(problem: Any) -> str:
    """The service's word for what went wrong."""
    return str(problem.response.get("Error", {}).get("Code", "unknown"))
