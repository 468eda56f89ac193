//! How the rest of the broker speaks to the controller: a method for each request. The answer of a method is complete:
//! if the controller cannot decide, every part of the request carries the reason.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use env::{Clock, Instant};
use metadata::Image;
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
use protocol::{ErrorCode, Uuid};
use record::BrokerId;
use tally::{Counter, Histogram};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::allowance::Allowance;
use crate::brokers::{self, Assignment, BrokerEpoch, Registration};
use crate::machine::{Decision, Machine};
use crate::message::{Asked, Message, Reply};
use crate::producer_ids::{self, ProducerIdBlock};
use crate::{client_quotas, configs, elections, features, reassignments, scram, topics};

/// Kafka's `AssignmentsManager.MAX_ASSIGNMENTS_PER_REQUEST`.
pub const ASSIGNMENTS_MAX: usize = 2250;

#[derive(Clone)]
pub struct Handle {
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) image: Arc<ArcSwap<Image>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Closed when the controller's task has ended.
    pub(crate) ended: Arc<Semaphore>,
    /// Of changes of topics.
    pub(crate) allowance: Allowance,
    pub(crate) counts: Arc<Counts>,
}

/// What was proposed and committed since the start.
#[derive(Debug, Default)]
pub struct Counts {
    pub records: Counter,
    /// From a proposal until its answers may leave.
    pub commits: Histogram,
}

impl Handle {
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// For a client that may change only so many partitions.
    pub fn within(&self, allowance: Allowance) -> Handle {
        Handle { allowance, ..self.clone() }
    }

    /// The newest committed one.
    pub fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    pub async fn create_topics(&self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let (deadline, allowance) = (self.deadline(request.timeout_ms), self.allowance.clone());
        let decide = move |machine: &Machine, request: &_| topics::create(machine, request, &allowance);
        self.decide(deadline, request, decide, topics::create_refused).await
    }

    /// For Metadata with auto-creation, and for the coordinators: `num.partitions`, or what an internal topic wants.
    pub async fn auto_create_topics(&self, names: Vec<String>) -> Vec<CreatableTopicResult> {
        let decide = |machine: &Machine, names: &Vec<String>| topics::auto_create(machine, names);
        let refused = |names: &Vec<String>, error| topics::auto_create_refused(names, error);
        self.decide(Instant::NEVER, names, decide, refused).await.topics
    }

    pub async fn delete_topics(&self, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let (deadline, allowance) = (self.deadline(request.timeout_ms), self.allowance.clone());
        let decide = move |machine: &Machine, request: &_| topics::delete(machine, request, &allowance);
        self.decide(deadline, request, decide, topics::delete_refused).await
    }

    pub async fn create_partitions(&self, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let (deadline, allowance) = (self.deadline(request.timeout_ms), self.allowance.clone());
        let decide = move |machine: &Machine, request: &_| topics::create_partitions(machine, request, &allowance);
        self.decide(deadline, request, decide, topics::create_partitions_refused).await
    }

    pub async fn alter_configs(&self, request: AlterConfigsRequest) -> AlterConfigsResponse {
        self.decide(Instant::NEVER, request, configs::alter_legacy, configs::alter_refused).await
    }

    pub async fn incremental_alter_configs(
        &self,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let (decide, refused) = (configs::alter_incrementally, configs::alter_incrementally_refused);
        self.decide(Instant::NEVER, request, decide, refused).await
    }

    /// `unresolved`: those of the addresses in it that are the name of no host. Who decides asks nobody.
    pub async fn alter_client_quotas(
        &self,
        request: AlterClientQuotasRequest,
        unresolved: BTreeSet<String>,
    ) -> AlterClientQuotasResponse {
        let decide = move |machine: &Machine, request: &_| client_quotas::alter(machine, request, &unresolved);
        self.decide(Instant::NEVER, request, decide, client_quotas::alter_refused).await
    }

    pub async fn alter_user_scram_credentials(
        &self,
        request: AlterUserScramCredentialsRequest,
    ) -> AlterUserScramCredentialsResponse {
        self.decide(Instant::NEVER, request, scram::alter, scram::alter_refused).await
    }

    pub async fn elect_leaders(&self, request: ElectLeadersRequest) -> ElectLeadersResponse {
        let is_empty = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
        let deadline = self.deadline_unless(is_empty, request.timeout_ms);
        self.decide(deadline, request, elections::elect, elections::elect_refused).await
    }

    pub async fn reassign_partitions(
        &self,
        request: AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        let deadline = self.deadline_unless(request.topics.is_empty(), request.timeout_ms);
        self.decide(deadline, request, reassignments::reassign, reassignments::reassign_refused).await
    }

    /// `version` is the request's: what it may say, and what it is told. Kafka does not look at its timeout.
    pub async fn update_features(&self, request: UpdateFeaturesRequest, version: i16) -> UpdateFeaturesResponse {
        let decide = move |machine: &Machine, request: &_| features::update(machine, request, version);
        self.decide(Instant::NEVER, request, decide, |_, error| features::update_refused(error)).await
    }

    /// A block that nobody else is given, not even after a crash.
    pub async fn allocate_producer_ids(&self) -> Result<ProducerIdBlock, ErrorCode> {
        self.ask(Instant::NEVER, producer_ids::allocate).await
    }

    /// Once at each start of a broker, before it serves. The partitions that it leads begin a new leader epoch.
    pub async fn register_broker(&self, registration: Registration) -> Result<BrokerEpoch, ErrorCode> {
        self.ask(Instant::NEVER, move |machine| brokers::register(machine, registration)).await
    }

    /// Some of a broker's log directories have failed: what it led from them, nobody leads once this has returned.
    pub async fn directories_failed(&self, broker: BrokerId, online: Vec<Uuid>) -> Result<(), ErrorCode> {
        self.ask(Instant::NEVER, move |machine| brokers::directories_failed(machine, broker, online)).await
    }

    /// At most [`ASSIGNMENTS_MAX`] at once.
    pub async fn assign_directories(&self, broker: BrokerId, assignments: Vec<Assignment>) -> Result<(), ErrorCode> {
        assert!(assignments.len() <= ASSIGNMENTS_MAX, "an entry of the metadata log is bounded");
        self.ask(Instant::NEVER, move |machine| brokers::assign_directories(machine, broker, &assignments)).await
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

    /// Of a request that asks for nothing Kafka does not look at the time.
    fn deadline_unless(&self, is_empty: bool, timeout_ms: i32) -> Instant {
        if is_empty { Instant::NEVER } else { self.deadline(timeout_ms) }
    }

    fn deadline(&self, timeout_ms: i32) -> Instant {
        self.clock.now() + Duration::from_millis(timeout_ms.max(0) as u64)
    }

    /// Has a request decided on; if the controller cannot, `refused` makes the answer.
    async fn decide<Q: Send + Sync + 'static, A: Send + 'static>(
        &self,
        deadline: Instant,
        request: Q,
        decide: impl FnOnce(&Machine, &Q) -> Decision<A> + Send + 'static,
        refused: impl FnOnce(&Q, ErrorCode) -> A,
    ) -> A {
        let request = Arc::new(request);
        let asked = request.clone();
        let answer = self.ask(deadline, move |machine| decide(machine, &asked)).await;
        answer.unwrap_or_else(|error| refused(&request, error))
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
