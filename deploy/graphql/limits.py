"""How large a question may be, measured before anything is read.

Every fragment is measured once, so the work is linear in the document however often fragments
spread each other. A list counts as many times as the nodes that were asked for; a list whose size
nobody can choose counts as one, apart from introspection's, which count as what a schema has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    InlineFragmentNode,
    IntValueNode,
    Node,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef
from graphql.validation import ValidationContext, ValidationRule

from governance.errors import ColophonError
from governance.graphql.pages import DEFAULT_FIRST, MOST

DEPTH = 10
FIELDS = 300
ROOTS = 5
COST = 5_000
FRAGMENTS = 30

# Introspection reads no rows, so it costs little; its lists are as long as a schema makes them.
INTROSPECTION_DISCOUNT = 20
INTROSPECTION_LISTS = {
    "types": 60, "fields": 10, "args": 3, "enumValues": 5, "directives": 5,
    "inputFields": 3, "interfaces": 3, "possibleTypes": 3,
}  # fmt: skip
INTROSPECTION = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


class TooMuchAskedError(ColophonError):
    """The document is over a limit; the message says which."""

    code = "too_much_asked"
    status = 400


@dataclass(frozen=True, slots=True)
class Size:
    """How much a selection asks for; ``roots`` counts its own fields without what is below."""

    depth: int = 0
    fields: int = 0
    cost: int = 0
    roots: int = 0

    def beside(self, other: "Size") -> "Size":
        """Return the size of two selections of the same object."""
        return Size(
            max(self.depth, other.depth),
            self.fields + other.fields,
            self.cost + other.cost,
            self.roots + other.roots,
        )

    def below(self, times: int) -> "Size":
        """Return the size of a field that has this selection, so many times."""
        return Size(self.depth + 1, self.fields + 1, 1 + times * self.cost, 1)


class _Measure:
    """Measures one document with the variables that came with it."""

    def __init__(self, context: ValidationContext, variables: Mapping[str, Any]) -> None:
        self.schema = context.schema
        self.fragments = {
            each.name.value: each
            for each in context.document.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        self.variables = variables
        self.measured: dict[str, Size] = {}
        self.open: set[str] = set()

    def operation(self, node: OperationDefinitionNode) -> Size:
        """Return the size of an operation."""
        defaults = {
            each.variable.name.value: _number(each.default_value)
            for each in node.variable_definitions
            if each.default_value
        }
        self.variables = defaults | dict(self.variables)
        return self.selection(node.selection_set, self.schema.query_type)

    def selection(self, node: SelectionSetNode | None, parent: Any) -> Size:
        """Return the size of what is selected of an object."""
        size = Size()
        for each in node.selections if node else ():
            if isinstance(each, FieldNode):
                size = size.beside(self._field(each, parent))
            elif isinstance(each, FragmentSpreadNode):
                size = size.beside(self._fragment(each.name.value))
            elif isinstance(each, InlineFragmentNode):
                size = size.beside(self.selection(each.selection_set, parent))
        return size

    def _fragment(self, name: str) -> Size:
        """Measure a fragment once. Other rules report cycles and unknown names."""
        if name in self.measured:
            return self.measured[name]
        if name in self.open or name not in self.fragments:
            return Size()
        self.open.add(name)
        fragment = self.fragments[name]
        of = self.schema.get_type(fragment.type_condition.name.value)
        size = self.measured[name] = self.selection(fragment.selection_set, of)
        self.open.discard(name)
        return size

    def _field(self, node: FieldNode, parent: Any) -> Size:
        name = node.name.value
        definition = INTROSPECTION.get(name)
        if definition is None and isinstance(parent, GraphQLObjectType):
            definition = parent.fields.get(name)
        kind: GraphQLOutputType | None = definition.type if definition else None
        below = self.selection(node.selection_set, get_named_type(kind) if kind else None)
        if name in INTROSPECTION:
            return Size(1, below.fields + 1, 1 + below.cost // INTROSPECTION_DISCOUNT, 1)
        return below.below(
            self._times(node, parent, paged=bool(definition and "first" in definition.args))
        )

    def _times(self, node: FieldNode, parent: Any, *, paged: bool) -> int:
        if not paged:
            introspected = isinstance(parent, GraphQLObjectType) and parent.name.startswith("__")
            return INTROSPECTION_LISTS.get(node.name.value, 1) if introspected else 1
        for argument in node.arguments:
            if argument.name.value == "first":
                return self._chosen(argument.value)
        return DEFAULT_FIRST

    def _chosen(self, value: ValueNode) -> int:
        """Return how many nodes were asked for; a number out of range is refused later."""
        given = _number(value)
        if isinstance(value, VariableNode):
            given = self.variables.get(value.name.value)
        if not isinstance(given, int) or isinstance(given, bool):
            return DEFAULT_FIRST if given is None else MOST
        return min(max(given, 1), MOST)


def limits(variables: Mapping[str, Any]) -> type[ValidationRule]:
    """Return the rule that refuses a document which asks for too much."""

    class Limits(ValidationRule):
        """See the module."""

        def enter_document(self, node: DocumentNode, *_args: Any) -> None:
            """Measure every operation, of which there may be one."""
            operations = [
                each for each in node.definitions if isinstance(each, OperationDefinitionNode)
            ]
            measure = _Measure(self.context, variables)
            if len(operations) > 1 or len(measure.fragments) > FRAGMENTS:
                allowed = f"a document has one operation and up to {FRAGMENTS} fragments"
                self.report_error(_refusal(allowed, node))
                return
            for operation in operations:
                if excess := _excess(measure.operation(operation)):
                    self.report_error(_refusal(excess, operation))

        def enter_string_value(self, node: StringValueNode, *_args: Any) -> None:
            """Refuse what the database cannot hold."""
            if "\0" in node.value:
                self.report_error(GraphQLError("a string holds the character U+0000", node))

    return Limits


def _refusal(message: str, node: Node) -> GraphQLError:
    return GraphQLError(message, node, original_error=TooMuchAskedError(message))


def _excess(size: Size) -> str:
    """Say which limit is exceeded, or nothing."""
    bounds = {
        f"is nested deeper than {DEPTH}": size.depth > DEPTH,
        f"has more fields than {FIELDS}": size.fields > FIELDS,
        f"asks more questions at once than {ROOTS}": size.roots > ROOTS,
        f"could yield more values than {COST}": size.cost > COST,
    }
    exceeded = [words for words, is_exceeded in bounds.items() if is_exceeded]
    return f"the document {exceeded[0]}: ask for less at a time" if exceeded else ""


def _number(value: ValueNode | None) -> int | None:
    """Return a number that is written out, as far as its size matters; nothing for null."""
    if isinstance(value, IntValueNode):
        return int(value.value) if len(value.value) < len(str(MOST)) + 2 else MOST
    return None if value is None or isinstance(value, NullValueNode) else MOST
