//! What a process has besides a disk and a network: arguments, variables, memory, signals.
