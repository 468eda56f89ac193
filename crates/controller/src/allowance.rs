//! How many partitions a client may still make or delete: asked when a change is known to be right, and about to be made.
//! What the client has used is counted by whoever made the allowance.

use std::sync::Arc;

use protocol::ErrorCode;

use crate::answer::ApiError;

#[derive(Clone, Default)]
pub struct Allowance(Option<Arc<dyn Fn(usize) -> bool + Send + Sync>>);

impl Allowance {
    /// `take` is told of a number of partitions and says whether they are allowed.
    pub fn new(take: impl Fn(usize) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(take)))
    }

    pub(crate) fn take(&self, partitions: usize) -> Result<(), ApiError> {
        match self.0.as_ref().is_none_or(|take| take(partitions)) {
            true => Ok(()),
            false => Err(ErrorCode::ThrottlingQuotaExceeded.into()),
        }
    }
}
