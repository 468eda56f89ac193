//! ListTransactions and DescribeTransactions, of which there are none yet: this broker coordinates no transactional id.
//! Rules of Kafka's `TransactionStateManager` and `TransactionCoordinator`.
use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::describe_transactions_request::DescribeTransactionsRequestView;
use protocol::describe_transactions_response::{DescribeTransactionsResponse, TransactionState};
use protocol::list_transactions_request::ListTransactionsRequestView;
use protocol::list_transactions_response::ListTransactionsResponse;

use super::{Answer, Call};

/// Kafka's `TransactionState`, by the names that are shown.
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub async fn list(call: Call) -> Answer {
    let request: ListTransactionsRequestView<'_> = call.request()?;
    let mut seen = BTreeSet::new();
    let unknown = request.state_filters.iter().filter(|state| !STATES.contains(state) && seen.insert(*state));
    // Kafka's patterns are RE2's, as ours are.
    let pattern = request.transactional_id_pattern.unwrap_or("");
    let error = if metadata::is_pattern(pattern) { ErrorCode::None } else { ErrorCode::InvalidRegularExpression };
    let unknown_state_filters = match error {
        ErrorCode::None => unknown.map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    call.reply(&ListTransactionsResponse { error_code: error.code(), unknown_state_filters, ..Default::default() })
}

pub async fn describe(call: Call) -> Answer {
    let request: DescribeTransactionsRequestView<'_> = call.request()?;
    let states = request.transactional_ids.iter().map(|id| TransactionState {
        // `__transaction_state` has no partition here that an id could belong to.
        error_code: match id.is_empty() {
            true => ErrorCode::InvalidRequest.code(),
            false => ErrorCode::NotCoordinator.code(),
        },
        transactional_id: id.to_owned(),
        ..Default::default()
    });
    call.reply(&DescribeTransactionsResponse { transaction_states: states.collect(), ..Default::default() })
}
