"""What a migration's operations do to data, judged from their source alone and never optimistically."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Facts", "facts_of_module"]

_ADDS_ONLY = (
    "CreateModel",
    "AlterModelTableComment",
    "AlterModelOptions",
    "AlterModelManagers",
    "AddIndex",
    "RemoveIndex",
    "RenameIndex",
    "RemoveConstraint",
    "AddIndexConcurrently",
    "RemoveIndexConcurrently",
    "ValidateConstraint",
    "CreateExtension",
    "BloomExtension",
    "BtreeGinExtension",
    "BtreeGistExtension",
    "CITextExtension",
    "CryptoExtension",
    "HStoreExtension",
    "TrigramExtension",
    "UnaccentExtension",
    "CreateCollation",
)
_TIGHTENS = (  # what earlier code writes may be refused
    "AlterUniqueTogether",
    "AlterIndexTogether",
    "AlterOrderWithRespectTo",
    "AddConstraint",
    "AlterConstraint",
    "AddConstraintNotValid",
)
_RENAMES = ("RenameField", "RenameModel", "AlterModelTable")
_LOSES_DATA = ("RemoveField", "DeleteModel")
_SQL_LOSES = re.compile(r"\b(drop|delete|truncate)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """Whether it can be reversed, whether it loses data, and whether code that lacks it works on a database that has
    it; None for not known."""

    reversible: bool | None
    destructive: bool | None
    backward_compatible: bool | None = None

    @classmethod
    def of_all(cls, facts: Iterable[Facts]) -> Facts:
        """Of a sequence: one irreversible or destructive step decides, then one that is not known."""
        listed = list(facts)
        reversible = [fact.reversible for fact in listed]
        destructive = [fact.destructive for fact in listed]
        compatible = [fact.backward_compatible for fact in listed]
        return cls(
            reversible=False if False in reversible else None if None in reversible else True,
            destructive=True if True in destructive else None if None in destructive else False,
            backward_compatible=False if False in compatible else None if None in compatible else True,
        )


_UNKNOWN = Facts(None, None)
_HARMLESS = Facts(reversible=True, destructive=False, backward_compatible=True)
_JUDGED_BY_NAME = {
    **dict.fromkeys(_ADDS_ONLY, _HARMLESS),
    **dict.fromkeys(_TIGHTENS, Facts(reversible=True, destructive=False, backward_compatible=None)),
    **dict.fromkeys(_RENAMES, Facts(reversible=True, destructive=False, backward_compatible=False)),
    **dict.fromkeys(_LOSES_DATA, Facts(reversible=True, destructive=True, backward_compatible=False)),
    "AlterField": Facts(reversible=True, destructive=None),  # a narrower type may cut values
}


def facts_of_module(source: bytes) -> Facts:
    """The facts of one migration file. What is not a plain list of calls in ``Migration.operations`` is not known."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError):
        return _UNKNOWN
    values = list(_operations(module))
    # Anything that touches the list besides one plain assignment (``operations += …``) makes it not known.
    mentions = sum(isinstance(node, ast.Name) and node.id == "operations" for node in ast.walk(module))
    mentions += sum(isinstance(node, ast.Attribute) and node.attr == "operations" for node in ast.walk(module))
    if len(values) != 1 or mentions != 1:
        return _UNKNOWN
    return _of_list(values[0])


def _operations(module: ast.Module) -> Iterator[ast.expr]:
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Migration"]
    for statement in (statement for node in classes for statement in node.body):
        match statement:
            case ast.Assign(targets=[ast.Name(id="operations")], value=value):
                yield value
            case ast.AnnAssign(target=ast.Name(id="operations"), value=ast.expr() as value):
                yield value


def _of_list(value: ast.expr) -> Facts:
    if not isinstance(value, ast.List | ast.Tuple):
        return _UNKNOWN
    return Facts.of_all(_of_operation(item) for item in value.elts)


def _of_operation(node: ast.expr) -> Facts:
    if not isinstance(node, ast.Call) or any(isinstance(part, ast.Starred) for part in node.args):
        return _UNKNOWN
    name = ast.unparse(node.func).rpartition(".")[2]
    if judge := _JUDGED_BY_ARGUMENTS.get(name):
        return judge(node)
    return _JUDGED_BY_NAME.get(name, _UNKNOWN)


def _of_run_python(node: ast.Call) -> Facts:
    code, reverse = _argument(node, 0, "code"), _argument(node, 1, "reverse_code")
    does_nothing = code is not None and ast.unparse(code).endswith("RunPython.noop")
    return Facts(
        reversible=not _is_absent(reverse),
        destructive=False if does_nothing else None,
        backward_compatible=True if does_nothing else None,
    )


def _of_run_sql(node: ast.Call) -> Facts:
    sql, reverse = _argument(node, 0, "sql"), _argument(node, 1, "reverse_sql")
    loses = sql is not None and bool(_SQL_LOSES.search(ast.unparse(sql)))
    does_nothing = sql is not None and ast.unparse(sql).endswith("RunSQL.noop")
    return Facts(
        reversible=not _is_absent(reverse),
        destructive=True if loses else False if does_nothing else None,
        backward_compatible=True if does_nothing else None,
    )


def _argument(node: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(node.args) > position:
        return node.args[position]
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _is_absent(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _of_separate(node: ast.Call) -> Facts:
    database = _argument(node, 0, "database_operations")
    return _HARMLESS if database is None else _of_list(database)


def _of_add_field(node: ast.Call) -> Facts:
    """Earlier code does not name the new column when it inserts: the database must be able to fill it."""
    return Facts(reversible=True, destructive=False, backward_compatible=_is_filled(_argument(node, 2, "field")))


def _is_filled(field: ast.expr | None) -> bool | None:
    if not isinstance(field, ast.Call) or any(keyword.arg is None for keyword in field.keywords):
        return None
    given = {str(keyword.arg): keyword.value for keyword in field.keywords}
    null = given.get("null")
    if "db_default" in given or (isinstance(null, ast.Constant) and null.value is True):
        return True
    name = ast.unparse(field.func)
    if name in ("models.ManyToManyField", "models.GeneratedField"):
        return True  # a table of its own; computed by the database
    ours = null is not None and not isinstance(null, ast.Constant)
    return False if name.startswith("models.") and not ours else None


_JUDGED_BY_ARGUMENTS = {
    "AddField": _of_add_field,
    "RunPython": _of_run_python,
    "RunSQL": _of_run_sql,
    "SeparateDatabaseAndState": _of_separate,
}
