//! What can go wrong with credentials.

use raincoat_seal::{Environment, KeysError, SealError, StoreError};

/// Why a credential could not be kept or had. It never says anything of the secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is none of this name.
    #[error("there is no credential `{name}` for {environment}: add it with `raincoat key add {name}`")]
    Missing {
        /// Where it was looked for.
        environment: Environment,
        /// The name.
        name: String,
    },
    /// There is no such version.
    #[error("the credential `{name}` has no version {version}: list its versions with `raincoat key list`")]
    NoVersion {
        /// The name.
        name: String,
        /// The version.
        version: u32,
    },
    /// The version has been revoked, and its secret is gone.
    #[error("version {version} of the credential `{name}` is revoked: add a new one with `raincoat key add {name}`")]
    Revoked {
        /// The name.
        name: String,
        /// The version.
        version: u32,
    },
    /// The credential does not open: changed, or moved here from elsewhere.
    #[error(
        "the credential `{name}` does not open: it was changed by someone without the keys; add it again with `raincoat key add {name}`"
    )]
    Tampered {
        /// The name.
        name: String,
    },
    /// A name that cannot be.
    #[error("`{0}` is no name for a credential: use 1 to 128 letters, digits and `-_./:@`")]
    Name(String),
    /// A host that cannot be.
    #[error("`{0}` is no host: give a name such as `api.example.com`, an address, or `*.example.com`")]
    Host(String),
    /// A provider that cannot be.
    #[error("`{0}` is no name for a provider: use 1 to 128 letters, digits and `-_./:@`")]
    Provider(String),
    /// Too many hosts.
    #[error("a credential goes to at most {} hosts: name fewer, or use `*.`", crate::MAX_HOSTS)]
    TooManyHosts,
    /// A secret with nothing in it, over 64 KiB, or with a NUL byte.
    #[error("a secret has between 1 byte and 64 KiB and no NUL: check what was given")]
    Secret,
    /// No more versions fit.
    #[error("the credential `{0}` has {max} versions: remove it and add it anew", max = crate::MAX_VERSIONS)]
    TooManyVersions(String),
    /// The store's error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys' error; [`KeysError::FreshUnlock`] for production on a cached unlock.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Random bytes were not to be had.
    #[error(transparent)]
    Seal(#[from] SealError),
}
