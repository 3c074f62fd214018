"""The table of pages: a page is in the menu when it stands here. The first one lives at `/`."""

from dataclasses import dataclass
from pathlib import Path

from shared.domain.person import Role

FOLDER = Path(__file__).parent / "app_pages"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the menu.

    Attributes:
        file: Name of its script in app_pages/, which is its address too.
        title: Its name in the menu.
        icon: A Material symbol of the bundled font.
        question: What it answers; shown as the menu's help.
        role: Who may see it.
    """

    file: str
    title: str
    icon: str
    question: str
    role: Role = Role.VIEWER

    @property
    def path(self) -> Path:
        """The script."""
        return FOLDER / f"{self.file}.py"

    @property
    def address(self) -> str:
        """The page's path in the URL."""
        return self.file.replace("_", "-")


PAGES = (
    Page("overview", "Are we safe?", ":material/gpp_good:", "Is every database recoverable right now?"),
    Page("source", "One source", ":material/database:", "What happened to it, is that normal, and does it restore?"),
    Page("findings", "Findings", ":material/flag:", "What is open, since when, and who has it?"),
    Page("recovery", "Recovery", ":material/restore:", "Would we be back in time, and how do we know?"),
    Page("history", "Backup history", ":material/history:", "Which backups are there, and what does each one hold?"),
    Page("requests", "Restore requests", ":material/assignment:", "Who wants what restored, and what became of it?"),
    Page("storage", "Storage and cost", ":material/savings:", "What does it cost, and where is it going?"),
    Page("audit", "Audit trail", ":material/fact_check:", "Who did what, and was it altered?"),
    Page("reports", "Reports", ":material/description:", "What is the evidence of a period?"),
)
