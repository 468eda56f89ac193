"""What `run.py` is made of. Standard library only: the harness runs before anything is installed."""
