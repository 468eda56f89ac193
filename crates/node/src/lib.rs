//! A node, whole: its configuration and its life. Puts the rooms together and decides nothing in their place.
mod broker_configs;
pub mod config;
mod engine;
mod node;
mod status;

pub use node::{Node, StartError, Tuning};
