//! Credentials: the standard chain of AWS, resolved when the first request is signed.
//!
//! Apart because the official library does it all (environment, profiles, `credential_process`, SSO,
//! assumed roles, web identity, container and instance metadata; "Configuration and credential
//! precedence" in the AWS CLI user guide), and nothing else may know it. Never a prompt: whoever has to
//! log in is told how.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// Credentials that end within this time are asked for anew.
const SOON: Duration = Duration::from_secs(5 * 60);
/// Off AWS nobody answers at the address of the instance metadata: that must not hold up a commit.
const METADATA: Duration = Duration::from_secs(1);

/// A refusal is believed for this long.
const REFUSED: Duration = Duration::from_secs(10);

/// No credentials could be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoCredentials(String);

/// Where credentials came from: nothing in it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// In words.
    pub from: String,
    /// The last characters of the access key's id, as `aws configure list` shows them.
    pub key: String,
    /// When they end, if they do.
    pub expires: Option<SystemTime>,
}

impl Origin {
    /// The environment's keys, for which no chain is asked.
    pub(super) fn of_environment() -> Self {
        let id = std::env::var("AWS_ACCESS_KEY_ID").unwrap_or_default();
        Origin { from: "the environment".to_owned(), key: shown(&id), expires: None }
    }
}

fn shown(key_id: &str) -> String {
    let last: Vec<char> = key_id.chars().rev().take(4).collect();
    format!("...{}", last.into_iter().rev().collect::<String>())
}

/// The library's word for who gave credentials, in ours.
fn whence(feature: &AwsCredentialFeature) -> Option<&'static str> {
    Some(match feature {
        AwsCredentialFeature::CredentialsEnvVars => "the environment",
        AwsCredentialFeature::CredentialsProfile => "~/.aws",
        AwsCredentialFeature::CredentialsProcess => "credential_process",
        AwsCredentialFeature::CredentialsSso => "SSO",
        AwsCredentialFeature::CredentialsStsAssumeRole => "an assumed role",
        AwsCredentialFeature::CredentialsEnvVarsStsWebIdToken
        | AwsCredentialFeature::CredentialsProfileStsWebIdToken
        | AwsCredentialFeature::CredentialsStsAssumeRoleWebId => "web identity",
        AwsCredentialFeature::CredentialsHttp => "the container",
        AwsCredentialFeature::CredentialsImds => "the instance",
        AwsCredentialFeature::CredentialsProfileLogin | AwsCredentialFeature::CredentialsLogin => "aws login",
        _ => return None,
    })
}

/// The chain, and what it gave last.
pub struct Chain {
    profile: Option<String>,
    /// One refresh at a time.
    state: Mutex<State>,
}

/// Secrets are never printed.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("profile", &self.profile).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    chain: Option<SharedCredentialsProvider>,
    given: Option<Given>,
    /// When there were none, and why: many requests that wait for the same answer get it once.
    refused: Option<(Instant, NoCredentials)>,
    /// What the service did not take last.
    rejected: Option<String>,
}

#[derive(Clone)]
struct Given {
    credential: Arc<AwsCredential>,
    /// Who gave it, in the library's words.
    features: Vec<AwsCredentialFeature>,
    expires: Option<SystemTime>,
    /// How long before that new ones are asked for: of short-lived ones, the last quarter of their life.
    margin: Duration,
}

impl Given {
    fn new(credential: AwsCredential, features: Vec<AwsCredentialFeature>, expires: Option<SystemTime>) -> Self {
        let life = expires.and_then(|at| at.duration_since(SystemTime::now()).ok()).unwrap_or_default();
        Given { credential: Arc::new(credential), features, expires, margin: SOON.min(life / 4) }
    }

    fn is_good(&self) -> bool {
        self.expires.is_none_or(|at| at > SystemTime::now() + self.margin)
    }

    fn is_over(&self) -> bool {
        self.expires.is_some_and(|at| at <= SystemTime::now())
    }
}

impl Chain {
    /// For this profile, or the one that environment and files say.
    pub fn new(profile: Option<String>) -> Self {
        Chain { profile, state: Mutex::default() }
    }

    /// A profile that the user named is all that is asked, as with the AWS CLI's `--profile`.
    async fn chain(&self) -> SharedCredentialsProvider {
        if let Some(profile) = &self.profile {
            let named = ProfileFileCredentialsProvider::builder().profile_name(profile);
            return SharedCredentialsProvider::new(named.build());
        }
        let metadata = imds::Client::builder().max_attempts(1).connect_timeout(METADATA).read_timeout(METADATA);
        let chain = DefaultCredentialsChain::builder().imds_client(metadata.build());
        SharedCredentialsProvider::new(chain.build().await)
    }

