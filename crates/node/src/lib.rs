//! A node, whole: its configuration and its life. Puts the rooms together and decides nothing in their place.
mod broker_configs;
pub mod config;
mod connection_limits;
mod directories;
mod dynamic_configs;
mod engine;
mod failure;
mod listeners;
pub mod metrics;
mod node;
mod start_error;
mod status;

pub use node::{Node, Resources, Tuning};
pub use start_error::StartError;
