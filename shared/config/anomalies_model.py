"""The tables `anomalies` of `goldcopy.toml`: of the installation, and of each source."""

from fnmatch import fnmatchcase

from pydantic import Field, field_validator

from shared.config.section import Section
from shared.domain.anomaly import AnomalyPolicy, Rule


class AnomaliesSection(Section):
    """How strictly backups are looked at for anomalies; a source's own keys win over the installation's."""

    deviations: float | None = Field(default=None, ge=2, le=20, allow_inf_nan=False)
    minimum_points: int | None = Field(default=None, ge=5, le=42)
    table_shrunk: float | None = Field(default=None, gt=0, lt=1)
    table_grown: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    ignore: list[str] | None = None

    @field_validator("ignore")
    @classmethod
    def _names_rules(cls, value: list[str] | None) -> list[str] | None:
        for pattern in value or ():
            rule = pattern.partition(":")[0]
            if not any(fnmatchcase(known.value, rule) for known in Rule):
                known = ", ".join(item.value for item in Rule)
                raise ValueError(f"{rule!r} is not a rule; there are {known}")
        return value

    def policy(self, installation: "AnomaliesSection") -> AnomalyPolicy:
        """Return how strictly a source is looked at; what both ignore adds up."""
        given = installation.model_dump(exclude_none=True) | self.model_dump(exclude_none=True)
        ignored = (*(installation.ignore or ()), *(self.ignore or ()))
        return AnomalyPolicy(**given | {"ignore": ignored})
