"""Unix seconds and ``created_at``, by arithmetic on the calendar alone.

The calendar's rule: 400 years have 146097 days; years that begin in March have their leap day last.
"""

from __future__ import annotations

import re

_ERA = 146097
_EPOCH = 719468
"""Days from 1 March of year 0 to 1 January 1970."""

_DAY = 86400
_LATEST = 253402300799
"""Unix seconds of the last second with four digits in its year."""

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))?", re.ASCII
)


def timestamp(seconds: int) -> str:
    """The moment as RFC 3339 writes it, in UTC."""
    days, rest = divmod(min(max(seconds, 0), _LATEST), _DAY)
    era, day = divmod(days + _EPOCH, _ERA)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    shifted = (5 * day + 2) // 153  # months since March
    date = day - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year += 400 * era + (month <= 2)
    return f"{year:04}-{month:02}-{date:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def seconds(moment: str) -> int:
    """Unix seconds of a moment in RFC 3339, with nanoseconds or without; 0 if it is none, or before 1970."""
    match = _MOMENT.fullmatch(moment)
    if match is None:
        return 0
    year, month, date, hour, minute, second = map(int, match.groups()[:6])
    if not 1 <= month <= 12:
        return 0
    year -= month <= 2
    day = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + date - 1
    days = 365 * year + year // 4 - year // 100 + year // 400 + day - _EPOCH
    sign, hours, minutes = match.groups()[6:]
    offset = (int(hours) * 3600 + int(minutes) * 60) * (-1 if sign == "-" else 1) if sign else 0
    return max(days * _DAY + hour * 3600 + minute * 60 + second - offset, 0)
