//! `ottla group delete`: groups that nobody is in, with their committed offsets.
use clap::Args;
use env::Env;
use protocol::ErrorCode;
use protocol::delete_groups_request::DeleteGroupsRequest;
use protocol::delete_groups_response::DeleteGroupsResponse;

use crate::connect::Connect;
use crate::console::Console;
use crate::failure::{Failure, Failures};

#[derive(Args, Debug)]
pub struct Delete {
    /// Which groups to delete
    #[arg(required = true, add = crate::completions::groups())]
    groups: Vec<String>,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// A group that is not there is no error
    #[arg(long)]
    if_exists: bool,

    #[command(flatten)]
    connect: Connect,
}

impl Delete {
    pub async fn run(self, env: Env, console: &mut Console) -> Result<(), Failure> {
        let session = self.connect.session(&env, console)?;
        let question = format!("delete {} and all committed offsets?", self.groups.join(", "));
        console.confirm(&env, self.yes, &question, "nothing was deleted").await?;
        let mut failures = Failures::default();
        for group in &self.groups {
            // Each has a coordinator of its own.
            let request = DeleteGroupsRequest { groups_names: vec![group.clone()], ..Default::default() };
            let error_of =
                |response: &DeleteGroupsResponse| response.results.first().map_or(-1, |result| result.error_code);
            let response = session.ask_coordinator(group, &request, 0..=3, error_of).await?;
            let code = error_of(&response);
            match ErrorCode::from_code(code) {
                Some(ErrorCode::None) => console.say(&format!("deleted {group}")),
                Some(ErrorCode::GroupIdNotFound) if self.if_exists => console.say(&format!("{group} is not there")),
                Some(ErrorCode::NonEmptyGroup) => {
                    let failure = Failure::of_code(group, code, None);
                    failures.add(failure.remedy(super::who_is_in(&session, group).await?));
                }
                _ => {
                    let message = response.results.first().and_then(|result| result.error_message.as_deref());
                    failures.add(Failure::of_code(group, code, message));
                }
            }
        }
        console.end(failures)
    }
}
