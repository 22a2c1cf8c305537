"""What a store refuses, as one line: the address, the cause, the way out."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from xattn.errors import UsageError, XattnError, one_line

_REPEAT = "repeat the command, what was written is kept"
_CREDENTIALS = (
    "give credentials that may, for s3 by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
    "AWS_PROFILE, for gs by GOOGLE_APPLICATION_CREDENTIALS"
)
_BUCKET = "make it, or see whether its name is right"
_NETWORK = f"see whether the network and the service work (for s3 AWS_ENDPOINT_URL), then {_REPEAT}"
_SAYS_BUCKET = ("bucket does not exist", "nosuchbucket", "bucket is not valid")
_SAYS_RIGHTS = (
    "credential", "access denied", "forbidden", "access key", "signature", "unauthorized",
    "permission", "anonymous caller", "token", "not authorized",
)  # fmt: skip
_SAYS_NETWORK = ("connect", "timeout", "timed out", "name or service", "resolve", "unreachable")
_LONGEST = 200


class AddressError(XattnError):
    """A store cannot be reached, or refuses something: network, credentials, bucket."""


class NoObjectError(FileNotFoundError):
    """There is nothing at an address, in a bucket that is there."""


@contextmanager
def asking(address: object, what: str = "read") -> Iterator[None]:
    """Name the address if its store refuses what is asked within the block.

    Raises:
        NoObjectError: nothing is there.
        AddressError: anything else went wrong.
    """
    try:
        yield
    except (XattnError, NoObjectError, FileExistsError):
        raise
    except Exception as err:  # each library raises its own
        raise _told(err, address, what) from err


def missing_library(protocol: str, err: BaseException) -> UsageError:
    """Return the error for a protocol that nothing installed can read."""
    if isinstance(err, ImportError):
        return UsageError(
            f"Expected the libraries for {protocol}:// addresses, but got: {one_line(err)}; "
            "pip install 'xattn[remote]', or the package that is named, for other protocols"
        )
    return UsageError(
        f"Expected an address such as s3://bucket/folder or gs://bucket/folder, but got "
        f"{protocol}://...: {one_line(err)}"
    )


def _told(err: Exception, address: object, what: str) -> Exception:
    said = one_line(err)
    kind = f"{type(err).__name__} {said}".lower()
    if any(one in kind for one in _SAYS_BUCKET):
        way_out = _BUCKET
    elif isinstance(err, FileNotFoundError):
        return NoObjectError(errno.ENOENT, "there is nothing at this address", str(address))
    elif isinstance(err, PermissionError) or any(one in kind for one in _SAYS_RIGHTS):
        way_out = _CREDENTIALS
    elif isinstance(err, OSError) or any(one in kind for one in _SAYS_NETWORK):
        way_out = _NETWORK
    else:
        way_out = _REPEAT
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
    return AddressError(f"Expected to {what} {address}, but got: {said}; {way_out}")
