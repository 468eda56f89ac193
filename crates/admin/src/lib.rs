//! HTTP for whoever runs a broker: `/metrics`, `/health/live`, `/health/ready`, on a loopback port of its own.
//! Asks the broker and changes nothing; knows no partition and no file.
pub mod http;

pub use http::{Health, Status, serve};
