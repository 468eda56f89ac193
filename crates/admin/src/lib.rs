//! HTTP for whoever runs a broker: `/metrics`, `/health/live`, `/health/ready`, on a loopback port of its own.
//! Asks the broker and changes nothing; knows no partition and no file.
pub mod http;
mod query;
mod scrape;
pub mod text;

pub use http::{Health, Status, serve};
pub use scrape::Writing;
