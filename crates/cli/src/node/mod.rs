//! `tributary node`: users and API keys of the embedded node.

mod key;
mod user;

use crate::args::NodeCommand;
use crate::error::Result;

pub(crate) async fn run(command: NodeCommand) -> Result<()> {
    match command {
        NodeCommand::User(command) => user::run(command),
        NodeCommand::Key(command) => key::run(command).await,
    }
}
