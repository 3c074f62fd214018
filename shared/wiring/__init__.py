"""Put the parts together: from a configuration to operations that can run. Nothing else names concrete parts."""

from shared.wiring.parts import add_tools, list_tools, tools_folder
from shared.wiring.workspace import Workspace, open_workspace

__all__ = ["Workspace", "add_tools", "list_tools", "open_workspace", "tools_folder"]
