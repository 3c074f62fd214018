"""`goldcopy app`, and the same as `python -m monitor_app`: serve the pages on this machine."""

from contextlib import suppress

import click

from shared.config.load import load_config


@click.command("app")
@click.option("--host", help="Address to listen on (default: [app] host, which is 127.0.0.1 unless set).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (default: [app] port, else 8501).")
@click.pass_obj
def command(config: str | None, host: str | None, port: int | None) -> None:
    """Serve the monitoring app: are we safe, what needs somebody, what is the evidence.

    On 127.0.0.1 nobody signs in; on any other address [app.sign_in] must name an OpenID Connect provider.
    """
    opened = load_config(config)
    settings = opened.file.app
    # Streamlit takes a second to import: only now, when it is clear that it is needed.
    from monitor_app import asgi, site

    where, number = host or settings.host, port or settings.port
    click.echo(f"The app is at {settings.url or f'http://{where}:{number}'}; Ctrl-C ends it.")
    # To be stopped is how it ends; nothing is half-done.
    with suppress(KeyboardInterrupt):
        asgi.serve(site.use(opened), host=where, port=number)


if __name__ == "__main__":
    command(obj=None)
