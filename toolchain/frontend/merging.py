"""Which values of a linear structure are best computed as one convolution: by multiply-accumulates, then by nodes.

A structure is what leads, by linear operators alone, to one value that something else uses. Its values are looked at in
order; each is either computed as the source does, or as one convolution of any earlier value, or, where it is a sum, as
a sum of fewer terms, whatever makes it cheapest together with everything that it needs. What is found never costs more
than the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolchain.frontend.linear import Linear, added, composed, identity, obstacle

Cost = tuple[int, int, int]
"""Multiply-accumulates per pixel, nodes, and borders that are wrong."""


@dataclass(frozen=True)
class LinearStep:
    """A linear operator of the graph: its value is the sum of its parts.

    Attributes:
        value: name of the result.
        parts: (name of an operand, maps that are applied to it in this order).
        macs: multiply-accumulates per pixel.
    """

    value: str
    parts: tuple[tuple[str, tuple[Linear, ...]], ...]
    macs: int = 0

    @property
    def is_sum(self) -> bool:
        """Whether it adds values as they are."""
        return len(self.parts) > 1 and not any(maps for _, maps in self.parts)


@dataclass(frozen=True)
class Border:
    """A merge that would be wrong at the borders: ``reader`` pads with zeros what ``source`` makes.

    ``why`` is "bias" or "overlap", as in ``linear.obstacle``.
    """

    reader: str
    source: str
    why: str


@dataclass(frozen=True)
class Form:
    """A value as a map of an earlier one; exact if no border is wrong."""

    map: Linear
    borders: tuple[Border, ...] = ()


@dataclass(frozen=True)
class Term:
    """A part of a value: ``form`` of ``base``, in place of ``addends``; without form the one addend, as it is."""

    base: str
    addends: tuple[str, ...]
    form: Form | None = None


@dataclass(frozen=True)
class MergeChoice:
    """How a value is computed: as the sum of terms, or as in the source if there are none.

    Attributes:
        value: its name.
        needs: names of the values from which it is computed.
        cost: of the value alone.
        terms: one for each addend.
    """

    value: str
    needs: tuple[str, ...]
    cost: Cost
    terms: tuple[Term, ...] = ()


@dataclass(frozen=True)
class MergePlan:
    """How a structure is computed.

    Attributes:
        choices: for every value that is computed, in order.
        refused: borders that forbade something cheaper.
    """

    choices: tuple[MergeChoice, ...]
    refused: tuple[Border, ...]

    @property
    def changes(self) -> bool:
        """Whether it differs from the source."""
        return any(choice.terms for choice in self.choices)


def make_plan(steps: Sequence[LinearStep], users: Mapping[str, int], channels: Mapping[str, int]) -> MergePlan:
    """Return the cheapest exact way to compute the value of the last step.

    Args:
        steps: a structure in topological order; operands that no step makes are there already.
        users: how many operands of the graph are this value.
        channels: of every value.
    """
    forms = _find_forms(steps, channels)
    exact = _Planner(steps, users, forms, exact=True).choose()
    ideal = _Planner(steps, users, forms, exact=False).choose()
    best = min(tuple(map(_as_in_source, steps)), exact, key=_total)
    refused: Iterable[Border] = ()
    if _total(ideal)[:2] < _total(best)[:2]:
        refused = dict.fromkeys(
            border for choice in ideal for term in choice.terms if term.form for border in term.form.borders
        )
    return MergePlan(best, tuple(refused))


def _find_forms(steps: Sequence[LinearStep], channels: Mapping[str, int]) -> dict[str, dict[str, Form]]:
    """Find every value's forms as maps of the values on which alone it depends, itself included; both by name."""
    forms: dict[str, dict[str, Form]] = {}
    for step in steps:
        for operand, _ in step.parts:
            forms.setdefault(operand, {operand: Form(identity(channels[operand]))})
        forms[step.value] = {**_forms(step, forms), step.value: Form(identity(channels[step.value]))}
    return forms


