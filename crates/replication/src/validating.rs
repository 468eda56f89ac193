//! How a batch is checked without keeping a thread from all others: most at once, one that inflates in steps between which
//! others run. Few of those at a time, since each holds its codec's window. Knows no partition.
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use record::{Decompressor, Timestamp};
use storage::validate::{Origin, Rules, Step, ValidateError, Validated, Validation};
use tokio::sync::Semaphore;

/// Of the batches of this node that inflate.
pub(crate) struct Turns(Semaphore);

/// zstd may ask for a window of 128 MiB.
const TURNS: usize = 2;

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(TURNS))
    }
}

pub(crate) enum Checked<'a> {
    Now(Validated),
    Later(Pin<Box<dyn Future<Output = Result<Validated, ValidateError>> + Send + 'a>>),
}

/// Checks a batch. What is small is done when this returns, and was neither boxed nor counted.
pub(crate) fn validated<'a>(
    turns: &'a Turns,
    bytes: &'a [u8],
    rules: &Rules,
    origin: Origin,
    now: Timestamp,
    decompressor: &'a mut Decompressor,
) -> Result<Checked<'a>, ValidateError> {
    let mut validation = Validation::new(bytes, rules, origin, now, decompressor)?;
    if let Step::Done(batch) = validation.step()? {
        return Ok(Checked::Now(batch));
    }
    let rules = *rules;
    Ok(Checked::Later(Box::pin(async move {
        let Ok(turn) = turns.0.try_acquire() else {
            // Who waits holds nothing, and begins anew.
            let decompressor = validation.into_decompressor();
            *decompressor = Decompressor::new();
            let _turn = turns.0.acquire().await.expect("the turns are never closed");
            return rest(Validation::new(bytes, &rules, origin, now, decompressor)?).await;
        };
        let batch = rest(validation).await;
        drop(turn);
        batch
    })))
}

async fn rest(mut validation: Validation<'_>) -> Result<Validated, ValidateError> {
    loop {
        let_others_run().await;
        if let Step::Done(batch) = validation.step()? {
            return Ok(batch);
        }
    }
}

async fn let_others_run() {
    let mut has_let = false;
    poll_fn(|context| {
        if has_let {
            return Poll::Ready(());
        }
        has_let = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
