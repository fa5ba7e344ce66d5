"""What the machine can do, and how this process uses it: devices, memory, seeds."""
