"""The commands of an operator, by subject; `controlplane.web.cli` puts them together."""
