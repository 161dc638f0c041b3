"""Whether `data_selector` matches what an API returns; to dlt, no match is an empty response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common import jsonpath

from floe_ingestion_defs.dlt_plugin.sources.first_load import reject_empty_first_load

if TYPE_CHECKING:
    from requests import Response


class SelectorCheck:
    """A response action of dlt that has the first response of a load checked when it is parsed.

    An API may leave the field out where there are no rows. It is an error all the same until the
    resource has loaded rows for the first time, because a typo looks like that.

    Args:
        resource: Name of the resource.
        table: Name of its table.
        selector: Its `data_selector`.
    """

    def __init__(self, resource: str, table: str, selector: str) -> None:
        self._resource, self._table, self._selector = resource, table, selector
        self._is_done = False

    def __call__(self, response: Response, *args: Any, **kwargs: Any) -> None:
        """Attach the check to a response, which is parsed later, and once."""
        if not self._is_done:
            response.__dict__["selector_check"] = self

    def check(self, body: Any) -> None:
        """Check the body of a response.

        Raises:
            PipelineConfigurationError: The selector matches nothing in it, and the resource has not
                loaded any rows yet.
        """
        if self._is_done:
            return
        self._is_done = True
        if jsonpath.find_values(self._selector, body):
            return
        fields = f"its fields are {', '.join(body)}" if isinstance(body, dict) else "it is a list"
        msg = (
            f"source_config.resources.{self._resource}.endpoint.data_selector is "
            f"{self._selector!r}, which matches nothing in the response ({fields})"
        )
        reject_empty_first_load(self._table, msg)
