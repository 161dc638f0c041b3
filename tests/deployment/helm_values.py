"""The keys of Dagster's chart that `deploy/helm-values.yaml` uses; any other key is an error.

A chart passes over a key that it does not know, so a misspelled one would change nothing.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel


class Keys(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Enabled(Keys):
    enabled: bool


class Image(Keys):
    repository: str
    tag: str
    pullPolicy: Literal["Always", "IfNotPresent", "Never"]


class SecretReference(Keys):
    name: str


class Quantities(Keys):
    cpu: str | None = None
    memory: str | None = None


class Resources(Keys):
    requests: Quantities
    limits: Quantities


class PodSecurityContext(Keys):
    runAsNonRoot: bool
    runAsUser: int


class StartupProbe(Keys):
    enabled: bool
    periodSeconds: int
    timeoutSeconds: int
    failureThreshold: int


class UserDeployment(Keys):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    image: Image
    codeServerArgs: list[str]
    port: int
    envSecrets: list[SecretReference]
    includeConfigInLaunchedRuns: Enabled
    podSecurityContext: PodSecurityContext
    resources: Resources
    startupProbe: StartupProbe


class UserDeployments(Keys):
    enabled: Literal[True]
    deployments: list[UserDeployment]


class RunK8sConfig(Keys):
    podSpecConfig: dict[str, Any]
    jobSpecConfig: dict[str, Any]


class K8sRunLauncher(Keys):
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"]
    resources: Resources
    runK8sConfig: RunK8sConfig


class RunLauncherConfig(Keys):
    k8sRunLauncher: K8sRunLauncher


class RunLauncher(Keys):
    type: Literal["K8sRunLauncher"]
    config: RunLauncherConfig


class Daemon(Keys):
    enabled: Literal[True]
    runMonitoring: Enabled
    runRetries: Enabled


class Pools(Keys):
    defaultLimit: int
    granularity: Literal["run", "op"]


class Runs(Keys):
    maxConcurrentRuns: int


class Concurrency(Keys):
    enabled: Literal[True]
    pools: Pools
    runs: Runs


class Port(Keys):
    port: int


class PostgreSQL(Keys):
    enabled: bool
    postgresqlHost: str
    postgresqlUsername: str
    postgresqlDatabase: str
    postgresqlScheme: str
    service: Port


class Ticks(Keys):
    skipped: int
    success: int
    failure: int
    started: int


class TickRetention(Keys):
    purgeAfterDays: Ticks


class Retention(Keys):
    enabled: Literal[True]
    schedule: TickRetention
    sensor: TickRetention


class Type(Keys):
    type: str


class Webserver(Keys):
    service: Type


class Global(Keys):
    postgresqlSecretName: str


class InstanceConfig(RootModel[dict[str, Any]]):
    """Dagster's own instance configuration, which Dagster's own schema is for."""


class HelmValues(Keys):
    global_: Global = Field(alias="global")
    generatePostgresqlPasswordSecret: bool
    user_deployments: UserDeployments = Field(alias="dagster-user-deployments")
    runLauncher: RunLauncher
    dagsterDaemon: Daemon
    additionalInstanceConfig: InstanceConfig
    concurrency: Concurrency
    postgresql: PostgreSQL
    retention: Retention
    computeLogManager: Type
    dagsterWebserver: Webserver
    ingress: Enabled
    telemetry: Enabled
