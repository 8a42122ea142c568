"""What is live: compose, diff, publish, roll back, export."""
