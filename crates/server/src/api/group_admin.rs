//! DescribeGroups, ListGroups and DeleteGroups: what an operator asks, brought to the coordinators that know.
use std::collections::{BTreeMap, BTreeSet};

use coordinator::group::Request;
use protocol::delete_groups_request::DeleteGroupsRequestView;
use protocol::delete_groups_response::DeleteGroupsResponse;
use protocol::describe_groups_request::DescribeGroupsRequestView;
use protocol::describe_groups_response::DescribeGroupsResponse;
use protocol::list_groups_request::ListGroupsRequestView;
use protocol::list_groups_response::ListGroupsResponse;
use protocol::{ErrorCode, View};

use super::{Answer, Call, authorized_operations};

pub async fn describe(call: Call) -> Answer {
    let request: DescribeGroupsRequestView<'_> = call.request()?;
    let mut groups = Vec::with_capacity(request.groups.len());
    for asked in by_coordinator(&call, request.groups) {
        let any = asked[0].clone();
        groups.extend(call.ask_group(&any, Request::DescribeGroups(asked)).await.into_describe_groups());
    }
    if request.include_authorized_operations {
        for group in groups.iter_mut().filter(|group| group.error_code == 0) {
            group.authorized_operations = authorized_operations::GROUP;
        }
    }
    call.reply(&DescribeGroupsResponse { groups, ..Default::default() })
}

pub async fn list(call: Call) -> Answer {
    let request = call.request::<ListGroupsRequestView<'_>>()?.to_message();
    let mut all = ListGroupsResponse::default();
    for answer in call.broker.groups.request_all(&call.caller(), Request::ListGroups(request)).await {
        let listed = answer.into_list_groups();
        if listed.error_code == ErrorCode::NotCoordinator.code() {
            continue; // Resigned in the meantime: its groups are another's to list.
        }
        if listed.error_code != 0 {
            return call.reply(&ListGroupsResponse { error_code: listed.error_code, ..Default::default() });
        }
        all.groups.extend(listed.groups);
    }
    call.reply(&all)
}

pub async fn delete(call: Call) -> Answer {
    let request: DeleteGroupsRequestView<'_> = call.request()?;
    let names: BTreeSet<&str> = request.groups_names.iter().collect();
    let mut results = Vec::with_capacity(names.len());
    for asked in by_coordinator(&call, names) {
        let any = asked[0].clone();
        results.extend(call.ask_group(&any, Request::DeleteGroups(asked)).await.into_delete_groups());
    }
    call.reply(&DeleteGroupsResponse { results, ..Default::default() })
}

/// The groups, those of one coordinator together.
fn by_coordinator<'n>(call: &Call, names: impl IntoIterator<Item = &'n str>) -> Vec<Vec<String>> {
    let mut coordinators: BTreeMap<Option<i32>, Vec<String>> = BTreeMap::new();
    for name in names {
        coordinators.entry(call.broker.groups.partition_of(name)).or_default().push(name.to_owned());
    }
    coordinators.into_values().collect()
}
