//! Credentials: the standard chain of AWS, resolved when the first request is signed.
//!
//! Apart because the official library does it all (environment, profiles, `credential_process`, SSO,
//! assumed roles, web identity, container and instance metadata; "Configuration and credential
//! precedence" in the AWS CLI user guide), and nothing else may know it. Never a prompt: whoever has to
//! log in is told how (`missing`).

mod asked;
mod client;
mod files;
mod login;
mod missing;
mod origin;
mod profile;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::region::{ProvideRegion, RegionProviderChain};
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

use asked::Asked;
use missing::Giver;
pub use missing::{NoCredentials, half_a_key};
pub use origin::Origin;

/// Credentials that end within this time are asked for anew.
const SOON: Duration = Duration::from_secs(5 * 60);
/// Off AWS nobody answers at the address of the instance metadata: that must not hold up a commit.
const METADATA: Duration = Duration::from_secs(1);

/// A refusal is believed for this long.
const REFUSED: Duration = Duration::from_secs(10);
/// Credentials that are not taken so soon after they were asked for once more were over from the start.
const FRESH: Duration = Duration::from_secs(60);

/// The chain, and what it gave last.
pub struct Chain {
    profile: Option<String>,
    /// Where STS is asked, if neither environment nor profile name a region.
    region: String,
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
    /// Whom to ask; empty until then.
    givers: Vec<(Giver, SharedCredentialsProvider)>,
    given: Option<Given>,
    /// When there were none, and why: many requests that wait for the same answer get it once.
    refused: Option<(Instant, NoCredentials)>,
    /// What the service did not take last.
    rejected: Option<String>,
    /// The same, for whoever asks where that came from.
    over: Option<Given>,
}

#[derive(Clone)]
struct Given {
    credential: Arc<AwsCredential>,
    since: Instant,
    /// Who gave it, in the library's words.
    features: Vec<AwsCredentialFeature>,
    expires: Option<SystemTime>,
    /// How long before that new ones are asked for: of short-lived ones, the last quarter of their life.
    margin: Duration,
}

impl Given {
    fn new(credential: AwsCredential, features: Vec<AwsCredentialFeature>, expires: Option<SystemTime>) -> Self {
        let life = expires.and_then(|at| at.duration_since(SystemTime::now()).ok()).unwrap_or_default();
        Given { credential: Arc::new(credential), since: Instant::now(), features, expires, margin: SOON.min(life / 4) }
    }

    fn is_good(&self) -> bool {
        self.expires.is_none_or(|at| at > SystemTime::now() + self.margin)
    }

    fn is_over(&self) -> bool {
        self.expires.is_some_and(|at| at <= SystemTime::now())
    }
}

impl Chain {
    /// For this profile, or the one that environment and files say. `region`: where STS is asked for a role, if
    /// neither of them names one.
    pub fn new(profile: Option<String>, region: String) -> Self {
        Chain { profile, region, state: Mutex::default() }
    }

