//! Which variable names the proxy that stands before a host, if one does.
//!
//! Apart because the HTTP client keeps it to itself (hyper-util's `proxy::matcher`), and advice about a proxy that was
//! not even asked leads nowhere.

use std::net::IpAddr;

/// The variable by which requests to this URL go to a proxy.
pub fn before(url: &str) -> Option<&'static str> {
    by(url, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// The host of a URL, without a port.
pub fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => Some(address),
        None => authority.split(':').next(),
    }
}

fn by(url: &str, env: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let (scheme, _) = url.split_once("://")?;
    let host = host(url)?;
    let excluded = env("NO_PROXY").or_else(|| env("no_proxy")).unwrap_or_default();
    if excluded.split(',').map(str::trim).any(|rule| covers(rule, host)) {
        return None;
    }
    let names = match scheme {
        "https" => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    names.into_iter().find(|name| env(name).is_some())
}

/// A rule is an address, a network, a domain with all beneath it, or `*` for every name.
fn covers(rule: &str, host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        let (network, bits) = rule.split_once('/').map_or((rule, None), |(network, bits)| (network, bits.parse().ok()));
        return network.parse().is_ok_and(|network| is_within(address, network, bits));
    }
    let domain = rule.strip_prefix('.').unwrap_or(rule).to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    let is_beneath = || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
    rule == "*" || !domain.is_empty() && (host == domain || is_beneath())
}

/// `bits`: so many of the first must be the same; all, if it is not said.
fn is_within(address: IpAddr, network: IpAddr, bits: Option<u32>) -> bool {
    let same = |differing: u128, width: u32| differing >> width.saturating_sub(bits.unwrap_or(width)).min(127) == 0;
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits() ^ b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits() ^ b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], url: &str) -> Option<&'static str> {
        by(url, |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_proxy_is_of_a_scheme_and_not_of_who_is_excluded() {
        let https = ("HTTPS_PROXY", "http://proxy");
        assert_eq!(with(&[https], "https://s3.example.org"), Some("HTTPS_PROXY"));
        assert_eq!(with(&[https], "http://127.0.0.1:9"), None, "of another scheme");
        assert_eq!(with(&[("all_proxy", "http://proxy")], "http://127.0.0.1:9"), Some("all_proxy"));
        for (rules, url, is_asked) in [
            ("example.org", "https://s3.example.org", false),
            (" a.org, .example.org", "https://s3.example.org:9000/x", false),
            ("ample.org", "https://s3.example.org", true),
            ("", "https://s3.example.org", true),
            ("*", "https://s3.example.org", false),
            ("*", "https://10.1.2.3", true),
            ("10.1.2.3", "https://10.1.2.3:9000", false),
            ("10.0.0.0/8", "https://10.1.2.3", false),
            ("10.0.0.0/16", "https://10.1.2.3", true),
            ("::1", "https://[::1]:9000", false),
            ("fe80::/10", "https://[2001:db8::1]", true),
        ] {
            assert_eq!(with(&[https, ("no_proxy", rules)], url).is_some(), is_asked, "{rules} and {url}");
        }
    }
}
