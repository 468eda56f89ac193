//! How the rest of the broker speaks to the controller: a method for each request. The answer of a method is complete:
//! if the controller cannot decide, every part of the request carries the reason.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use env::{Clock, Instant};
use metadata::Image;
use protocol::ErrorCode;
use protocol::alter_client_quotas_request::AlterClientQuotasRequest;
use protocol::alter_client_quotas_response::AlterClientQuotasResponse;
use protocol::alter_configs_request::AlterConfigsRequest;
use protocol::alter_configs_response::AlterConfigsResponse;
use protocol::alter_partition_reassignments_request::AlterPartitionReassignmentsRequest;
use protocol::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
use protocol::alter_user_scram_credentials_request::AlterUserScramCredentialsRequest;
use protocol::alter_user_scram_credentials_response::AlterUserScramCredentialsResponse;
use protocol::create_partitions_request::CreatePartitionsRequest;
use protocol::create_partitions_response::CreatePartitionsResponse;
use protocol::create_topics_request::CreateTopicsRequest;
use protocol::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use protocol::delete_topics_request::DeleteTopicsRequest;
use protocol::delete_topics_response::DeleteTopicsResponse;
use protocol::elect_leaders_request::ElectLeadersRequest;
use protocol::elect_leaders_response::ElectLeadersResponse;
use protocol::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use protocol::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use protocol::update_features_request::UpdateFeaturesRequest;
use protocol::update_features_response::UpdateFeaturesResponse;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::allowance::Allowance;
use crate::brokers::{self, BrokerEpoch, Registration};
use crate::machine::{Decision, Machine};
use crate::producer_ids::{self, ProducerIdBlock};
use crate::run::{Asked, Message, Reply};
use crate::{client_quotas, configs, elections, features, reassignments, scram, topics};

#[derive(Clone)]
pub struct Handle {
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) image: Arc<ArcSwap<Image>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Closed when the controller's task has ended.
    pub(crate) ended: Arc<Semaphore>,
    /// Of changes of topics.
    pub(crate) allowance: Allowance,
}

impl Handle {
    /// For a client that may change only so many partitions.
    pub fn within(&self, allowance: Allowance) -> Handle {
        Handle { allowance, ..self.clone() }
    }

    /// The newest committed one.
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    pub async fn create_topics(&self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let (deadline, request) = (self.deadline(request.timeout_ms), Arc::new(request));
        let (refused, allowance) = (request.clone(), self.allowance.clone());
        let answer = self.ask(deadline, move |machine| topics::create(machine, &request, &allowance)).await;
        answer.unwrap_or_else(|error| topics::create_refused(&refused, error))
    }

    /// For Metadata with auto-creation, and for the coordinators: `num.partitions`, or what an internal topic wants.
    pub async fn auto_create_topics(&self, names: Vec<String>) -> Vec<CreatableTopicResult> {
        let refused = names.clone();
        let answer = self.ask(Instant::NEVER, move |machine| topics::auto_create(machine, &names)).await;
        answer.unwrap_or_else(|error| topics::auto_create_refused(&refused, error)).topics
    }

    pub async fn delete_topics(&self, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let (deadline, request) = (self.deadline(request.timeout_ms), Arc::new(request));
        let (refused, allowance) = (request.clone(), self.allowance.clone());
        let answer = self.ask(deadline, move |machine| topics::delete(machine, &request, &allowance)).await;
        answer.unwrap_or_else(|error| topics::delete_refused(&refused, error))
    }

    pub async fn create_partitions(&self, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let (deadline, request) = (self.deadline(request.timeout_ms), Arc::new(request));
        let (refused, allowance) = (request.clone(), self.allowance.clone());
        let answer = self.ask(deadline, move |machine| topics::create_partitions(machine, &request, &allowance)).await;
        answer.unwrap_or_else(|error| topics::create_partitions_refused(&refused, error))
    }

    pub async fn alter_configs(&self, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let request = Arc::new(request);
        let refused = request.clone();
        let answer = self.ask(Instant::NEVER, move |machine| configs::alter_legacy(machine, &request)).await;
        answer.unwrap_or_else(|error| configs::alter_refused(&refused, error))
    }

    pub async fn incremental_alter_configs(
        &self,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let request = Arc::new(request);
        let refused = request.clone();
        let answer = self.ask(Instant::NEVER, move |machine| configs::alter_incrementally(machine, &request)).await;
        answer.unwrap_or_else(|error| configs::alter_incrementally_refused(&refused, error))
    }

