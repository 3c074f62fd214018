"""What keeps the code small and its layers apart, beyond what the linters see."""

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.errors_page import error_classes

ROOT = Path(__file__).parents[2]
PRODUCT = [ROOT / name for name in ("flows", "shared", "monitor_app") if (ROOT / name).is_dir()]
PRODUCT_FILES = sorted(path for folder in PRODUCT for path in folder.rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

FILE_LINES_MAXIMUM = 400
FUNCTION_LINES_MAXIMUM = 50
# A test tells one story and a builder lists one object's fields: splitting them makes neither clearer.
TEST_FILE_LINES_MAXIMUM = 500
TEST_FUNCTION_LINES_MAXIMUM = 75
VAGUE_NAMES = {"utils", "util", "helper", "helpers", "manager", "common", "misc"}

# Declared for reasons that no import shows; pyproject.toml says which.
ONLY_CAPPED = {"fastapi"}
# The backport is imported by the first name before Python 3.14, by the second from then on.
IMPORT_NAMES = {"backports.zstd": "backports"}
NEWER_STANDARD_LIBRARY = {"compression"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def imported_modules(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def imported_tops() -> set[str]:
    return {name.partition(".")[0] for path in PRODUCT_FILES for name in imported_modules(parsed(path))}


def declared_distributions() -> set[str]:
    return {re.split(r"[\s\[<>=~;]", entry, maxsplit=1)[0].lower() for entry in PROJECT["project"]["dependencies"]}


@pytest.mark.parametrize("path", [*PRODUCT_FILES, *TEST_FILES], ids=relative)
def test_file_and_its_functions_stay_small(path: Path) -> None:
    is_test = path in TEST_FILES
    file_maximum = TEST_FILE_LINES_MAXIMUM if is_test else FILE_LINES_MAXIMUM
    function_maximum = TEST_FUNCTION_LINES_MAXIMUM if is_test else FUNCTION_LINES_MAXIMUM
    line_count = len(path.read_text(encoding="utf-8").splitlines())
    assert line_count < file_maximum
    long = {function.name: lines_without_docstring(function) for function in functions(parsed(path))}
    assert {name: lines for name, lines in long.items() if lines >= function_maximum} == {}


@pytest.mark.parametrize("path", PRODUCT_FILES, ids=relative)
def test_module_says_what_it_is_and_is_named_for_it(path: Path) -> None:
    assert not VAGUE_NAMES & set(path.with_suffix("").relative_to(ROOT).parts)
    if path.name != "__init__.py":
        assert ast.get_docstring(parsed(path)), "the first line of a module says what it does"


@pytest.mark.parametrize("path", PRODUCT_FILES, ids=relative)
def test_nothing_outside_tests_looks_like_a_test(path: Path) -> None:
    assert not path.name.startswith("test_")
    assert not path.stem.endswith("_test")
    assert [function.name for function in functions(parsed(path)) if function.name.startswith("test_")] == []


def test_every_folder_of_code_is_a_package() -> None:
    # The import linter passes over a folder without __init__.py in silence.
    folders = {path.parent for path in [*PRODUCT_FILES, *TEST_FILES]}
    # Alembic loads revisions by path; fake_site is put on a child's path, where it stands for another package.
    loaded_by_path = {"versions", "fake_site"}
    bare = [folder for folder in folders if not (folder / "__init__.py").exists()]
    assert [relative(folder) for folder in bare if folder.name not in loaded_by_path] == []


@pytest.mark.parametrize("path", sorted((ROOT / "shared" / "domain").glob("*.py")), ids=relative)
def test_domain_imports_only_the_standard_library_and_itself(path: Path) -> None:
    foreign = {
        name
        for name in imported_modules(parsed(path))
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not name.startswith(("shared.domain", "shared.units", "shared.errors"))
    }
    assert foreign == set()


def test_error_codes_are_unique_and_every_error_is_described() -> None:
    classes = error_classes()
    assert [code for code, uses in Counter(kind.code for kind in classes).items() if uses > 1] == []
    assert [kind.__name__ for kind in classes if not kind.__doc__] == []


def test_test_files_have_names_of_their_own() -> None:
    names = Counter(path.name for path in TEST_FILES if path.name not in {"__init__.py", "conftest.py"})
    assert [name for name, uses in names.items() if uses > 1] == []


def test_every_dependency_is_used_and_every_package_used_is_declared() -> None:
    distributions = packages_distributions()
    tops = imported_tops() - set(sys.stdlib_module_names) - {"flows", "shared", "monitor_app"}
    declared = declared_distributions()
    provided = {name.lower() for top in tops for name in distributions.get(top, [])}
    provided |= {name for name, imported in IMPORT_NAMES.items() if imported in tops}
    unused = declared - ONLY_CAPPED - provided
    undeclared = {top for top in tops if not declared & {name.lower() for name in distributions.get(top, [])}}
    assert unused == set()
    assert undeclared - set(IMPORT_NAMES.values()) - NEWER_STANDARD_LIBRARY == set()


def test_locks_name_no_registry_and_check_every_file() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", ".ci/uv.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "index-url" not in text
        entries = re.findall(r"^[a-z0-9][^\n]*==(?:[^\n]*\\\n)+", text, re.MULTILINE)
        assert len(entries) == len(re.findall(r"^[a-z0-9][^\s]*==", text, re.MULTILINE)) > 0
        assert all("--hash=sha256:" in text[text.index(entry) :][:400] for entry in entries)
