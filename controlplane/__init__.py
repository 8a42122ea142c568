"""The control plane for LLM configuration and, in `controlplane.runtime`, the library that obeys it.

This file is only a docstring: importing `controlplane.runtime` imports this package first, and an application that
reads releases must not pay for the web stack. Nothing may ever be imported here.
"""
