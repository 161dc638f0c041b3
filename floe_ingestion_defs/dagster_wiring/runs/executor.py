"""The executor of the code location: no process per step where steps run one after the other.

A process per step costs the imports of Dagster, dlt and this project, some seconds, and is worth it
only where steps run beside each other.
"""

from typing import TYPE_CHECKING, Any, cast

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan
    from dagster._core.execution.retries import RetryMode


class _SequenceExecutor(dg.Executor):
    """Runs a plan whose steps form a sequence in one process, and others as configured."""

    def __init__(self, in_process: dg.Executor, configured: dg.Executor) -> None:
        self._in_process = in_process
        self._configured = configured

    @property
    def retries(self) -> "RetryMode":
        """Whether a step that fails is retried."""
        return self._configured.retries

    def execute(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> "Iterator[dg.DagsterEvent]":
        """Execute the plan."""
        executor = self._in_process if _is_sequence(execution_plan) else self._configured
        return executor.execute(plan_context, execution_plan)


def _is_sequence(plan: "ExecutionPlan") -> bool:
    """Return whether no two steps of a plan can run at the same time."""
    wanted = set(plan.step_keys_to_execute)
    levels = [[s for s in level if s.key in wanted] for level in plan.get_all_steps_by_level()]
    # Of a step per element of an earlier step's output, the number is not known yet.
    return all(len(level) <= 1 and all(_is_known(s) for s in level) for level in levels)


def _is_known(step: Any) -> bool:
    return bool(step.kind.name == "COMPUTE")


@dg.executor(
    name="sequence_or_multiprocess",
    config_schema=dg.multi_or_in_process_executor.config_schema.as_field(),
    requirements=dg.multi_or_in_process_executor.get_requirements,
)
def sequence_or_multiprocess_executor(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Execute as Dagster's default executor does, with the same configuration.

    Where the steps of a run form a sequence, such as the load of one source and its checks, they
    run in the process of the run.
    """
    configured = _create(dg.multi_or_in_process_executor, init_context)
    ((_, options),) = init_context.executor_config.items()
    retries = cast("Mapping[str, object]", options)["retries"]
    in_process = init_context._replace(executor_config={"in_process": {"retries": retries}})
    return _SequenceExecutor(_create(dg.multi_or_in_process_executor, in_process), configured)


def _create(definition: dg.ExecutorDefinition, context: dg.InitExecutorContext) -> dg.Executor:
    create = definition.executor_creation_fn
    if create is None:
        msg = f"Executor `{definition.name}` cannot be created"
        raise TypeError(msg)
    return create(context)
