"""What every standard facet should look like, read off the classes of openlineage-python.

The classes are generated from the specification, so a newer package knows newer facets. A member
that a class requires is expected; more than it knows is not wrong, and neither is a null, which
real producers send for "nothing".
"""

import importlib
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Union

import attr
from openlineage.client import generated

from lineage.facets.training import Training

Found = tuple[str, str, str]
"""A code, where, and a sentence."""
Check = Callable[[Any, str, list[Found]], None]
"""Looks at a value, said to be where; adds what is odd. A list costs half of what yielding does."""

_SUFFIXES = (
    ("InputDatasetFacet", "input"),
    ("OutputDatasetFacet", "output"),
    ("DatasetFacet", "dataset"),
    ("JobFacet", "job"),
    ("RunFacet", "run"),
)
_KEYS = {  # where the key does not follow from the class's name
    "Datasource": "dataSource", "DatasetVersion": "version", "SQL": "sql",
    "ProcessingEngine": "processing_engine", "InputSubset": "subset", "OutputSubset": "subset",
}  # fmt: skip
_PLAIN: dict[Any, tuple[type | tuple[type, ...], str]] = {
    str: (str, "a text"), int: (int, "a whole number"), float: ((int, float), "a number"),
    bool: (bool, "true or false"),
}  # fmt: skip
_BASE = {"_producer", "_schemaURL", "_deleted"}


@cache
def checks() -> dict[tuple[str, str], Check]:
    """Return by (kind of facet, key) what checks it; kinds are run, job, dataset, input, output."""
    found: dict[tuple[str, str], Check] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        loaded = importlib.import_module(f"{generated.__name__}.{module.name}")
        for name, one in vars(loaded).items():
            kind = next(((kind, s) for s, kind in _SUFFIXES if name.endswith(s)), None)
            if kind is None or not attr.has(one) or one.__module__ != loaded.__name__:
                continue
            stem = name.removesuffix(kind[1])
            if stem:  # the bases have none
                key = _KEYS.get(stem, stem[0].lower() + stem[1:])
                found[kind[0], key] = _of_class(one)
    found["run", "colophon_training"] = _of_class(Training)
    return found


@cache
def _of_class(of: type) -> Check:
    """Return a check of an object; its members are looked up when it is first used."""
    members: dict[str, tuple[bool, Check | None]] = {}

    def check(value: Any, where: str, found: list[Found]) -> None:
        if not isinstance(value, dict):
            found.append(("facet_member_type", where, "an object is expected"))
            return
        if not members:
            members.update(_members(of))
        for name, (required, of_member) in members.items():
            inside = value.get(name)
            if inside is None:
                if required and name not in value:
                    found.append(("facet_member_missing", f"{where}.{name}", "it is required"))
            elif of_member is not None:
                of_member(inside, f"{where}.{name}", found)

    return check


def _members(of: type) -> Iterator[tuple[str, tuple[bool, Check | None]]]:
    """Yield the members of a class: whether each is required, and what checks it."""
    hints = typing.get_type_hints(of)
    for each in attr.fields(of):
        if each.name not in _BASE:
            required = each.default is attr.NOTHING
            yield each.name, (required, _of_type(hints.get(each.name, Any)))


def _of_type(hint: Any) -> Check | None:
    """Return a check of a value, or nothing where anything goes."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in _PLAIN:
        return _of_plain(*_PLAIN[hint])
    if origin is list:
        return _of_list(_of_type(inner[0]) if inner else None)
    if origin is dict:
        return _of_dict(_of_type(inner[1]) if inner else None)
    if origin in {Union, types.UnionType}:
        return _of_union([each for each in inner if each is not type(None)])
    if isinstance(hint, type) and attr.has(hint):
        return _of_class(hint)
    return None


def _of_plain(wanted: type | tuple[type, ...], said: str) -> Check:
    def check(value: Any, where: str, found: list[Found]) -> None:
        odd = isinstance(value, bool) and wanted is not bool
        if odd or not isinstance(value, wanted):
            found.append(("facet_member_type", where, f"{said} is expected"))

    return check


def _of_list(of_item: Check | None) -> Check:
    def check(value: Any, where: str, found: list[Found]) -> None:
        if not isinstance(value, list):
            found.append(("facet_member_type", where, "a list is expected"))
        elif of_item is not None:
            for at, each in enumerate(value):
                of_item(each, f"{where}[{at}]", found)

    return check


def _of_dict(of_value: Check | None) -> Check:
    def check(value: Any, where: str, found: list[Found]) -> None:
        if not isinstance(value, dict):
            found.append(("facet_member_type", where, "an object is expected"))
        elif of_value is not None:
            for at, each in enumerate(value.values()):
                # A key may be anything, so a member is told by its place.
                of_value(each, f"{where}{{{at}}}", found)

    return check


def _of_union(choices: list[Any]) -> Check | None:
    made = [_of_type(each) for each in choices]
    if not made or None in made:
        return None
    wanted = [each for each in made if each is not None]
    if len(wanted) == 1:
        return wanted[0]

    def check(value: Any, where: str, found: list[Found]) -> None:
        tried: list[list[Found]] = []
        for each in wanted:
            tried.append([])
            each(value, where, tried[-1])
        if all(tried):
            shortest = min(tried, key=len)
            found.extend(shortest)

    return check
