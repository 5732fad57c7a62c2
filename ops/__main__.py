"""`python -m ops`, also installed as `pipenv run huntaze-stripe`."""

from ops.cli import main

if __name__ == "__main__":
    main()
