"""The runtime behind HTTP, for applications that are not written in Python: `python -m controlplane.runtime.service`."""
