"""goldcopy people, keys: who may use the app."""

import click

from shared.cli.output import emit, json_option, table
from shared.domain.person import Role

_role_option = click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
_reason_option = click.option(
    "--reason", default="", help="Kept in the audit trail; reports count every change of access without one."
)


@click.group()
def people() -> None:
    """Who may sign in to the app, and what they may do: viewer, operator, admin."""


@people.command("add")
@click.argument("address")
@_role_option
@_reason_option
@json_option
@click.pass_obj
def add_person(config: str | None, address: str, role: str, reason: str, *, as_json: bool) -> None:
    """Let somebody in, or change what they may do; ADDRESS is the one that the sign-in vouches for."""
    from shared.wiring.people import set_person

    document = set_person(config, address, Role(role), reason=reason)
    emit(document, [f"{document['name']} is {role} from the next click on"], as_json=as_json)


@people.command("remove")
@click.argument("address")
@_reason_option
@json_option
@click.pass_obj
def remove_person(config: str | None, address: str, reason: str, *, as_json: bool) -> None:
    """End somebody's access, at their next click."""
    from shared.wiring.people import set_person

    document = set_person(config, address, None, reason=reason)
    emit(document, [f"{document['name']} is let in no more"], as_json=as_json)


@people.command("list")
@json_option
@click.pass_obj
def list_people(config: str | None, *, as_json: bool) -> None:
    """List everybody who has or had a role."""
    from shared.wiring import people as wiring

    found = wiring.list_people(config)
    rows = [[row["name"], row["role"] if row["active"] else "no more", row["changed_at"]] for row in found]
    lines = (
        table(("address", "role", "since"), rows) if rows else ["Nobody yet: goldcopy people add ADDRESS --role viewer"]
    )
    emit({"people": found}, lines, as_json=as_json)


@click.group()
def keys() -> None:
    """Keys for programs that call the app over HTTP."""


@keys.command("add")
@click.argument("name")
@_role_option
@_reason_option
@json_option
@click.pass_obj
def add_key(config: str | None, name: str, role: str, reason: str, *, as_json: bool) -> None:
    """Make a key; it is shown now and never again."""
    from shared.wiring import people as wiring

    document = wiring.add_key(config, name, Role(role), reason=reason)
    emit(document, [document["key"]], as_json=as_json)


@keys.command("revoke")
@click.argument("name")
@_reason_option
@json_option
@click.pass_obj
def revoke_key(config: str | None, name: str, reason: str, *, as_json: bool) -> None:
    """End a key at once."""
    from shared.wiring import people as wiring

    document = wiring.revoke_key(config, name, reason=reason)
    emit(document, [f"{name} opens nothing any more"], as_json=as_json)


@keys.command("list")
@json_option
@click.pass_obj
def list_keys(config: str | None, *, as_json: bool) -> None:
    """List the keys, without the keys."""
    from shared.wiring import people as wiring

    found = wiring.list_keys(config)
    rows = [[row["name"], row["role"], row["created_at"], row["revoked_at"] or ""] for row in found]
    lines = table(("name", "role", "made", "ended"), rows) if rows else ["None: goldcopy keys add NAME --role operator"]
    emit({"keys": found}, lines, as_json=as_json)
