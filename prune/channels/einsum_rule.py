"""The rule of Einsum: every letter is an axis, wherever it stands."""

from __future__ import annotations

from collections import Counter

from onnx import NodeProto

from ...core.graphs.graph import attributes
from .dependency_graph import AtomAxis, DependencyGraph


def einsum(dep: DependencyGraph, node: NodeProto) -> None:
    """Unite the axes of one letter; freeze those that are summed over in one operand alone.

    An ellipsis or a diagonal (a letter twice in one term) freezes all that the node touches.
    """
    terms, output = equation_terms(attributes(node)["equation"])
    if any(len(set(term)) < len(term) or "." in term for term in terms):
        dep.freeze_node(node)
        return
    letters: dict[str, AtomAxis] = {}
    for name, term in zip(node.input, terms, strict=True):
        for letter, axis in zip(term, dep.axes_of(name), strict=True):
            letters[letter] = _united(dep, letters.get(letter, axis), axis)
    uses = Counter(letter for term in terms for letter in term)
    for letter, axis in letters.items():
        if letter not in output and uses[letter] == 1:
            dep.atoms.freeze(axis)
    dep.axes[node.output[0]] = [letters[letter] for letter in output]


def equation_terms(equation: str) -> tuple[list[str], str]:
    """Return the letters of each operand, and of the output.

    >>> equation_terms("bqc, bkc -> bqk")
    (['bqc', 'bkc'], 'bqk')
    >>> equation_terms("ij,jk")
    (['ij', 'jk'], 'ik')
    """
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:  # the letters that stand once, in alphabetical order
        uses = Counter("".join(terms))
        output = "".join(sorted(letter for letter, count in uses.items() if count == 1))
    return terms, output


def _united(dep: DependencyGraph, left: AtomAxis, right: AtomAxis) -> AtomAxis:
    """Return the axis of two operands; the length 1 of one is broadcast to the other's."""
    if left.size == right.size:
        dep.atoms.union(left, right)
        return left
    for axis in (left, right):
        dep.atoms.freeze(axis)
    return max(left, right, key=len)
