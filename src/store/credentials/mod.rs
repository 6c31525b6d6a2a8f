//! Credentials: the standard chain of AWS, resolved when the first request is signed.
//!
//! Apart because the official library does it all (environment, profiles, `credential_process`, SSO,
//! assumed roles, web identity, container and instance metadata; "Configuration and credential
//! precedence" in the AWS CLI user guide), and nothing else may know it. Never a prompt: whoever has to
//! log in is told how (`missing`).

mod asked;
mod client;
mod files;
mod lines;
mod login;
mod missing;
mod normal;
mod origin;
mod process;
mod profile;
mod said;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

use asked::Asked;
pub use asked::{OTHER_PROFILE, profile_of_environment};
pub use files::expanded;
use missing::Giver;
pub use missing::{NoCredentials, half_a_key};
use normal::to_library;
pub use origin::Origin;
use said::region_provider;
pub use said::{ProfileEndpoint, change_region, profile_ca_bundle, profile_endpoint, profile_region, profile_says};

use crate::store::access::Chosen;
use crate::store::ca_bundle::CaBundle;

/// Credentials that end within this time are asked for anew.
const SOON: Duration = Duration::from_secs(5 * 60);
/// Off AWS nobody answers at the address of the instance metadata: that must not hold up a commit.
const METADATA: Duration = Duration::from_secs(1);

/// A refusal is believed for this long.
const REFUSED: Duration = Duration::from_secs(10);
/// And this one while the process lives.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Credentials that are not taken so soon after they were asked for once more were over from the start.
const FRESH: Duration = Duration::from_secs(60);

/// Whoever is asked (a program of the user's, perhaps, that wants a code which nobody can type here) is waited for so
/// long, and not asked again by this process.
const PATIENCE: Duration = Duration::from_secs(60);

/// The chain, and what it gave last.
pub struct Chain {
    whom: Arc<Whom>,
    state: Arc<Mutex<State>>,
}

/// Whom to ask.
struct Whom {
    /// This one, or else the one that environment and files say.
    profile: Option<Chosen>,
    /// Where STS is asked, if neither environment nor profile name a region.
    region: String,
}

/// A question on its way. Requests that wait for it may be given up and tried again: it goes on, and is not asked twice.
type Asking = Shared<BoxFuture<'static, Result<Given, NoCredentials>>>;

/// Secrets are never printed.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("profile", &self.whom.profile).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// Whom to ask; empty until then.
    givers: Vec<(Giver, SharedCredentialsProvider)>,
    asking: Option<Asking>,
    given: Option<Given>,
    /// Until when it is believed that there are none, and why: many requests that wait for the same answer get it once.
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
    pub fn new(profile: Option<Chosen>, region: String) -> Self {
        Chain { whom: Arc::new(Whom { profile, region }), state: Arc::default() }
    }

    /// Whether somebody is being asked right now.
    pub fn is_asking(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.asking.is_some())
    }

    /// Ask. Beside the request that wants them, since that may have a deadline.
    fn ask(&self) -> Asking {
        let (whom, state) = (Arc::clone(&self.whom), Arc::clone(&self.state));
        let asked = tokio::spawn(async move { whom.ask_and_note(&state).await });
        let ended =
            async { asked.await.unwrap_or_else(|_| Err(NoCredentials::new("asking for them was broken off", []))) };
        ended.boxed().shared()
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

    /// Where what was given last came from.
    /// `None`: nothing was, or it is asked for right now.
    pub fn origin(&self) -> Option<Origin> {
        let state = self.state.try_lock().ok()?;
        let given = state.given.as_ref().or(state.over.as_ref())?;
        let asked = self.whom.asked();
        Some(Origin::new(&given.features, &asked, &given.credential.key_id, given.expires))
    }
}

