"""The program `huntaze-stripe`, also `python -m ops`."""

from ops import signals


def main() -> None:
    """Run the command line."""
    signals.exit_at_once()
    from ops import cli

    cli.main()


if __name__ == "__main__":
    main()