    /// Whom to ask, one after the other, as the library's own chain does ([`DefaultCredentialsChain`]); which does not tell
    /// who it was that failed. A profile that the user named is all that is asked, as with the AWS CLI's `--profile`.
    ///
    /// [`DefaultCredentialsChain`]: aws_config::default_provider::credentials::DefaultCredentialsChain
    async fn givers(&self) -> Vec<(Giver, SharedCredentialsProvider)> {
        let config = ProviderConfig::without_region().with_region(self.region_of_sts().await);
        let config = client::trust_ca_bundle(config);
        let profile = ProfileFileCredentialsProvider::builder().configure(&config);
        if let Some(name) = &self.profile {
            return vec![(Giver::Profile, SharedCredentialsProvider::new(profile.profile_name(name).build()))];
        }
        let metadata = imds::Client::builder().configure(&config).max_attempts(1);
        let metadata = metadata.connect_timeout(METADATA).read_timeout(METADATA).build();
        vec![
            (Giver::Environment, SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())),
            (Giver::Profile, SharedCredentialsProvider::new(profile.build())),
            (
                Giver::WebIdentity,
                SharedCredentialsProvider::new(
                    WebIdentityTokenCredentialsProvider::builder().configure(&config).build(),
                ),
            ),
            (
                Giver::Container,
                SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&config).build()),
            ),
            (
                Giver::Instance,
                SharedCredentialsProvider::new(
                    ImdsCredentialsProvider::builder().configure(&config).imds_client(metadata).build(),
                ),
            ),
        ]
    }

    /// Environment, profile, or what was said. The library's own chain would ask the instance, too: off AWS that holds up
    /// whoever has keys in a file and no region beside them.
    async fn region_of_sts(&self) -> Option<Region> {
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(profile.build())
            .or_else(Region::new(self.region.clone()))
            .region()
            .await
    }

    /// The service says that the credential which names itself so (by its session token, else its key id)
    /// is over, whatever its expiry was said to be. Whether another one can be expected.
    pub async fn reject(&self, name: &str) -> bool {
        let mut state = self.state.lock().await;
        let named = |given: &Given| given.credential.token.as_ref().unwrap_or(&given.credential.key_id) == name;
        let Some(given) = state.given.take_if(|given| named(given)) else {
            // Another request was faster.
            return true;
        };
        state.over = Some(given.clone());
        let before = state.rejected.replace(name.to_owned());
        // Whoever hands out what is over will do so again.
        before.is_none() || given.since.elapsed() > FRESH && before.as_deref() != Some(name)
    }

    async fn ask(&self, givers: &[(Giver, SharedCredentialsProvider)]) -> Result<Given, NoCredentials> {
        let asked = Asked::new(self.profile.as_deref());
        for (giver, provider) in givers {
            if let (Giver::Container, Some(why)) = (giver, missing::container_token()) {
                return Err(why);
            }
            let given = match provider.provide_credentials().await {
                Ok(given) => given,
                // The next one may have some; of a profile that was named, there is no next one.
                Err(CredentialsError::CredentialsNotLoaded(_)) if self.profile.is_none() => continue,
                Err(e) => return Err(NoCredentials::from(*giver, &e, &asked).await),
            };
            if let Some(what) = unusable(given.access_key_id(), given.secret_access_key(), given.session_token()) {
                return Err(NoCredentials::unusable(*giver, what));
            }
            let credential = AwsCredential {
                key_id: given.access_key_id().to_owned(),
                secret_key: given.secret_access_key().to_owned(),
                token: given.session_token().map(str::to_owned),
            };
            let features = given.get_property::<Vec<AwsCredentialFeature>>().cloned().unwrap_or_default();
            return Ok(Given::new(credential, features, given.expiry()));
        }
        Err(NoCredentials::anywhere(&asked).await)
    }

    /// Where what was given last came from.
    /// `None`: nothing was, or it is asked for right now.
    pub fn origin(&self) -> Option<Origin> {
        let state = self.state.try_lock().ok()?;
        let given = state.given.as_ref().or(state.over.as_ref())?;
        let asked = Asked::new(self.profile.as_deref());
        Some(Origin::new(&given.features, &asked, &given.credential.key_id, given.expires))
    }
}

/// The name of what no request can carry, as a variable.
pub fn unusable(key_id: &str, secret: &str, token: Option<&str>) -> Option<&'static str> {
    let is_clean = |value: &str| value.trim() == value && http::HeaderValue::from_str(value).is_ok();
    if !is_clean(key_id) {
        return Some("AWS_ACCESS_KEY_ID");
    }
    // The secret is not sent, and may have any character.
    if secret.trim() != secret {
        return Some("AWS_SECRET_ACCESS_KEY");
    }
    token.is_some_and(|token| !is_clean(token)).then_some("AWS_SESSION_TOKEN")
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
        if state.givers.is_empty() {
            state.givers = self.givers().await;
        }
        match (self.ask(&state.givers).await, state.given.clone()) {
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
