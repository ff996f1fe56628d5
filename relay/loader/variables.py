"""``${NAME}``: variables that a provider file declares in ``vars``, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs
from msgspec import UNSET

from relay.loader.place import Place, nearest, one_line
from relay.schema.provider import VarFile

_REFERENCE = re.compile(r"\$\{([^{}]*)(\}?)")
_LONGEST_NAME = 80


@attrs.frozen
class Variables:
    """The variables of one provider.

    Attributes:
        declared: name → fixed value, or where the value comes from.
        environ: the environment.
        place: where ``vars`` stands.
    """

    declared: Mapping[str, str | VarFile]
    environ: Mapping[str, str]
    place: Place

    def check(self) -> None:
        """Refuse declarations that contradict themselves.

        Raises:
            ConfigError: ``value`` beside ``env`` or ``default``, neither ``value`` nor ``env``.
        """
        for name, var in self.declared.items():
            place = self.place.at(name)
            if isinstance(var, str):
                continue
            if var.value is not UNSET and var.env is not UNSET:
                raise place.error("expected either 'value' or 'env', not both")
            if var.value is not UNSET and var.default is not UNSET:
                raise place.at("default").error("a default goes with 'env'; 'value' is fixed already")
            if var.value is UNSET and var.env is UNSET:
                raise place.error("expected 'value' or 'env'")

    def expand(self, text: str, place: Place) -> str:
        """Replace every ``${NAME}``.

        Args:
            text: may hold references.
            place: where the text stands.

        Raises:
            ConfigError: a name that ``vars`` does not declare, a reference that is not
                closed, an environment variable that is not set and has no default.
        """

        def value(match: re.Match[str]) -> str:
            name, closed = match.groups()
            if not closed:
                raise place.error("expected '}' after '${' and a name")
            if name not in self.declared:
                shown = one_line(name[:_LONGEST_NAME])
                raise place.error(f"${{{shown}}} is not declared in 'vars'", nearest(name, self.declared))
            return self._value(name)

        return _REFERENCE.sub(value, text)

    def _value(self, name: str) -> str:
        var = self.declared[name]
        if isinstance(var, str):
            return var
        if var.value is not UNSET:
            return var.value
        found = self.environ.get(str(var.env), "").strip()
        if found:
            return found
        if var.default is UNSET:
            raise self.place.at(name).error(f"environment variable {var.env} is not set and there is no default")
        return var.default
