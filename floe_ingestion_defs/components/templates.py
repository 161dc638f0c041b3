"""Fills in the `{{ … }}` of a component's attributes.

Dagster renders every text as a Python literal: "007" becomes a number and "None" becomes nothing.
A source's null tokens, delimiters and paths must stay what they are, so only texts that hold a
template are rendered here. And a variable of the environment that is not set, which Dagster
renders as None without a word, is an error.
"""

import os
from typing import Any

import dagster as dg


class RequiredEnvironment:
    """`env` in a template: `env.NAME` must be set, `env('NAME', 'default')` need not be."""

    def __call__(self, name: str, *default: Any) -> Any:
        """Return the variable, or the default where there is one and the variable is not set."""
        if name not in os.environ and default:
            return default[0]
        return getattr(self, name)

    def __getattr__(self, name: str) -> str:
        # jinja probes every object of the scope for attributes of its own.
        if name.startswith(("jinja", "__")):
            raise AttributeError(name)
        if name not in os.environ:
            msg = (
                f"environment variable {name} is not set; set it before the location loads, give "
                f"a default as env('{name}', 'default'), or write ${{{name}}}, which is read when "
                "a run starts"
            )
            raise LookupError(msg)
        return os.environ[name]


def render_templates(value: Any, context: dg.ResolutionContext) -> Any:
    """Return a copy of a nested value in which every template is filled in.

    Args:
        value: Text, mapping or list, nested as deep as it likes; anything else is kept.
        context: Where the value stands in its file, and what its templates may refer to.
    """
    return _render(value, context.with_scope(env=RequiredEnvironment()))


def _render(value: Any, context: dg.ResolutionContext) -> Any:
    if isinstance(value, dict):
        return {key: _render(item, context.at_path(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_render(item, context.at_path(index)) for index, item in enumerate(value)]
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return context.resolve_value(value)
    return value
