"""How templates become pages: everything that data hold is text."""

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def environment(*packages: str) -> Environment:
  """An environment that finds templates in the packages' templates/, first come first.

  A page of another package shares the style sheet and the parts of this one by naming
  it last.
  """
  return Environment(
    loader=ChoiceLoader([PackageLoader(package) for package in packages]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
