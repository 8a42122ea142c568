"""The API: what programs may do with a token, as JSON. Thin doors to the same services that the pages use."""
