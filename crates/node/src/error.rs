use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the node cannot start. The text is one line that names the thing and the mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Somebody else listens there already.
    #[error("address {address} is in use: stop the program that listens there or choose another port")]
    AddressInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({cause}): choose an address of this machine and a port you may use")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system says.
        cause: io::Error,
    },
    /// Without authentication only this machine may reach the node.
    #[error(
        "refusing to listen on {address} without authentication: add a user first, or listen on 127.0.0.1"
    )]
    Unprotected {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// A user whose name or password will not do.
    #[error("user '{name}' will not do: {rule}")]
    BadUser {
        /// The name given.
        name: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The file of users cannot be used.
    #[error("cannot use the users file {}: {cause}", path.display())]
    Users {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        cause: String,
    },
    /// The certificate for TLS, or its key, cannot be used.
    #[error("cannot use {} for TLS: {cause}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        cause: String,
    },
    /// The version to present is none.
    #[error("version '{version}' is not of the form 9.1.0 with a major version of 8 or 9")]
    BadVersion {
        /// The text given.
        version: String,
    },
    /// The file with the key for secrets cannot be read or made.
    #[error("cannot use the key file {}: {cause}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        cause: String,
    },
    /// The store does not answer.
    #[error("cannot read the node's own data from the store: {0}")]
    Store(String),
}
