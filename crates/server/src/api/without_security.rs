//! What this broker is asked about authorizers, SASL and delegation tokens, of which it has none: Kafka's answers of a
//! broker without `authorizer.class.name`, on a plain listener. They come with a later release.
use protocol::ErrorCode;
use protocol::create_acls_request::CreateAclsRequestView;
use protocol::create_acls_response::{AclCreationResult, CreateAclsResponse};
use protocol::create_delegation_token_request::CreateDelegationTokenRequestView;
use protocol::create_delegation_token_response::CreateDelegationTokenResponse;
use protocol::delete_acls_request::DeleteAclsRequestView;
use protocol::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsResponse};
use protocol::describe_acls_request::DescribeAclsRequestView;
use protocol::describe_acls_response::DescribeAclsResponse;
use protocol::describe_delegation_token_request::DescribeDelegationTokenRequestView;
use protocol::describe_delegation_token_response::DescribeDelegationTokenResponse;
use protocol::expire_delegation_token_request::ExpireDelegationTokenRequestView;
use protocol::expire_delegation_token_response::ExpireDelegationTokenResponse;
use protocol::renew_delegation_token_request::RenewDelegationTokenRequestView;
use protocol::renew_delegation_token_response::RenewDelegationTokenResponse;
use protocol::sasl_authenticate_request::SaslAuthenticateRequestView;
use protocol::sasl_authenticate_response::SaslAuthenticateResponse;
use protocol::sasl_handshake_request::SaslHandshakeRequestView;
use protocol::sasl_handshake_response::SaslHandshakeResponse;

use super::{Answer, Call, Close};
use crate::quotas::ANONYMOUS;

/// Of every kind of code in an ACL: what the client could not name. Kafka does not read such a request.
const UNKNOWN: i8 = 0;
const NO_AUTHORIZER: &str = "No Authorizer is configured.";
const USER: &str = "User";

pub async fn describe_acls(call: Call) -> Answer {
    let request: DescribeAclsRequestView<'_> = call.request()?;
    known([request.resource_type_filter, request.pattern_type_filter, request.operation, request.permission_type])?;
    call.reply(&DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".to_owned()),
        ..Default::default()
    })
}

pub async fn create_acls(call: Call) -> Answer {
    let request: CreateAclsRequestView<'_> = call.request()?;
    for acl in request.creations.iter() {
        known([acl.resource_type, acl.resource_pattern_type, acl.operation, acl.permission_type])?;
    }
    let refused = AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER.to_owned()),
        ..Default::default()
    };
    let results = vec![refused; request.creations.len()];
    call.reply(&CreateAclsResponse { results, ..Default::default() })
}

pub async fn delete_acls(call: Call) -> Answer {
    let request: DeleteAclsRequestView<'_> = call.request()?;
    for filter in request.filters.iter() {
        known([filter.resource_type_filter, filter.pattern_type_filter, filter.operation, filter.permission_type])?;
    }
    let refused = DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(NO_AUTHORIZER.to_owned()),
        ..Default::default()
    };
    let filter_results = vec![refused; request.filters.len()];
    call.reply(&DeleteAclsResponse { filter_results, ..Default::default() })
}

fn known(codes: [i8; 4]) -> Result<(), Close> {
    match codes.contains(&UNKNOWN) {
        true => Err(Close("an ACL has an element that is unknown".to_owned())),
        false => Ok(()),
    }
}

pub async fn sasl_handshake(call: Call) -> Answer {
    let _: SaslHandshakeRequestView<'_> = call.request()?;
    let error_code = ErrorCode::IllegalSaslState.code();
    call.reply(&SaslHandshakeResponse { error_code, ..Default::default() })
}

pub async fn sasl_authenticate(call: Call) -> Answer {
    let _: SaslAuthenticateRequestView<'_> = call.request()?;
    call.reply(&SaslAuthenticateResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        error_message: Some("SaslAuthenticate request received after successful authentication".to_owned()),
        ..Default::default()
    })
}

/// Tokens are for those who have proven who they are: nobody on a plain listener.
const TOKEN_REFUSED: ErrorCode = ErrorCode::DelegationTokenRequestNotAllowed;

pub async fn create_delegation_token(call: Call) -> Answer {
    let request: CreateDelegationTokenRequestView<'_> = call.request()?;
    let or_anonymous = |given: Option<&str>, anonymous: &str| match given {
        Some(given) if !given.is_empty() => given.to_owned(),
        _ => anonymous.to_owned(),
    };
    let mut response = CreateDelegationTokenResponse {
        error_code: TOKEN_REFUSED.code(),
        principal_type: or_anonymous(request.owner_principal_type, USER),
        principal_name: or_anonymous(request.owner_principal_name, ANONYMOUS),
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..Default::default()
    };
    if call.version >= 3 {
        response.token_requester_principal_type = USER.to_owned();
        response.token_requester_principal_name = ANONYMOUS.to_owned();
    }
    call.reply(&response)
}

pub async fn renew_delegation_token(call: Call) -> Answer {
    let _: RenewDelegationTokenRequestView<'_> = call.request()?;
    let error_code = TOKEN_REFUSED.code();
    call.reply(&RenewDelegationTokenResponse { error_code, expiry_timestamp_ms: -1, ..Default::default() })
}

pub async fn expire_delegation_token(call: Call) -> Answer {
    let _: ExpireDelegationTokenRequestView<'_> = call.request()?;
    let error_code = TOKEN_REFUSED.code();
    call.reply(&ExpireDelegationTokenResponse { error_code, expiry_timestamp_ms: -1, ..Default::default() })
}

pub async fn describe_delegation_token(call: Call) -> Answer {
    let _: DescribeDelegationTokenRequestView<'_> = call.request()?;
    call.reply(&DescribeDelegationTokenResponse { error_code: TOKEN_REFUSED.code(), ..Default::default() })
}
