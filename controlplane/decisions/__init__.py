"""Recorded calls: a bounded sample of what services did, to try changes on before they are made, and to decide again afterwards."""
