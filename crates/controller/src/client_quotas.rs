//! AlterClientQuotas: what clients may use. Rules and words of Kafka's `ClientQuotaControlManager`. One entity is altered
//! whole or not at all; entities do not hinder each other.

use std::collections::{BTreeMap, BTreeSet};

use metadata::{Limit, Part, QuotaEntity, Record};
use protocol::alter_client_quotas_request::{AlterClientQuotasRequest, EntityData as AskedPart, EntryData as Asked};
use protocol::alter_client_quotas_response::{AlterClientQuotasResponse, EntityData, EntryData};
use protocol::{ErrorCode, HashOrder};

use crate::answer::ApiError;
use crate::machine::{Decision, Machine, RECORDS_PER_DECISION_MAX};

/// What a quota's value may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Double,
    Int,
    Long,
}

const OF_CLIENTS: &[(&str, Kind)] = &[
    ("consumer_byte_rate", Kind::Long),
    ("controller_mutation_rate", Kind::Double),
    ("producer_byte_rate", Kind::Long),
    ("request_percentage", Kind::Double),
];
const OF_ADDRESSES: &[(&str, Kind)] = &[("connection_creation_rate", Kind::Int)];

/// A number this close to a whole one is that.
const EPSILON: f64 = 1e-6;

pub fn alter_refused(request: &AlterClientQuotasRequest, code: ErrorCode) -> AlterClientQuotasResponse {
    let entries = request.entries.iter().map(|asked| entry(&whole(&asked.entity), Err(code.into()))).collect();
    AlterClientQuotasResponse { entries, ..Default::default() }
}

/// An entity as it was asked for: of a kind that is named twice the last name counts, as in Kafka's map.
type Whole<'r> = BTreeMap<&'r str, Option<&'r str>>;

fn whole(parts: &[AskedPart]) -> Whole<'_> {
    parts.iter().map(|part| (&*part.entity_type, part.entity_name.as_deref())).collect()
}

fn entry(entity: &Whole<'_>, outcome: Result<(), ApiError>) -> EntryData {
    let error = outcome.err();
    let parts = entity.iter().map(|(kind, name)| EntityData {
        entity_type: (*kind).to_owned(),
        entity_name: name.map(str::to_owned),
        ..Default::default()
    });
    EntryData {
        error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code).code(),
        error_message: error.and_then(|error| error.message),
        entity: parts.collect(),
        ..Default::default()
    }
}

/// `unresolved` are those of the addresses that are the name of no host.
pub fn alter(
    machine: &Machine,
    request: &AlterClientQuotasRequest,
    unresolved: &BTreeSet<String>,
) -> Decision<AlterClientQuotasResponse> {
    let mut records = Vec::new();
    let mut outcomes: BTreeMap<Whole<'_>, Result<(), ApiError>> = BTreeMap::new();
    for asked in &request.entries {
        let entity = whole(&asked.entity);
        let outcome = match outcomes.contains_key(&entity) {
            true => Err(duplicate(&entity)),
            false => alter_one(machine, &entity, asked, unresolved).and_then(|new| bounded(&mut records, new)),
        };
        outcomes.insert(entity, outcome);
    }
    if request.validate_only {
        records.clear();
    }
    let entries = outcomes.into_iter().map(|(entity, outcome)| entry(&entity, outcome)).collect();
    Decision { records, answer: AlterClientQuotasResponse { entries, ..Default::default() } }
}

fn invalid(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, text)
}

/// In the order of Kafka's map.
fn parts_of<'r>(entity: &Whole<'r>) -> Vec<(&'r str, Option<&'r str>)> {
    let order = HashOrder::sized(entity.len());
    let mut parts: Vec<_> = entity.iter().map(|(kind, name)| (*kind, *name)).collect();
    parts.sort_by_key(|(kind, _)| order.place(kind));
    parts
}

fn duplicate(entity: &Whole<'_>) -> ApiError {
    let parts = parts_of(entity).into_iter().map(|(kind, name)| format!("{kind}={}", name.unwrap_or("null")));
    invalid(format!(
        "Ignoring duplicate entity ClientQuotaEntity(entries={{{}}})",
        parts.collect::<Vec<_>>().join(", ")
    ))
}

fn bounded(records: &mut Vec<Record>, mut new: Vec<Record>) -> Result<(), ApiError> {
    if records.len() + new.len() > RECORDS_PER_DECISION_MAX {
        return Err(ErrorCode::PolicyViolation.into());
    }
    records.append(&mut new);
    Ok(())
}

fn alter_one(
    machine: &Machine,
    wanted: &Whole<'_>,
    asked: &Asked,
    unresolved: &BTreeSet<String>,
) -> Result<Vec<Record>, ApiError> {
    let mut keys = BTreeSet::new();
    if !asked.ops.iter().all(|op| keys.insert(&*op.key)) {
        return Err(duplicate(wanted));
    }
    let entity = entity(wanted)?;
    let known = known_keys(&entity, unresolved)?;
    let mut records = Vec::new();
    let order = HashOrder::sized(asked.ops.len());
    let mut ops: Vec<_> = asked.ops.iter().collect();
    ops.sort_by_key(|op| order.place(&op.key)); // Kafka names the first that is wrong.
    for op in ops {
        let limit = match op.remove {
            true => None,
            false => Some(limit(known, &op.key, op.value)?),
        };
        if machine.image.quotas.limit(&entity, &op.key) != limit {
            records.push(Record::ClientQuota { entity: entity.clone(), key: op.key.clone(), limit });
        }
    }
    Ok(records)
}

fn entity(wanted: &Whole<'_>) -> Result<QuotaEntity, ApiError> {
    let mut entity = QuotaEntity::default();
    for (kind, name) in parts_of(wanted) {
        let part =
            entity.part_mut(kind).ok_or_else(|| invalid(format!("Unhandled client quota entity type: {kind}")))?;
        if name == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
        *part = Part::from(name);
    }
    match wanted.is_empty() {
        true => Err(invalid("Invalid empty client quota entity")),
        false => Ok(entity),
    }
}

/// Which quotas such an entity may have.
fn known_keys(
    entity: &QuotaEntity,
    unresolved: &BTreeSet<String>,
) -> Result<&'static [(&'static str, Kind)], ApiError> {
    let is_client = entity.user != Part::Absent || entity.client_id != Part::Absent;
    match &entity.ip {
        Part::Absent => Ok(OF_CLIENTS),
        _ if is_client => {
            let text = "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId";
            Err(invalid(text))
        }
        Part::Named(ip) if unresolved.contains(ip) => {
            Err(invalid(format!("{ip} is not a valid IP or resolvable host.")))
        }
        Part::Default | Part::Named(_) => Ok(OF_ADDRESSES),
    }
}

fn limit(known: &[(&str, Kind)], key: &str, value: f64) -> Result<Limit, ApiError> {
    let kind = known.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind);
    let kind = kind.ok_or_else(|| invalid(format!("Invalid configuration key {key}")))?;
    if !value.is_finite() {
        return Err(invalid(format!("Quota {key} must be a finite number")));
    }
    let limit = Limit::new(value).ok_or_else(|| invalid(format!("Quota {key} must be greater than 0")))?;
    let (max, name) = match kind {
        Kind::Double => return Ok(limit),
        Kind::Int => (f64::from(i32::MAX), "an INT"),
        Kind::Long => (i64::MAX as f64, "a LONG"),
    };
    if value > max {
        return Err(invalid(format!("Proposed value for {key} is too large for {name}.")));
    }
    if ((value + EPSILON).trunc() - value).abs() > EPSILON {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(limit)
}
