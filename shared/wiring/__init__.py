"""Put the parts together: from a configuration to operations that can run. Nothing else names concrete parts.

What is named here is loaded when it is first asked for: a command that only looks does not load what backups, restores
and notices need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.wiring.parts import add_tools, list_tools, tools_folder
    from shared.wiring.workspace import Workspace, open_workspace

__all__ = ["Workspace", "add_tools", "list_tools", "open_workspace", "tools_folder"]

_MODULES = {
    "Workspace": "shared.wiring.workspace",
    "add_tools": "shared.wiring.parts",
    "list_tools": "shared.wiring.parts",
    "open_workspace": "shared.wiring.workspace",
    "tools_folder": "shared.wiring.parts",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
