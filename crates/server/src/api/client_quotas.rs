//! DescribeClientQuotas and AlterClientQuotas (KIP-546): what clients may use. Rules of Kafka's `ClientQuotasImage`; what
//! is altered goes to the controller, and how quotas are enforced is in `quotas`.
use std::collections::BTreeSet;
use std::net::IpAddr;

use metadata::{Limits, QuotaEntity};
use protocol::alter_client_quotas_request::{AlterClientQuotasRequest, AlterClientQuotasRequestView};
use protocol::describe_client_quotas_request::{ComponentDataView, DescribeClientQuotasRequestView};
use protocol::describe_client_quotas_response::{DescribeClientQuotasResponse, EntityData, EntryData, ValueData};
use protocol::{ErrorCode, View};

use super::{Answer, Call};

pub async fn describe(call: Call) -> Answer {
    let request: DescribeClientQuotasRequestView<'_> = call.request()?;
    let response = match filters(request.components.iter()) {
        Ok(filters) => {
            let image = call.broker.image();
            let all = image.quotas.iter();
            let wanted = all.filter(|(entity, _)| matches(entity, &filters, request.strict));
            DescribeClientQuotasResponse {
                error_message: Some(String::new()),
                entries: Some(wanted.map(|(entity, limits)| entry(entity, limits)).collect()),
                ..Default::default()
            }
        }
        Err((error, message)) => DescribeClientQuotasResponse {
            error_code: error.code(),
            error_message: Some(message),
            entries: None,
            ..Default::default()
        },
    };
    call.reply(&response)
}

/// What one kind of an entity must be.
#[derive(Clone, Copy, Debug)]
enum Match<'r> {
    Exactly(&'r str),
    Default,
    Any,
}

type Filters<'r> = Vec<(&'r str, Match<'r>)>;

fn filters<'r>(components: impl Iterator<Item = ComponentDataView<'r>>) -> Result<Filters<'r>, (ErrorCode, String)> {
    let invalid = |text: String| Err((ErrorCode::InvalidRequest, text));
    let mut filters: Filters<'r> = Vec::new();
    for component in components {
        let kind = component.entity_type;
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if filters.iter().any(|(earlier, _)| *earlier == kind) {
            return invalid(format!("Entity type {kind} cannot appear more than once in the filter."));
        }
        if ![QuotaEntity::CLIENT_ID, QuotaEntity::IP, QuotaEntity::USER].contains(&kind) {
            return Err((ErrorCode::UnsupportedVersion, format!("Unsupported entity type {kind}")));
        }
        let named = |what: &str| format!("Request specified {what}, but also specified a match string.");
        let filter = match (component.match_type, component.r#match) {
            (0, Some(name)) => Match::Exactly(name),
            (0, None) => {
                return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned());
            }
            (1, None) => Match::Default,
            (1, Some(_)) => return invalid(named("MATCH_TYPE_DEFAULT")),
            (2, None) => Match::Any,
            (2, Some(_)) => return invalid(named("MATCH_TYPE_SPECIFIED")),
            (other, _) => return invalid(format!("Unknown match type {other}")),
        };
        filters.push((kind, filter));
    }
    let has_address = filters.iter().any(|(kind, _)| *kind == QuotaEntity::IP);
    if has_address && filters.len() > 1 {
        let text = "Invalid entity filter component combination. IP filter component should not be used with user or \
                    clientId filter component.";
        return invalid(text.to_owned());
    }
    Ok(filters)
}

/// Strictly: it has no other kinds than those.
fn matches(entity: &QuotaEntity, filters: &Filters<'_>, strict: bool) -> bool {
    let part = |kind: &str| entity.parts().find(|(part, _)| *part == kind).map(|(_, name)| name);
    let all_match = filters.iter().all(|(kind, filter)| match (part(kind), filter) {
        (None, _) => false,
        (Some(name), Match::Exactly(wanted)) => name == Some(*wanted),
        (Some(name), Match::Default) => name.is_none(),
        (Some(_), Match::Any) => true,
    });
    all_match && (!strict || entity.parts().count() == filters.len())
}

fn entry(entity: &QuotaEntity, limits: &Limits) -> EntryData {
    let parts = entity.parts().map(|(kind, name)| EntityData {
        entity_type: kind.to_owned(),
        entity_name: name.map(str::to_owned),
        ..Default::default()
    });
    let values =
        limits.iter().map(|(key, limit)| ValueData { key: key.clone(), value: limit.value(), ..Default::default() });
    EntryData { entity: parts.collect(), values: values.collect(), ..Default::default() }
}

pub async fn alter(call: Call) -> Answer {
    let request = call.request::<AlterClientQuotasRequestView<'_>>()?.to_message();
    let unresolved = unresolved(&call, &request).await;
    call.reply(&call.broker.controller.alter_client_quotas(request, unresolved).await)
}

/// A quota may name a host in the place of its address. Of more hosts than these none is looked up: they count as unknown.
const HOSTS_MAX: usize = 100;

async fn unresolved(call: &Call, request: &AlterClientQuotasRequest) -> BTreeSet<String> {
    let parts = request.entries.iter().flat_map(|entry| &entry.entity);
    let addresses = parts.filter(|part| part.entity_type == QuotaEntity::IP).flat_map(|part| &part.entity_name);
    let hosts: BTreeSet<&String> =
        addresses.filter(|name| !name.is_empty() && name.parse::<IpAddr>().is_err()).collect();
    let mut unresolved = BTreeSet::new();
    for (place, host) in hosts.into_iter().enumerate() {
        if place >= HOSTS_MAX || call.broker.env.net.resolve(host, 0).await.is_err() {
            unresolved.insert(host.clone());
        }
    }
    unresolved
}
