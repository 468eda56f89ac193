//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: what a member says to its coordinator, passed on.
use coordinator::group::{Answer as GroupAnswer, Caller, Request};
use protocol::View;
use protocol::heartbeat_request::HeartbeatRequestView;
use protocol::join_group_request::JoinGroupRequestView;
use protocol::leave_group_request::{LeaveGroupRequestView, MemberIdentity};
use protocol::sync_group_request::SyncGroupRequestView;

use super::{Answer, Call};

impl Call {
    pub(super) fn caller(&self) -> Caller {
        let host = format!("/{}", self.peer.address.ip().to_canonical());
        Caller { version: self.version, client_id: self.client_id().to_owned(), host }
    }

    pub(super) async fn ask_group(&self, group_id: &str, request: Request) -> GroupAnswer {
        self.broker.groups.request(group_id, &self.caller(), request).await
    }
}

pub async fn join(call: Call) -> Answer {
    let request = call.request::<JoinGroupRequestView<'_>>()?.to_message();
    let group_id = request.group_id.clone();
    let answer = call.ask_group(&group_id, Request::JoinGroup(request)).await;
    call.reply(&answer.into_join_group(call.version))
}

pub async fn sync(call: Call) -> Answer {
    let request = call.request::<SyncGroupRequestView<'_>>()?.to_message();
    let group_id = request.group_id.clone();
    let answer = call.ask_group(&group_id, Request::SyncGroup(request)).await;
    call.reply(&answer.into_sync_group())
}

pub async fn heartbeat(call: Call) -> Answer {
    let request = call.request::<HeartbeatRequestView<'_>>()?.to_message();
    let group_id = request.group_id.clone();
    let answer = call.ask_group(&group_id, Request::Heartbeat(request)).await;
    call.reply(&answer.into_heartbeat())
}

pub async fn leave(call: Call) -> Answer {
    let mut request = call.request::<LeaveGroupRequestView<'_>>()?.to_message();
    if call.version < 3 {
        let member_id = std::mem::take(&mut request.member_id);
        request.members = vec![MemberIdentity { member_id, ..Default::default() }];
    }
    let group_id = request.group_id.clone();
    let answer = call.ask_group(&group_id, Request::LeaveGroup(request)).await;
    call.reply(&answer.into_leave_group(call.version))
}