impl Whom {
    /// Whom to ask, one after the other, as the library's own chain does ([`DefaultCredentialsChain`]); which does not tell
    /// who it was that failed. A profile that the user named is all that is asked, as with the AWS CLI's `--profile`.
    ///
    /// [`DefaultCredentialsChain`]: aws_config::default_provider::credentials::DefaultCredentialsChain
    async fn givers(&self) -> Result<Vec<(Giver, SharedCredentialsProvider)>, NoCredentials> {
        let config = ProviderConfig::without_region().with_region(self.region_of_sts().await);
        let config = client::trusting(config, CaBundle::named(self.profile.as_ref()).as_ref())?;
        let profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_files(files::in_memory());
        let profile = profile.profile_name(to_library(self.asked().name_there())).build();
        let profile = (Giver::Profile, SharedCredentialsProvider::new(profile));
        if self.profile.is_some() {
            return Ok(vec![profile]);
        }
        let metadata = imds::Client::builder().configure(&config).max_attempts(1);
        let metadata = metadata.connect_timeout(METADATA).read_timeout(METADATA).build();
        Ok(vec![
            (Giver::Environment, SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())),
            profile,
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
        ])
    }

    /// Environment, profile, or what was said. The library's own chain would ask the instance, too: off AWS that holds up
    /// whoever has keys in a file and no region beside them.
    async fn region_of_sts(&self) -> Option<Region> {
        let last = Region::new(self.region.clone());
        let first = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
        first.or_else(region_provider(&self.asked())).or_else(last).region().await
    }

    /// Ask, and note what came of it.
    async fn ask_and_note(&self, state: &Mutex<State>) -> Result<Given, NoCredentials> {
        let mut givers = std::mem::take(&mut state.lock().await.givers);
        let asked = async {
            if givers.is_empty() {
                givers = self.givers().await?;
            }
            self.ask(&givers).await
        };
        let (answer, believed) = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => (answer, REFUSED),
            Err(_) => (Err(NoCredentials::late(PATIENCE, &self.asked())), FOR_EVER),
        };
        let mut state = state.lock().await;
        state.givers = givers;
        state.asking = None;
        let why = match answer {
            Ok(fresh) => {
                state.refused = None;
                return Ok(state.given.insert(fresh).clone());
            }
            Err(why) => why,
        };
        state.refused = Some((Instant::now() + believed, why.clone()));
        // What is not over yet may still do.
        let given = state.given.clone().filter(|given| !given.is_over());
        given.inspect(|_| tracing::info!("credentials could not be refreshed yet: {why}")).ok_or(why)
    }

    fn asked(&self) -> Asked {
        Asked::new(self.profile.as_ref())
    }

    async fn ask(&self, givers: &[(Giver, SharedCredentialsProvider)]) -> Result<Given, NoCredentials> {
        let asked = self.asked();
        for (giver, provider) in givers {
            if let (Giver::Container, Some(why)) = (giver, missing::container_token()) {
                return Err(why);
            }
            if let (Giver::Profile, Err(unreadable)) = (giver, files::look()) {
                return Err(unreadable.into());
            }
            let given = match provider.provide_credentials().await {
                Ok(given) => given,
                // The next one may have some; of a profile that was named, there is no next one.
                Err(CredentialsError::CredentialsNotLoaded(_)) if self.profile.is_none() => continue,
                Err(e) => return Err(NoCredentials::from(*giver, &e, &asked)),
            };
            if let Some(wrong) = unusable(given.access_key_id(), given.secret_access_key(), given.session_token()) {
                return Err(NoCredentials::unusable(*giver, wrong, &asked));
            }
            let credential = AwsCredential {
                key_id: given.access_key_id().to_owned(),
                secret_key: given.secret_access_key().to_owned(),
                token: given.session_token().map(str::to_owned),
            };
            let features = given.get_property::<Vec<AwsCredentialFeature>>().cloned().unwrap_or_default();
            return Ok(Given::new(credential, features, given.expiry()));
        }
        Err(NoCredentials::anywhere(&asked))
    }
}

/// What no request can carry: its name, as a variable, and what is wrong with it. A quote at an end is one that somebody
/// meant for his shell: who reads these files, or hands on a file of variables, takes it for a part of the key.
pub fn unusable(key_id: &str, secret: &str, token: Option<&str>) -> Option<(&'static str, &'static str)> {
    let ends = |value: &str, with: fn(char) -> bool| value.starts_with(with) || value.ends_with(with);
    let wrong = |value: &str, is_sent: bool| {
        if value.is_empty() {
            Some("empty")
        } else if ends(value, char::is_whitespace) {
            Some("with a blank or a line break at an end")
        } else if ends(value, |c| matches!(c, '"' | '\'')) {
            Some("with a quote at an end")
        } else if is_sent && http::HeaderValue::from_str(value).is_err() {
            Some("with what no request can carry")
        } else {
            None
        }
    };
    // The secret is not sent, and may have any character.
    let each = [
        ("AWS_ACCESS_KEY_ID", Some(key_id), true),
        ("AWS_SECRET_ACCESS_KEY", Some(secret), false),
        ("AWS_SESSION_TOKEN", token.filter(|token| !token.is_empty()), true),
    ];
    each.into_iter().find_map(|(name, value, is_sent)| Some((name, wrong(value?, is_sent)?)))
}

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let asking = {
            let mut state = self.state.lock().await;
            if let Some(given) = state.given.as_ref().filter(|given| given.is_good()) {
                return Ok(Arc::clone(&given.credential));
            }
            if let Some((_, why)) = state.refused.as_ref().filter(|(until, _)| Instant::now() < *until) {
                return match state.given.as_ref().filter(|given| !given.is_over()) {
                    Some(given) => Ok(Arc::clone(&given.credential)),
                    None => Err(why.clone().into()),
                };
            }
            state.asking.get_or_insert_with(|| self.ask()).clone()
        };
        Ok(asking.await?.credential)
    }
}

impl From<NoCredentials> for object_store::Error {
    fn from(why: NoCredentials) -> Self {
        object_store::Error::Generic { store: "S3", source: Box::new(why) }
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
