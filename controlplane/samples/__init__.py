"""Sample sets: named values of an interaction's parameters, for previews and for what is tried before publishing."""
