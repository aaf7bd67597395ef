"""Which matches a recipe has, by whatever mapper, before anything is connected to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from shakeout.errors import BadRecipe, NoMatch
from shakeout.labs.provider import PoolManager
from shakeout.matching.inventory import HostEntry, Inventory
from shakeout.matching.mapper import ConstraintMapper, Mapper, Match, no_match
from shakeout.matching.requirements import resolve
from shakeout.recipe.base import BaseRecipe


class Candidates:
    """The matches of one recipe, and why there is none.

    Args:
        options: of the mapper, as the user gave them.

    Raises:
        BadRecipe: the recipe's own ``__init__`` does not call the base class's.
        BadRequirement: its requirements make no sense.
    """

    def __init__(self, recipe: BaseRecipe, pools: PoolManager, mapper: Mapper, options: Mapping[str, Any]) -> None:
        if "req" not in vars(recipe) or "params" not in vars(recipe):
            name = type(recipe).__name__
            raise BadRecipe(f"{name}.__init__ does not call super().__init__(**kwargs): that first, it makes self.req")
        self._requirements = resolve(recipe.req, recipe.params)
        self._pools = pools
        self._mapper = mapper
        self._options = dict(options)
        self._inventory = Inventory([])

    def find(self, exclude: Collection[str] = (), *, every: bool = False) -> Iterator[Match]:
        """The matches without the hosts in *exclude*, one after the other; what there is is asked for anew.

        Args:
            every: all of them, whatever the options say.
        """
        self._inventory = self._pools.inventory(self._requirements)
        # A mapper of one's own need not know what is not asked of it.
        options = self._options | {"all_matches": True} if every else self._options
        more: dict[str, Any] = {"exclude": frozenset(exclude)} if exclude else {}
        return iter(self._mapper.matches(self._requirements, self._inventory, **more, **options))

    def host(self, name: str) -> HostEntry:
        """A host of the inventory, as it was when matches were last looked for."""
        return self._inventory[name]

    def some(self, most: int | None = None) -> list[Match]:
        """The first *most* matches (None: all).

        Raises:
            NoMatch: there is none, and why.
        """
        found = list(islice(self.find(), most))
        if not found:
            raise self.nothing()
        return found

    def nothing(self, silent: Collection[str] = (), busy: Mapping[str, str] = MappingProxyType({})) -> NoMatch:
        """Why there is no match.

        Args:
            silent: names of hosts that did not answer.
            busy: names of hosts that somebody else has or has reserved, and the messages that say so.
        """
        known = {name: value for name, value in self._options.items() if name in _EXPLAINED}
        error = no_match(self._requirements, self._inventory, exclude=frozenset((*silent, *busy)), **known)
        if not isinstance(self._mapper, ConstraintMapper):
            error = NoMatch(f"the mapper {type(self._mapper).__name__} found no match; by shakeout's own: {error}")
        if silent:
            error = NoMatch(f"{error}; set aside, because they did not answer: {', '.join(sorted(silent))}")
        if busy:
            who = "; ".join(f"{name}: {busy[name]}" for name in sorted(busy))
            error = NoMatch(f"{error}; set aside, because they are in use: {who}; --wait stands in line for them")
        return error


#: Options of mappers that the explanation takes into account.
_EXPLAINED = ("allow_virtual", "share_networks")
