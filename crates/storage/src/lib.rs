//! storage

pub mod producer_state;
pub mod validate;