class _Planner:
    """Chooses for one value after the other how it is computed, by what that costs with all that it needs.

    Choices for earlier values are never taken back (dynamic programming); what is needed twice is counted once.

    Args:
        steps: a structure in topological order.
        users: how many operands of the graph are each value.
        forms: of every value, by the value that it is a map of.
        exact: use no form that is wrong at a border.
    """

    def __init__(
        self,
        steps: Sequence[LinearStep],
        users: Mapping[str, int],
        forms: Mapping[str, Mapping[str, Form]],
        *,
        exact: bool,
    ) -> None:
        self.steps = {step.value: step for step in steps}
        self.users, self.forms, self.exact = users, forms, exact
        self.choices: dict[str, MergeChoice] = {}
        self.closures: dict[str, frozenset[str]] = {}  # of each value, all that must be computed for it, and itself

    def choose(self) -> tuple[MergeChoice, ...]:
        """Return a choice for the last value and for all that it needs."""
        for value, step in self.steps.items():
            best = min([_as_in_source(step), *self.whole(value)], key=self.cost)
            if step.is_sum:
                best = min([best, *self.shorter(step)], key=self.cost)
            self.choices[value] = best
            self.closures[value] = self.needed(best) | {value}
        root = next(reversed(self.steps))
        return tuple(choice for name, choice in self.choices.items() if name in self.closures[root])

    def needed(self, choice: MergeChoice) -> frozenset[str]:
        """Return the values of the structure that must be computed before."""
        return frozenset[str]().union(*(self.closures[name] for name in choice.needs if name in self.closures))

    def cost(self, choice: MergeChoice) -> Cost:
        """Return what a value costs, together with all that it needs."""
        return _total([choice, *(self.choices[name] for name in self.needed(choice))])

    def whole(self, value: str) -> Iterator[MergeChoice]:
        """Yield the value as one convolution of each of the values on which alone it depends."""
        for base in self.forms[value]:
            form = self.form([value], base)
            if base != value and form is not None:
                yield _as_sum(value, [Term(base, (value,), form)])

    def shorter(self, step: LinearStep) -> Iterator[MergeChoice]:
        """Yield the sum with fewer terms, if any: addends that are maps of one value are merged as long as that
        pays.
        """
        best, merges = _as_sum(step.value, [Term(name, (name,)) for name in self.addends(step)]), 0
        while True:
            options = [_as_sum(step.value, terms) for terms in self.merged(best.terms)]
            option = min(options, key=self.cost, default=best)
            if self.cost(option) >= self.cost(best):
                break
            best, merges = option, merges + 1
        if merges:
            yield best

    def addends(self, step: LinearStep) -> Iterator[str]:
        """Yield what a sum adds, through sums that nothing else uses."""
        for name, _ in step.parts:
            inner = self.steps.get(name)
            if inner is not None and inner.is_sum and self.users[name] == 1:
                yield from self.addends(inner)
            else:
                yield name

    def merged(self, terms: Sequence[Term]) -> Iterator[list[Term]]:
        """Yield the terms with some of them merged, in every way worth trying: by their base, up to a kernel size."""
        for base in dict.fromkeys(base for term in terms for name in term.addends for base in self.forms[name]):
            found = [(term, form) for term in terms if (form := self.form(term.addends, base)) is not None]
            for size in {_area(form) for _, form in found}:
                chosen = [term for term, form in found if _area(form) <= size]
                if len(chosen) > 1:
                    names = tuple(name for term in chosen for name in term.addends)
                    rest = [term for term in terms if not any(term is c for c in chosen)]
                    yield [Term(base, names, self.form(names, base)), *rest]

    def form(self, names: Sequence[str], base: str) -> Form | None:
        """Return the sum of values as a map of one; None if there is none, or none that is exact where it must be."""
        forms = [self.forms[name].get(base) for name in names]
        found = [form for form in forms if form is not None and not (self.exact and form.borders)]
        return _added(found) if len(found) == len(forms) else None


def _forms(step: LinearStep, known: Mapping[str, Mapping[str, Form]]) -> dict[str, Form]:
    """Return a step's value as maps of all the earlier values on which alone it depends."""
    parts = [
        {base: _applied(maps, form, step.value, name) for base, form in known[name].items()}
        for name, maps in step.parts
    ]
    return {base: _added([part[base] for part in parts]) for base in parts[0] if all(base in part for part in parts)}


def _applied(maps: Sequence[Linear], form: Form, reader: str, source: str) -> Form:
    for outer in maps:
        why = obstacle(outer, form.map)
        borders = (*form.borders, Border(reader, source, why)) if why else form.borders
        form = Form(composed(outer, form.map), borders)
    return form


def _added(forms: Sequence[Form]) -> Form:
    if len(forms) == 1:
        return forms[0]
    borders = dict.fromkeys(border for form in forms for border in form.borders)
    return Form(added([form.map for form in forms]), tuple(borders))


def _as_in_source(step: LinearStep) -> MergeChoice:
    return MergeChoice(step.value, tuple(name for name, _ in step.parts), (step.macs, 1, 0))


def _as_sum(value: str, terms: Sequence[Term]) -> MergeChoice:
    forms = [term.form for term in terms if term.form is not None]
    cost = (sum(form.map.macs for form in forms), len(forms) + len(terms) - 1, sum(len(f.borders) for f in forms))
    return MergeChoice(value, tuple(term.base for term in terms), cost, tuple(terms))


def _area(form: Form) -> int:
    return form.map.shape[0] * form.map.shape[1]


def _total(choices: Iterable[MergeChoice]) -> Cost:
    costs = [choice.cost for choice in choices]
    return sum(c[0] for c in costs), sum(c[1] for c in costs), sum(c[2] for c in costs)
