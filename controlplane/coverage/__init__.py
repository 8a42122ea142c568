"""What is live looked at as a whole: who is answered by what, what is odd about it, and what a failure would do. It only reads."""
