//! node
pub mod config;
