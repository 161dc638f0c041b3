"""Renders the templates `{{ … }}` in a component's attributes.

Dagster renders every string as a Python literal: "007" becomes a number and "None" becomes null.
A source's null tokens, delimiters and paths must not change, so only strings that contain a
template are rendered here. An environment variable that is not set, which Dagster silently renders
as None, is an error.
"""

import os
from typing import Any

import dagster as dg


class RequiredEnvironment:
    """`env` in a template: `env.NAME` must be set, `env('NAME', 'default')` may be missing."""

    def __call__(self, name: str, *default: Any) -> Any:
        """Return the variable, or the default if one is given and the variable is not set."""
        if name not in os.environ and default:
            return default[0]
        return getattr(self, name)

    def __getattr__(self, name: str) -> str:
        # jinja probes every object in scope for its own attributes.
        if name.startswith(("jinja", "__")):
            raise AttributeError(name)
        if name not in os.environ:
            msg = (
                f"environment variable {name} is not set; set it before the code location loads, "
                f"use a default as in env('{name}', 'default'), or write ${{{name}}}, which is "
                "read when a run starts"
            )
            raise LookupError(msg)
        return os.environ[name]


def render_templates(value: Any, context: dg.ResolutionContext) -> Any:
    """Return a copy of a nested value, with all templates rendered.

    Args:
        value: String, mapping or list, nested to any depth; anything else is kept.
        context: Position of the value in its file, and the variables of its templates.
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
