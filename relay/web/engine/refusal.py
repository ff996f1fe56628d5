"""The error of a head that is not accepted."""

from __future__ import annotations

from relay.errors import HeadTooLarge, InvalidRequest, TooLarge

_CODES = {413: TooLarge.default_code, 414: HeadTooLarge.default_code, 431: HeadTooLarge.default_code}


class BadHead(InvalidRequest):
    """A head that is not accepted; its status says why: 400, 413, 414, 417, 431, 501 or 505."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message, code=_CODES.get(status))
        self._status = status

    @property
    def http_status(self) -> int:
        """As the parser says."""
        return self._status
