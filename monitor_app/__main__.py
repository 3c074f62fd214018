"""`goldcopy app`, and the same as `python -m monitor_app`: serve the pages on this machine."""

import click

from shared.config.load import load_config


@click.command("app")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, help="Port to listen on.")
@click.pass_obj
def command(config: str | None, host: str, port: int) -> None:
    """Serve the monitoring app: are we safe, what needs somebody, what is the evidence."""
    from monitor_app import asgi, site

    site.use(load_config(config))
    asgi.serve(host=host, port=port)


if __name__ == "__main__":
    command(obj=None)
