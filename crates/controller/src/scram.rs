//! AlterUserScramCredentials: what brokers know of users' passwords. Rules and words of Kafka's `ScramControlManager`. A
//! user is altered once in a request, or not at all.

use std::collections::BTreeMap;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use metadata::{Record, ScramCredential, ScramMechanism};
use protocol::ErrorCode;
use protocol::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use protocol::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use sha2::{Digest, Sha256, Sha512};

use crate::answer::ApiError;
use crate::machine::{Decision, Machine, RECORDS_PER_DECISION_MAX};

/// `ScramMechanism.minIterations`, of both mechanisms, and `ScramControlManager.MAX_ITERATIONS`.
const ITERATIONS_MIN: i32 = 4096;
const ITERATIONS_MAX: i32 = 16384;

pub fn alter_refused(request: &AlterUserScramCredentialsRequest, code: ErrorCode) -> AlterUserScramCredentialsResponse {
    let users = request.deletions.iter().map(|deletion| &deletion.name);
    let users = users.chain(request.upsertions.iter().map(|upsertion| &upsertion.name));
    answer(users.map(|user| (&**user, Err(code.into()))).collect())
}

/// What becomes of each user: a record, or an error.
type Outcomes<'r> = BTreeMap<&'r str, Result<Record, ApiError>>;

pub fn alter(
    machine: &Machine,
    request: &AlterUserScramCredentialsRequest,
) -> Decision<AlterUserScramCredentialsResponse> {
    let mut outcomes = Outcomes::new();
    for wanted in &request.deletions {
        add(&mut outcomes, &wanted.name, || delete(machine, wanted));
    }
    for wanted in &request.upsertions {
        add(&mut outcomes, &wanted.name, || upsert(wanted));
    }
    let records: Vec<Record> = outcomes.values().filter_map(|outcome| outcome.clone().ok()).collect();
    match records.len() > RECORDS_PER_DECISION_MAX {
        true => Decision::nothing(alter_refused(request, ErrorCode::PolicyViolation)),
        false => Decision { records, answer: answer(outcomes) },
    }
}

/// The first error of a user stays; who was right before is not any more.
fn add<'r>(outcomes: &mut Outcomes<'r>, user: &'r str, outcome: impl FnOnce() -> Result<Record, ApiError>) {
    let outcome = match outcomes.get(user) {
        None => outcome(),
        Some(Err(_)) => return,
        Some(Ok(_)) => {
            let text = "A user credential cannot be altered twice in the same request";
            Err(ApiError::new(ErrorCode::DuplicateResource, text))
        }
    };
    outcomes.insert(user, outcome);
}

fn answer(outcomes: Outcomes<'_>) -> AlterUserScramCredentialsResponse {
    let results = outcomes.into_iter().map(|(user, outcome)| {
        let error = outcome.err();
        AlterUserScramCredentialsResult {
            user: user.to_owned(),
            error_code: error.as_ref().map_or(ErrorCode::None, |error| error.code).code(),
            error_message: error.and_then(|error| error.message),
            ..Default::default()
        }
    });
    AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() }
}

fn mechanism(user: &str, code: i8) -> Result<ScramMechanism, ApiError> {
    if user.is_empty() {
        return Err(unacceptable("Username must not be empty"));
    }
    let unknown = || ApiError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    ScramMechanism::of(code).ok_or_else(unknown)
}

fn unacceptable(text: &str) -> ApiError {
    ApiError::new(ErrorCode::UnacceptableCredential, text)
}

fn delete(machine: &Machine, wanted: &ScramCredentialDeletion) -> Result<Record, ApiError> {
    let key = (wanted.name.clone(), mechanism(&wanted.name, wanted.mechanism)?);
    if machine.image.scram.find(&key).is_none() {
        let text = "Attempt to delete a user credential that does not exist";
        return Err(ApiError::new(ErrorCode::ResourceNotFound, text));
    }
    Ok(Record::ScramCredential { key, credential: None })
}

fn upsert(wanted: &ScramCredentialUpsertion) -> Result<Record, ApiError> {
    let mechanism = mechanism(&wanted.name, wanted.mechanism)?;
    match wanted.iterations {
        ..ITERATIONS_MIN => return Err(unacceptable("Too few iterations")),
        ITERATIONS_MIN..=ITERATIONS_MAX => {}
        _ => return Err(unacceptable("Too many iterations")),
    }
    if wanted.salted_password.is_empty() {
        return Err(ErrorCode::UnknownServerError.into()); // Java makes no key of nothing, and Kafka did not expect it.
    }
    let (stored_key, server_key) = match mechanism {
        ScramMechanism::Sha256 => {
            let of = |text| mac::<Hmac<Sha256>>(&wanted.salted_password, text);
            (Sha256::digest(of(CLIENT_KEY)).to_vec(), of(SERVER_KEY))
        }
        ScramMechanism::Sha512 => {
            let of = |text| mac::<Hmac<Sha512>>(&wanted.salted_password, text);
            (Sha512::digest(of(CLIENT_KEY)).to_vec(), of(SERVER_KEY))
        }
    };
    let credential = ScramCredential {
        salt: wanted.salt.clone(),
        stored_key: stored_key.into(),
        server_key: server_key.into(),
        iterations: wanted.iterations,
    };
    Ok(Record::ScramCredential { key: (wanted.name.clone(), mechanism), credential: Some(credential) })
}

// RFC 5802, section 3.
const CLIENT_KEY: &[u8] = b"Client Key";
const SERVER_KEY: &[u8] = b"Server Key";

fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    }

    /// RFC 7677, section 3: user `user`, password `pencil`, 4096 iterations. The salted password and both keys were computed
    /// with Python's `hashlib.pbkdf2_hmac` and `hmac`, and prove the signatures of the RFC.
    #[test]
    fn keys_are_those_of_the_rfc() {
        let wanted = ScramCredentialUpsertion {
            name: "user".into(),
            mechanism: 1,
            iterations: 4096,
            salt: bytes::Bytes::from_static(b"salt"),
            salted_password: hex("c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d").into(),
            ..Default::default()
        };
        let Ok(Record::ScramCredential { credential: Some(credential), .. }) = upsert(&wanted) else { panic!() };
        assert_eq!(credential.stored_key, hex("586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6"));
        assert_eq!(credential.server_key, hex("c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5"));
    }
}
