"""What is heard from when to when."""
