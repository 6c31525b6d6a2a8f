//! What a profile says beside credentials: its region, its endpoint, which hosts of AWS are asked.
//!
//! Apart from the chain because it is asked before anything is signed, and needs nobody's answer.

use std::sync::Once;

use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region};
use aws_types::service_config::ServiceConfigKey;

use super::asked::{Asked, option};
use super::files::{self, Files, Unreadable};
use super::lines::line_of_services;
use super::missing::NoCredentials;
use super::normal::{from_library, to_library};
use crate::shell_word::edit;
use crate::store::access::Chosen;

/// Who tells the region of a profile.
pub fn region_provider(asked: &Asked) -> ProfileFileRegionProvider {
    let named = ProfileFileRegionProvider::builder().profile_files(files::in_memory());
    named.profile_name(to_library(asked.name_there())).build()
}

/// The files, where no more than a region or a host is wanted of them: the credentials may come from elsewhere, and what
/// can't be read is said, and passed over.
fn if_readable() -> Option<Files> {
    static SAID: Once = Once::new();
    Files::read()
        .inspect_err(|Unreadable { file, line, why, .. }| {
            let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            let file = file.display();
            SAID.call_once(|| tracing::warn!("{file}{line} {why}: what it says of regions and hosts is passed over"));
        })
        .ok()
}

/// The region that the profile names.
pub fn profile_region(profile: Option<&Chosen>) -> Option<String> {
    if_readable()?;
    let named = region_provider(&Asked::new(profile));
    let region = wait_for(async move { named.region().await.map(|region| region.to_string()) })?;
    // What is indented below it was meant for another key.
    region.lines().next().map(str::to_owned)
}

/// Whether the profile says yes to a setting of this name.
pub fn profile_says(profile: Option<&Chosen>, setting: &str) -> Option<bool> {
    let files = if_readable()?;
    let value = files.get(Asked::new(profile).name_there())?.get(setting)?;
    Some(value.eq_ignore_ascii_case("true"))
}

/// The file of certificates that the profile names: its path, where it is named, and the command that changes it.
pub fn profile_ca_bundle(profile: Option<&Chosen>) -> Option<(String, String, String)> {
    let asked = Asked::new(profile);
    let name = asked.name_there();
    let path = if_readable()?.get(name)?.get("ca_bundle")?.lines().next()?.to_owned();
    let change = format!("aws configure set ca_bundle <file.pem>{}", asked.option());
    (!path.is_empty()).then(|| (path, format!("ca_bundle of the profile {name}"), change))
}

/// The command that gives the profile another region.
pub fn change_region(profile: Option<&Chosen>) -> String {
    format!("aws configure set region <region>{}", Asked::new(profile).option())
}

/// An endpoint that a profile names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileEndpoint {
    /// What stands there.
    pub url: String,
    /// Where it stands, in words.
    pub place: String,
    /// The command that changes it.
    pub change: String,
}

/// The endpoint that the profile names for S3, in its `services` or for all of them ("Service-specific endpoints" in the
/// AWS SDKs reference guide). The error: the files can't be read, or it names a section that is not there.
pub fn profile_endpoint(profile: Option<&Chosen>) -> Result<Option<ProfileEndpoint>, NoCredentials> {
    let asked = Asked::new(profile);
    let name = asked.name_there().to_owned();
    let files = Files::read()?;
    // A region of our own: the library would ask the instance for one, and off AWS nobody answers there.
    let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::from_static("none"));
    let loader = loader.profile_files(files::in_memory()).profile_name(to_library(&name)).no_credentials();
    let said = wait_for(async move {
        let config = loader.load().await;
        let said = |env, profile| {
            let key = ServiceConfigKey::builder().service_id("S3").env(env).profile(profile).build().ok()?;
            config.service_config()?.load_config(key)
        };
        let ignored = said("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls");
        let is_ignored = ignored.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        (!is_ignored).then(|| said("AWS_ENDPOINT_URL", "endpoint_url"))
    });
    let Some(url) = said else { return Ok(None) };
    if let Some(services) = files.lacking_services(&name) {
        let why = format!("the profile {name} names the services {services}, and there is no [services {services}]");
        let edit = edit(&files::place("AWS_CONFIG_FILE", "config"));
        let edit = format!("{edit} # add [services {services}], or take its name out of the profile");
        return Err(NoCredentials::new(why, [edit]));
    }
    Ok(url.map(|url| {
        let own = files.get(&name).and_then(|profile| profile.get("endpoint_url")) == Some(url.as_str());
        let services = files.get(&name).and_then(|profile| profile.get("services")).map(from_library);
        let (place, change) = match services.and_then(|services| Some((line_of_services(&services)?, services))) {
            Some(((file, line), services)) if !own => (
                format!("[services {services}] of the profile {name}"),
                format!("{} # from line {line} on", edit(&file)),
            ),
            _ => (
                format!("endpoint_url of the profile {name}"),
                format!("aws configure set endpoint_url <url>{}", option(&name)),
            ),
        };
        ProfileEndpoint { url, place, change }
    }))
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