    /// The service says that the credential which names itself so (by its session token, else its key id)
    /// is over, whatever its expiry was said to be. Whether another one can be expected.
    pub async fn reject(&self, name: &str) -> bool {
        let mut state = self.state.lock().await;
        let is_current = state
            .given
            .as_ref()
            .is_some_and(|given| given.credential.token.as_ref().unwrap_or(&given.credential.key_id) == name);
        if !is_current {
            // Another request was faster.
            return true;
        }
        state.given = None;
        state.rejected.replace(name.to_owned()).as_deref() != Some(name)
    }

    async fn ask(&self, chain: &SharedCredentialsProvider) -> Result<Given, NoCredentials> {
        let given = chain.provide_credentials().await.map_err(|e| NoCredentials(self.explain(&e)))?;
        let credential = AwsCredential {
            key_id: given.access_key_id().to_owned(),
            secret_key: given.secret_access_key().to_owned(),
            token: given.session_token().map(str::to_owned),
        };
        let features = given.get_property::<Vec<AwsCredentialFeature>>().cloned().unwrap_or_default();
        Ok(Given::new(credential, features, given.expiry()))
    }

    /// Where what was given last came from.
    pub async fn origin(&self) -> Option<Origin> {
        let state = self.state.lock().await;
        let given = state.given.as_ref()?;
        let mut from: Vec<String> = given.features.iter().filter_map(whence).map(str::to_owned).collect();
        if let Some(profile) = self.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok()) {
            from.push(format!("profile {profile}"));
        }
        if from.is_empty() {
            from.push("the chain of AWS".to_owned());
        }
        Some(Origin { from: from.join(", "), key: shown(&given.credential.key_id), expires: given.expires })
    }

    /// What went wrong and, where it is known, how to mend it.
    fn explain(&self, error: &CredentialsError) -> String {
        if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            return "there are none, neither in the environment nor in ~/.aws".to_owned();
        }
        let text = crate::error::chain(error);
        let named = self.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok());
        let profile = named.map(|name| format!(" --profile {name}")).unwrap_or_default();
        if text.to_lowercase().contains("sso") {
            return format!("{text}; log in with: aws sso login{profile}");
        }
        text
    }
}

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut state = self.state.lock().await;
        if let Some(given) = state.given.as_ref().filter(|given| given.is_good()) {
            return Ok(Arc::clone(&given.credential));
        }
        if let Some((_, why)) = state.refused.as_ref().filter(|(at, _)| at.elapsed() < REFUSED) {
            return Err(why.clone().into());
        }
        if state.chain.is_none() {
            state.chain = Some(self.chain().await);
        }
        let chain = state.chain.as_ref().expect("it was made just now");
        match (self.ask(chain).await, state.given.clone()) {
            (Ok(fresh), _) => {
                state.refused = None;
                Ok(Arc::clone(&state.given.insert(fresh).credential))
            }
            // What is not over yet may still do.
            (Err(why), Some(given)) if !given.is_over() => {
                tracing::info!("credentials could not be refreshed yet: {why}");
                Ok(given.credential)
            }
            (Err(why), _) => {
                state.refused = Some((Instant::now(), why.clone()));
                Err(why.into())
            }
        }
    }
}

impl From<NoCredentials> for object_store::Error {
    fn from(why: NoCredentials) -> Self {
        object_store::Error::Generic { store: "S3", source: Box::new(why) }
    }
}

/// The region that the profile names. Files that can't be read name none; asking for credentials tells why.
pub fn profile_region(profile: Option<&str>) -> Option<String> {
    let mut named = ProfileFileRegionProvider::builder();
    if let Some(profile) = profile {
        named = named.profile_name(profile);
    }
    let named = named.build();
    wait_for(async move { named.region().await.map(|region| region.to_string()) })
}

/// The endpoint that the profile names.
pub fn profile_endpoint(profile: Option<&str>) -> Option<String> {
    // A region of our own: the library would ask the instance for one, and off AWS nobody answers there.
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::from_static("none"));
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    let loader = loader.no_credentials();
    wait_for(async move { loader.load().await.endpoint_url().map(str::to_owned) })
}

/// On a thread of its own: whoever asks may be within the engine's runtime, where nothing may block.
fn wait_for<T: Send>(answer: impl Future<Output = Option<T>> + Send) -> Option<T> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answered =
        std::thread::scope(|scope| scope.spawn(move || runtime().map(|runtime| runtime.block_on(answer))).join());
    match answered {
        Ok(Ok(answer)) => answer,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(life: Duration) -> Given {
        let credential = AwsCredential { key_id: "id".into(), secret_key: "secret".into(), token: None };
        Given::new(credential, Vec::new(), Some(SystemTime::now() + life))
    }

    #[test]
    fn credentials_are_renewed_before_they_end_and_not_at_each_request() {
        assert!(given(Duration::from_secs(3600)).is_good());
        assert!(given(Duration::from_secs(60)).is_good(), "short-lived ones are used, too");
        let mut late = given(Duration::from_secs(3600));
        late.expires = Some(SystemTime::now() + Duration::from_secs(200));
        assert!(!late.is_good() && !late.is_over(), "in their last minutes new ones are asked for");
        assert!(given(Duration::ZERO).is_over());
    }
}
