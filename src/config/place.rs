//! Where a setting stands that says which store it is: what is wrong there is mended there, and nowhere else.
//!
//! Apart because several places may have it, and the first that does decides (design.md, section 5).

use std::fmt;

use super::GitConfig;
use crate::manifest::PATH;

/// A setting, by the places that may have it.
pub struct Choice {
    flag: &'static str,
    /// The first of them stands for the flag.
    variables: &'static [&'static str],
    key: &'static str,
}

/// The bucket or the URL of a store.
pub const BUCKET: Choice = Choice { flag: "--bucket", variables: &["S3LFS_BUCKET"], key: "s3lfs.bucket" };
/// What all keys begin with.
pub const PREFIX: Choice = Choice { flag: "--repo-prefix", variables: &["S3LFS_REPO_PREFIX"], key: "s3lfs.repoprefix" };
/// Where the service is.
pub const ENDPOINT: Choice = Choice {
    flag: "--endpoint-url",
    variables: &["S3LFS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
    key: "s3lfs.endpointurl",
};
/// The bucket's region.
pub const REGION: Choice =
    Choice { flag: "--region", variables: &["S3LFS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"], key: "s3lfs.region" };

/// One place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// An option of the command line.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// A key of Git's configuration.
    Key(String),
    /// The manifest, which is everybody's.
    Manifest,
}

impl Choice {
    /// Who decides. `told`: what the flag said, or the variable that stands for it.
    pub fn place(&self, told: Option<&str>, config: &GitConfig) -> Place {
        let is_set = |name: &&&str| super::env(name).is_some() && !super::is_passed_over(name);
        match (told, self.variables) {
            (Some(told), [first, ..]) if std::env::var(first).as_deref() != Ok(told) => {
                Place::Flag(self.flag.to_owned())
            }
            (Some(_), [first, ..]) => Place::Variable((*first).to_owned()),
            (_, variables) => match variables.iter().skip(1).find(is_set) {
                Some(name) => Place::Variable((*name).to_owned()),
                None if config.get(self.key).is_some_and(|value| !value.is_empty()) => Place::Key(self.key.to_owned()),
                None => Place::Manifest,
            },
        }
    }
}

impl Place {
    /// Of the name by which a setting is shown.
    pub fn named(name: &str) -> Self {
        match name {
            _ if name.starts_with("--") => Place::Flag(name.to_owned()),
            _ if name.starts_with("s3lfs.") => Place::Key(name.to_owned()),
            _ if name.ends_with(PATH) => Place::Manifest,
            _ => Place::Variable(name.to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Flag(name) | Place::Variable(name) | Place::Key(name) => name,
            Place::Manifest => PATH,
        })
    }
}
