"""Looking at changes after the fact: what has to be looked at, by when, and what somebody else said of it."""
