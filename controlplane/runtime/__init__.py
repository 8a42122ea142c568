"""The library that obeys what was published: read a release, resolve a request, render a prompt, call a model.

Everything in `__all__` is the public door; everything else may change. The base needs only jinja2, msgspec and
xxhash: an AWS store, a provider's SDK or the HTTP service is imported where it is used.

>>> snapshot = Snapshot.load(data, release=12, environment="production")
>>> found = resolve(snapshot, Request("COACHING_RESPONSE", tier="premium", unit="u-1"), now=datetime.now(UTC))
>>> found.variant.model, found.why
('CLAUDE_3_5_SONNET', 'premium has its own configuration; version 1 is its only variant')
"""

from controlplane.runtime.bucketing import BUCKETS, bucket
from controlplane.runtime.client import Client, ClientState
from controlplane.runtime.entries import (
    Configuration,
    Interaction,
    Model,
    Parameter,
    PromptReference,
    Variant,
)
from controlplane.runtime.errors import (
    ConfigurationNotFoundError,
    ControlPlaneRuntimeError,
    EntryRefused,
    ParameterError,
    PromptProfileError,
    SnapshotRefused,
    StoreError,
    StoreUnavailable,
    TemplateNotFoundError,
    TemplateRenderError,
)
from controlplane.runtime.renderer import (
    CompiledPrompt,
    Preview,
    compile_prompt,
    preview,
    render,
    used_variables,
)
from controlplane.runtime.resolver import (
    GateDecision,
    Reason,
    Request,
    Resolution,
    ResolvedPrompt,
    in_gate,
    resolve,
)
from controlplane.runtime.snapshot import Snapshot
from controlplane.runtime.stores import Pointer, ReleaseStore
from controlplane.runtime.validate import Problem, validate

__all__ = [
    "BUCKETS",
    "Client",
    "ClientState",
    "CompiledPrompt",
    "Configuration",
    "ConfigurationNotFoundError",
    "ControlPlaneRuntimeError",
    "EntryRefused",
    "GateDecision",
    "Interaction",
    "Model",
    "Parameter",
    "ParameterError",
    "Pointer",
    "Preview",
    "Problem",
    "PromptProfileError",
    "PromptReference",
    "Reason",
    "ReleaseStore",
    "Request",
    "Resolution",
    "ResolvedPrompt",
    "Snapshot",
    "SnapshotRefused",
    "StoreError",
    "StoreUnavailable",
    "TemplateNotFoundError",
    "TemplateRenderError",
    "Variant",
    "bucket",
    "compile_prompt",
    "in_gate",
    "preview",
    "render",
    "resolve",
    "used_variables",
    "validate",
]
