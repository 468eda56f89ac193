//! DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554): which users have a password. Rules of Kafka's
//! `ScramImage`; what is altered goes to the controller. Nobody is let in by them yet.
use std::collections::BTreeMap;

use metadata::Image;
use protocol::alter_user_scram_credentials_request::AlterUserScramCredentialsRequestView;
use protocol::describe_user_scram_credentials_request::DescribeUserScramCredentialsRequestView;
use protocol::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResponse, DescribeUserScramCredentialsResult,
};
use protocol::{ErrorCode, View};

use super::{Answer, Call};

pub async fn describe(call: Call) -> Answer {
    let request: DescribeUserScramCredentialsRequestView<'_> = call.request()?;
    let credentials = by_user(&call.broker.image());
    let named = request.users.filter(|users| !users.is_empty());
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    match &named {
        Some(users) => users.iter().for_each(|user| *times.entry(user.name).or_default() += 1),
        None => times.extend(credentials.keys().map(|user| (&**user, 1))),
    }
    let results = times.into_iter().map(|(user, times)| match (times, credentials.get(user)) {
        (1, Some(infos)) => DescribeUserScramCredentialsResult {
            user: user.to_owned(),
            error_message: Some(String::new()),
            credential_infos: infos.clone(),
            ..Default::default()
        },
        (1, None) => {
            let text = format!("Attempt to describe a user credential that does not exist: {user}");
            refused(user, ErrorCode::ResourceNotFound, text)
        }
        _ => {
            let text = format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
            refused(user, ErrorCode::DuplicateResource, text)
        }
    });
    call.reply(&DescribeUserScramCredentialsResponse {
        error_message: Some(String::new()),
        results: results.collect(),
        ..Default::default()
    })
}

fn by_user(image: &Image) -> BTreeMap<String, Vec<CredentialInfo>> {
    let mut users: BTreeMap<String, Vec<CredentialInfo>> = BTreeMap::new();
    for ((user, mechanism), credential) in image.scram.iter() {
        users.entry(user.clone()).or_default().push(CredentialInfo {
            mechanism: mechanism.code(),
            iterations: credential.iterations,
            ..Default::default()
        });
    }
    users
}

fn refused(user: &str, error: ErrorCode, text: String) -> DescribeUserScramCredentialsResult {
    DescribeUserScramCredentialsResult {
        user: user.to_owned(),
        error_code: error.code(),
        error_message: Some(text),
        ..Default::default()
    }
}

pub async fn alter(call: Call) -> Answer {
    let request = call.request::<AlterUserScramCredentialsRequestView<'_>>()?.to_message();
    call.reply(&call.broker.controller.alter_user_scram_credentials(request).await)
}