    /// `unresolved`: those of the addresses in it that are the name of no host. Who decides asks nobody.
    pub async fn alter_client_quotas(
        &self,
        request: AlterClientQuotasRequest,
        unresolved: BTreeSet<String>,
    ) -> AlterClientQuotasResponse {
        let request = Arc::new(request);
        let refused = request.clone();
        let decide = move |machine: &Machine| client_quotas::alter(machine, &request, &unresolved);
        let answer = self.ask(Instant::NEVER, decide).await;
        answer.unwrap_or_else(|error| client_quotas::alter_refused(&refused, error))
    }

    pub async fn alter_user_scram_credentials(
        &self,
        request: AlterUserScramCredentialsRequest,
    ) -> AlterUserScramCredentialsResponse {
        let request = Arc::new(request);
        let refused = request.clone();
        let answer = self.ask(Instant::NEVER, move |machine| scram::alter(machine, &request)).await;
        answer.unwrap_or_else(|error| scram::alter_refused(&refused, error))
    }

    pub async fn elect_leaders(&self, request: ElectLeadersRequest) -> ElectLeadersResponse {
        let (deadline, request) = (self.deadline(request.timeout_ms), Arc::new(request));
        let refused = request.clone();
        let answer = self.ask(deadline, move |machine| elections::elect(machine, &request)).await;
        answer.unwrap_or_else(|error| elections::elect_refused(&refused, error))
    }

    pub async fn reassign_partitions(
        &self,
        request: AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        let (deadline, request) = (self.deadline(request.timeout_ms), Arc::new(request));
        let refused = request.clone();
        let answer = self.ask(deadline, move |machine| reassignments::reassign(machine, &request)).await;
        answer.unwrap_or_else(|error| reassignments::reassign_refused(&refused, error))
    }

    /// `version` is the request's: what it may say, and what it is told.
    pub async fn update_features(&self, request: UpdateFeaturesRequest, version: i16) -> UpdateFeaturesResponse {
        let deadline = self.deadline(request.timeout_ms);
        let answer = self.ask(deadline, move |machine| features::update(machine, &request, version)).await;
        answer.unwrap_or_else(features::update_refused)
    }

    /// A block that nobody else is given, not even after a crash.
    pub async fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, ErrorCode> {
        self.ask(Instant::NEVER, producer_ids::allocate).await
    }

    /// Once at each start of a broker, before it serves. The partitions that it leads begin a new leader epoch.
    pub async fn register_broker(&self, registration: Registration) -> Result<BrokerEpoch, ErrorCode> {
        self.ask(Instant::NEVER, move |machine| brokers::register(machine, registration)).await
    }

    /// Takes nothing more, waits for what is on its way, and closes the log.
    pub async fn close(&self) {
        // A controller that has ended is closed.
        let _ = self.messages.send(Message::Close).await;
        self.ended().await;
    }

    /// Ready when the controller's task has ended: after `close`, or because its log has failed. A broker cannot go on.
    pub async fn ended(&self) {
        let closed = self.ended.acquire().await;
        assert!(closed.is_err(), "nobody adds permits to this semaphore");
    }

    fn deadline(&self, timeout_ms: i32) -> Instant {
        self.clock.now() + Duration::from_millis(timeout_ms.max(0) as u64)
    }

    async fn ask<A: Send + 'static>(
        &self,
        deadline: Instant,
        decide: impl FnOnce(&Machine) -> Decision<A> + Send + 'static,
    ) -> Result<A, ErrorCode> {
        let (answer, answered) = oneshot::channel();
        let decide = Box::new(move |machine: &Machine, now: Instant| {
            if now > deadline {
                // Kafka's deadlines, too, are those of waiting to be decided on, not of the commit.
                let _ = answer.send(Err(ErrorCode::RequestTimedOut));
                return (Vec::new(), None);
            }
            let decision = decide(machine);
            let reply: Reply = Box::new(move |refusal| {
                // Who has stopped waiting needs no answer.
                let _ = answer.send(refusal.map_or(Ok(decision.answer), Err));
            });
            (decision.records, Some(reply))
        });
        let asked = self.messages.send(Message::Ask(decide as Asked)).await;
        asked.map_err(|_| ErrorCode::NotController)?;
        answered.await.unwrap_or(Err(ErrorCode::NotController))
    }
}
