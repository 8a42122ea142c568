"""The first run on one machine: embedded Postgres, an AWS emulator, and the supervisor that keeps everything running."""
