//! storage

pub mod leader_epochs;
pub mod producer_state;
pub mod retention;
pub mod roll;
pub mod validate;
pub mod segment;
