//! The process as its user has it: how it starts, how it refuses to, how it stops, and what is there afterwards. Each test
//! runs the built binary with ports and directories of its own.
mod broker;
mod commands;
mod compaction;
mod completions;
mod descriptors;
mod inspect;
mod log_dirs;
mod metrics;
mod past;
mod refusals;
mod starts;
mod stops;
mod wire;
