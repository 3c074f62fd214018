"""Write docs/errors.md from shared/errors.py: run by `make docs`, checked by tests/unit/test_documentation.py."""

from pathlib import Path

from shared.errors import GoldcopyError

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"

_HEAD = """\
# Errors

Made by `make docs` from `shared/errors.py`; change that file, not this one.

Every error says what happened, to which object, and what to do next. Its code never changes its meaning, so scripts and
alerts may rely on it. The command line ends with:

| exit code | means |
|---|---|
| 0 | done, and what was found is good |
| 1 | it ran, and found something bad |
| 2 | the command line or the configuration is wrong |
| 3 | it could not be measured or carried out |
| 130 | interrupted |

*Retried* errors may pass by themselves: flows try again, and a person may simply run the command once more.

| code | error | exit code | retried | meaning |
|---|---|---|---|---|
"""


def error_classes(kind: type[GoldcopyError] = GoldcopyError) -> list[type[GoldcopyError]]:
    """List an error class of shared/errors.py and all below it, parents first."""
    children = [child for child in kind.__subclasses__() if child.__module__ == GoldcopyError.__module__]
    return [kind, *(found for child in children for found in error_classes(child))]


def errors_page() -> str:
    """Return the text of docs/errors.md."""
    rows = []
    for kind in sorted(error_classes()[1:], key=lambda kind: kind.code):
        depth = len(kind.__mro__) - len(GoldcopyError.__mro__) - 1
        name = "&nbsp;" * 4 * depth + f"`{kind.__name__}`"
        meaning = " ".join((kind.__doc__ or "").split())
        rows.append(f"| {kind.code} | {name} | {kind.exit_code} | {'yes' if kind.retryable else ''} | {meaning} |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(errors_page(), encoding="utf-8")
    print(f"wrote {PAGE}")
